"""The base model alone as a `TokenModel`: the frozen base under the same grammar, for comparison and for plain serving."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from builderbrain.decode.model import TokenState
from builderbrain.hosts.base import Host


class HostState:
    """A sequence with the base's cache; every `append` runs the base over one token."""

    def __init__(self, host: Host, prompt_tokens: Sequence[int]) -> None:
        self._host = host
        self._cache = host.new_cache()
        self._logits = self._advance(list(prompt_tokens))

    def logits(self) -> Tensor:
        """Logits [V] of the next token, in the base's dtype."""
        return self._logits

    def append(self, token: int) -> None:
        """Extend the sequence and compute the next logits."""
        self._logits = self._advance([token])

    @torch.no_grad()
    def _advance(self, tokens: list[int]) -> Tensor:
        ids = torch.tensor([tokens], dtype=torch.int64, device=self._host.device)
        states = self._host.forward(ids, cache=self._cache)
        return self._host.lm_head(self._host.final_norm(states.taps[-1][:, -1]))[0]


class HostModel:
    """A bare host as a `TokenModel`."""

    def __init__(self, host: Host, *, weight_version: str = "base") -> None:
        self._host = host
        self.tokenizer = host.tokenizer
        self.eos_token_id = host.tokenizer.eos_token_id
        self.vocab_size = host.vocab_size
        self.max_length = host.max_length
        self.weight_version = weight_version

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        """Run the base over the prompt, [T] ids with T >= 1."""
        return HostState(self._host, prompt_tokens)
