"""Byte n-gram floors: what counting gives on the same text, for comparison with the base.

Interpolated with Witten-Bell smoothing (Witten and Bell 1991), order by order from the uniform distribution up:

    p_n(b | h) = (count(h b) + T(h) p_{n-1}(b | h')) / (count(h) + T(h)),   T(h): distinct bytes seen after h
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


def ngram_bits_per_byte(train: bytes, held_out: bytes, *, max_order: int) -> list[float]:
    """Held-out bits per byte of orders 1 .. max_order (at most 7, since a history and a byte must fit 64 bits).

    Raises:
        ValueError: `max_order` is not in 1..7 or a text is shorter than it.
    """
    if not 1 <= max_order <= 7 or min(len(train), len(held_out)) <= max_order:
        raise ValueError(
            f"expected max_order in 1..7 and longer texts, got {max_order}, {len(train)} and {len(held_out)} bytes"
        )
    text, probe = (np.frombuffer(data, dtype=np.uint8).astype(np.uint64) for data in (train, held_out))
    probability = np.full(len(probe), 1.0 / 256.0)
    bits = []
    for order in range(1, max_order + 1):
        grams, gram_counts = np.unique(_keys(text, order), return_counts=True)
        histories, first, totals = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
        counts = np.add.reduceat(gram_counts, first)
        scored = slice(order - 1, None)
        keys = _keys(probe, order)
        seen = _look_up(grams, gram_counts, keys)
        history = keys >> np.uint64(8)
        kinds, count = _look_up(histories, totals, history), _look_up(histories, counts, history)
        known = kinds > 0
        lower = probability[scored]
        probability[scored] = np.where(known, (seen + kinds * lower) / np.maximum(count + kinds, 1), lower)
        bits.append(float(-np.log2(probability).mean()))
    return bits


def _keys(text: Keys, order: int) -> Keys:
    """One integer per window of `order` bytes, the last byte lowest."""
    keys = np.zeros(len(text) - order + 1, dtype=np.uint64)
    for i in range(order):
        keys = (keys << np.uint64(8)) | text[i : len(text) - order + 1 + i]
    return keys


def _look_up(keys: Keys, values: NDArray[np.int64], wanted: Keys) -> NDArray[np.int64]:
    """Value of each wanted key, 0 where it is absent; `keys` is sorted."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
