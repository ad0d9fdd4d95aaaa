"""A `TokenState` over anything that runs new tokens against caches of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class CachedState:
    """One sequence in progress.

    Args:
        next_logits: runs int64 [1, T] tokens that follow those it has seen, and returns logits [V] after the last.
        prompt_tokens: [T] ids, T >= 1.
        device: where the tokens go.
    """

    def __init__(
        self, next_logits: Callable[[Tensor], Tensor], prompt_tokens: Sequence[int], device: torch.device | str
    ) -> None:
        self._next_logits, self._device = next_logits, device
        self._unread = list(prompt_tokens)

    ready = True
    reused = 0

    def logits(self) -> Tensor:
        """Logits [V] of the next token, in the base's dtype. Runs what was not run yet, all at once."""
        if self._unread:
            self._logits = self._advance(self._unread)
            self._unread = []
        return self._logits

    def append(self, token: int) -> None:
        """Extend the sequence."""
        self._unread.append(token)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    @torch.no_grad()
    def _advance(self, tokens: list[int]) -> Tensor:
        return self._next_logits(torch.tensor([tokens], dtype=torch.int64, device=self._device))
