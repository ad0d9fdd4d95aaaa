"""The base model alone as a `TokenModel`: the frozen base under the same grammar, for comparison and for plain serving."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from builderbrain.decode.base import Influence
from builderbrain.decode.cached_state import CachedState
from builderbrain.decode.model import TokenState
from builderbrain.hosts.base import Cache, Host


class HostModel:
    """A bare host as a `TokenModel`."""

    def __init__(self, host: Host, *, weight_version: str = "base") -> None:
        self.host = host
        self.tokenizer = host.tokenizer
        self.eos_token_id = host.tokenizer.eos_token_id
        self.vocab_size = host.vocab_size
        self.max_length = host.max_length
        self.weight_version = weight_version

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        """Run the base over the prompt, [T] ids with T >= 1."""
        host = self.host

        def logits(tokens: Tensor, cache: Cache) -> Tensor:
            return host.lm_head(host.final_norm(host.forward(tokens, cache=cache).taps[-1][:, -1]))[0]

        def influenced(tokens: Tensor, cache: Cache) -> tuple[Tensor, Influence]:
            return logits(tokens, cache), Influence()

        return CachedState(logits, host.new_cache(), prompt_tokens, host.device, influenced_logits=influenced)
