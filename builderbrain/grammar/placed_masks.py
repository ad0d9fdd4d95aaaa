"""Masks of a constraint by the place in its schema: from the store, composed inside strings, else from the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from builderbrain.grammar.mask_store import MaskStore
from builderbrain.grammar.native import NativeMatcher
from builderbrain.grammar.places import MAX_CONTAINERS, Member
from builderbrain.grammar.strict_text import StringPlace
from builderbrain.grammar.string_masks import Endings, StringMasks


class PlacedMasks:
    """Shared between the outputs of a constraint."""

    def __init__(self, store: MaskStore, strings: Callable[[], StringMasks]) -> None:
        """Masks that are kept in `store`; `strings` is asked once a string is in progress."""
        self._store = store
        self._strings = strings
        self._endings: dict[tuple[int, Member], Endings] = {}

    def fill(self, native: NativeMatcher, key: tuple[Any, ...], bitmask: Tensor) -> bool:
        """Write the mask of the state that `key` names; False when the library gives up (`NativeMatcher.fill`)."""
        if native.failed():
            return False
        if self._store.copy_to(key, bitmask):
            return True
        composed = isinstance(key, StringPlace) and self._compose(native, key, bitmask)
        if not composed and not native.fill(bitmask):
            return False
        self._store.put(key, bitmask)
        return True

    def _compose(self, native: NativeMatcher, key: StringPlace, bitmask: Tensor) -> bool:
        """Write the mask inside a string; False when the library has to."""
        strings, place = self._strings(), (key.container, key.at)
        endings = self._endings.get(place)
        if endings is None and key.least <= strings.longest_before:
            endings = strings.endings(native, key.least)
            if endings is None:
                return False
            if len(self._endings) >= MAX_CONTAINERS:
                self._endings.clear()
            self._endings[place] = endings
        strings.fill(bitmask.numpy(), endings, key.least, key.most)
        return True
