"""A `TokenState` over anything that runs new tokens against caches of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor

from builderbrain.decode.base import Influence

C = TypeVar("C")


class CachedState(Generic[C]):
    """One sequence in progress.

    Args:
        next_logits: runs int64 [1, T] tokens that follow those in a cache, and returns logits [V] after the last.
        cache: an empty cache, which the state owns; `fork` makes a deep copy of it.
        influenced_logits: as `next_logits`, with what a builder did to them, for a watched state.
        prompt_tokens: [T] ids, T >= 1.
        device: where the tokens go.
    """

    def __init__(
        self,
        next_logits: Callable[[Tensor, C], Tensor],
        cache: C,
        prompt_tokens: Sequence[int],
        device: torch.device | str,
        *,
        influenced_logits: Callable[[Tensor, C], tuple[Tensor, Influence]],
    ) -> None:
        self._next_logits, self._influenced_logits = next_logits, influenced_logits
        self._cache, self._device = cache, device
        self.influence: Influence | None = None
        self._watched = False
        self._unread = list(prompt_tokens)

    ready = True
    reused = 0

    def logits(self) -> Tensor:
        """Logits [V] of the next token, in the base's dtype. Runs what was not run yet, all at once."""
        if self._unread:
            self._logits = self._advance(self._unread)
            self._unread = []
        return self._logits

    def watch(self) -> None:
        """See `TellsInfluence`."""
        self._watched = True

    def append(self, token: int) -> None:
        """Extend the sequence."""
        self._unread.append(token)

    def fork(self) -> CachedState[C]:
        """See `TokenState.fork`. Copies the whole cache."""
        forked = copy(self)
        forked._cache, forked._unread = deepcopy(self._cache), list(self._unread)
        return forked

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    @torch.no_grad()
    def _advance(self, tokens: list[int]) -> Tensor:
        row = torch.tensor([tokens], dtype=torch.int64, device=self._device)
        if not self._watched:
            return self._next_logits(row, self._cache)
        logits, self.influence = self._influenced_logits(row, self._cache)
        return logits
