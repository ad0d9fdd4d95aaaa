"""A `TokenState` over anything that runs new tokens against caches of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from builderbrain.decode.base import Influence


class CachedState:
    """One sequence in progress.

    Args:
        next_logits: runs int64 [1, T] tokens that follow those it has seen, and returns logits [V] after the last.
        influenced_logits: the same with what a builder did to them, for a watched state.
        prompt_tokens: [T] ids, T >= 1.
        device: where the tokens go.
    """

    def __init__(
        self,
        next_logits: Callable[[Tensor], Tensor],
        prompt_tokens: Sequence[int],
        device: torch.device | str,
        *,
        influenced_logits: Callable[[Tensor], tuple[Tensor, Influence]],
    ) -> None:
        self._next_logits, self._influenced_logits, self._device = next_logits, influenced_logits, device
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

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    @torch.no_grad()
    def _advance(self, tokens: list[int]) -> Tensor:
        row = torch.tensor([tokens], dtype=torch.int64, device=self._device)
        if not self._watched:
            return self._next_logits(row)
        logits, self.influence = self._influenced_logits(row)
        return logits
