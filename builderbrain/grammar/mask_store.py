"""A store of masks by what decides them, so that each is computed once for all outputs of a constraint.

Masks that were not asked for in a while leave: there is a young and an old half, and when the young one is full it becomes
the old one. Two threads may both compute a mask, or one of them lose it again: that costs time alone, so there is no lock.
"""

from __future__ import annotations

from collections.abc import Hashable

from torch import Tensor

from builderbrain.grammar.cache import CacheUse

MAX_BYTES = 64 << 20


class MaskStore:
    """Packed masks, int32 [W]. Shared between constraints and threads; what is counted without a lock may be a few short."""

    def __init__(self, words: int, *, max_bytes: int = MAX_BYTES) -> None:
        self._words = words
        self._most = max(1, max_bytes // (2 * 4 * words))
        self._young: dict[Hashable, Tensor] = {}
        self._old: dict[Hashable, Tensor] = {}
        self._hits = self._misses = self._evictions = 0

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def use(self) -> CacheUse:
        """What it was asked for so far, and what it holds now."""
        held = len(self)
        return CacheUse(
            hits=self._hits, misses=self._misses, entries=held, size_bytes=4 * self._words * held, evictions=self._evictions
        )

    def copy_to(self, key: Hashable, bitmask: Tensor) -> bool:
        """Write the mask of that key into `bitmask`, int32 [W]; False when it is not here."""
        if bitmask.numel() != self._words:
            raise ValueError(f"expected a mask of {self._words} words, got {bitmask.numel()}; see new_bitmask")
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                self._misses += 1
                return False
            self._keep(key, found)
        self._hits += 1
        bitmask.copy_(found)  # quicker than through numpy
        return True

    def put(self, key: Hashable, bitmask: Tensor) -> None:
        """Keep a copy of a mask."""
        self._keep(key, bitmask.clone())

    def _keep(self, key: Hashable, mask: Tensor) -> None:
        if len(self._young) >= self._most:
            self._evictions += len(self._old.keys() - self._young.keys())
            self._old, self._young = self._young, {}
        self._young[key] = mask
