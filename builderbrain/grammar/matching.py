"""A library's matcher beside a strict text machine that reads the same bytes.

Where the library's masks let through what its grammar does not say (invalid UTF-8, control characters and surrogates in JSON
strings), the machine's masks are joined to them. A sampled token that breaks a rule with memory (a duplicate key, depth, an
overflowing number) is refused by `accept`, without a change of state, so that the caller can draw again.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from builderbrain.errors import GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.native import NativeMatcher
from builderbrain.grammar.overlay import Overlay
from builderbrain.grammar.placed_masks import PlacedMasks


class StrictMatcher:
    """See `builderbrain.grammar.base.Matcher`."""

    def __init__(
        self, native: NativeMatcher, overlay: Overlay, *, strict_text: bool, placed: PlacedMasks | None = None
    ) -> None:
        """A matcher at the start of an output.

        Args:
            strict_text: the library's masks need no help from the machine's.
            placed: masks that outputs of the constraint share; None where the machine follows no places.
        """
        self._native = native
        self._overlay = overlay
        self._strict_text = strict_text
        self._placed = placed
        self._machine = overlay.machine
        self._state = self._machine.start()
        self._token_bytes = overlay.vocabulary.token_bytes
        self._eos = overlay.vocabulary.eos_token_id

    def fill_mask(self, bitmask: Tensor) -> None:
        if self._native.is_terminated():
            raise MaskEmptyError("expected an unfinished output, got one that ended; start a new matcher")
        if self._placed is None or (key := self._machine.key(self._state)) is None:
            filled = self._native.fill(bitmask)
        else:
            filled = self._placed.fill(self._native, key, bitmask)
        if not filled or not (self._strict_text or self._join(bitmask.numpy())):
            bitmask.zero_()
            raise MaskEmptyError("expected a legal next token, but grammar and strict text rules leave none")

    def _join(self, words: NDArray[np.int32]) -> bool:
        """Clear what the machine refuses; False when nothing is left."""
        word, bit = self._eos // 32, np.int32(np.uint32(1 << (self._eos % 32)).view(np.int32))
        may_end = bool(words[word] & bit) and self._machine.may_end(self._state)
        np.bitwise_and(words, self._overlay.mask(self._machine.lexical(self._state)), out=words)
        if may_end:
            words[word] |= bit
        return bool(np.count_nonzero(words))  # a tenth of the time of any()

    def refine(self, bitmask: Tensor) -> None:
        words = bitmask.numpy()
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")
        for token in np.flatnonzero(bits):
            if token != self._eos and self._machine.advance(self._state, self._token_bytes[token]) is None:
                bits[token] = 0
        words[:] = np.packbits(bits, bitorder="little").view(np.int32)
        if not words.any():
            raise MaskEmptyError("expected a legal next token, but grammar and strict text rules leave none")

    def accept(self, token: int) -> None:
        if token == self._eos:
            state = self._state if self._machine.may_end(self._state) else None
        else:
            known = 0 <= token < len(self._token_bytes) and bool(self._token_bytes[token])
            state = self._machine.advance(self._state, self._token_bytes[token]) if known else None
        if state is None or self._native.is_terminated() or not self._native.accept(token):
            raise GrammarRefusedError(f"expected a token of the mask, got {token}, which is illegal here")
        self._state = state

    def accept_text(self, data: bytes) -> None:
        state = self._machine.advance(self._state, data)
        if state is None or self._native.is_terminated() or not self._native.accept_text(data):
            raise GrammarRefusedError(f"expected text that the constraint allows, got {data!r:.80}, which is illegal here")
        self._state = state

    def forced_text(self) -> bytes:
        if self._native.is_terminated():
            return b""
        forced = self._native.forced_text()
        return forced if self._machine.advance(self._state, forced) is not None else b""

    def is_complete(self) -> bool:
        return self._native.is_terminated()

    def fork(self) -> StrictMatcher:
        forked = copy(self)  # the machine's states are values
        forked._native = self._native.fork()
        return forked


def new_bitmask(vocab_size: int) -> Tensor:
    """An all-zero mask for `fill_mask`, int32 [ceil(vocab_size / 32)]."""
    return torch.zeros((vocab_size + 31) // 32, dtype=torch.int32)
