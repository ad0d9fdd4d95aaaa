"""Masks of a constraint by the place in its schema: from the store, composed inside strings, else from the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from builderbrain.grammar.mask_store import MaskStore
from builderbrain.grammar.native import NativeMatcher
from builderbrain.grammar.places import MAX_CONTAINERS, Member
from builderbrain.grammar.string_masks import StringMasks
from builderbrain.grammar.strict_text import StringPlace


class PlacedMasks:
    """Shared between the outputs of a constraint."""

    def __init__(self, store: MaskStore, strings: Callable[[], StringMasks]) -> None:
        """Masks that are kept in `store`; `strings` is asked once a string is in progress."""
        self._store = store
        self._strings = strings
        self._after: dict[tuple[int, Member], NDArray[np.bool_]] = {}

    def fill(self, native: NativeMatcher, key: tuple[Any, ...], bitmask: Tensor) -> bool:
        """Write the mask of the state that `key` names; False when the library gives up (`NativeMatcher.fill`)."""
        if isinstance(key, StringPlace):
            longest = self._strings().longest  # bounds above are all alike
            key = StringPlace(key.container, key.at, min(key.least, longest), min(key.most, longest))
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
        place = (key.container, key.at)
        after = self._after.get(place)
        if after is None:
            after = self._strings().after(native, key.least)
            if after is None:
                return False
            if len(self._after) >= MAX_CONTAINERS:
                self._after.clear()
            self._after[place] = after
        self._strings().fill(bitmask.numpy(), after, key.least, int(key.most))
        return True
