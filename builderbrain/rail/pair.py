"""Host and rail as one model: base forward without autograd, rail beside it, logits through the base's own head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from builderbrain.errors import TapError
from builderbrain.hosts.base import BaseStates, Cache, Host
from builderbrain.rail.cache import RailCache
from builderbrain.rail.rail import BuilderRail, Memory, RailOutput


@dataclass
class PairCache:
    """Caches of both rails for one batch; `rail` is None when the base runs alone."""

    base: Cache
    rail: RailCache | None


@dataclass(frozen=True, kw_only=True)
class PairOutput:
    """`states` of the base, `fused` [B, T, d] before the final norm, and the rail's whole output (None without a rail)."""

    states: BaseStates
    fused: Tensor
    rail: RailOutput | None


class Pair:
    """A host with a rail, or alone. Several pairs may share one host."""

    def __init__(self, host: Host, rail: BuilderRail | None) -> None:
        """Attach a rail to a host.

        Raises:
            TapError: the rail was made for other taps or another width.
        """
        if rail is not None and (rail.config.tap_points != host.tap_points or rail.config.d_model != host.d_model):
            raise TapError(
                f"expected a rail for width {host.d_model} and taps {host.tap_points}, got one for width "
                f"{rail.config.d_model} and taps {rail.config.tap_points} (made for {rail.config.base_name!r}); "
                "choose the rail trained for this base, or load the base with the rail's tap points",
                field="rail",
            )
        self.host = host
        self.rail = rail

    def new_cache(self) -> PairCache:
        """Empty caches for one batch."""
        return PairCache(base=self.host.new_cache(), rail=None if self.rail is None else self.rail.new_cache())

    def forward(
        self,
        tokens: Tensor,
        *,
        lengths: Tensor | None = None,
        cache: PairCache | None = None,
        memory: Memory | None = None,
        gumbel: Tensor | None = None,
        temperature: float = 1.0,
    ) -> PairOutput:
        """Run both over int64 [B, T] tokens; arguments as in `Host.forward` and `BuilderRail.forward`."""
        states = self.host.forward(tokens, lengths=lengths, cache=None if cache is None else cache.base)
        if self.rail is None:
            return PairOutput(states=states, fused=states.taps[-1], rail=None)
        output = self.rail(
            states, memory=memory, cache=None if cache is None else cache.rail, gumbel=gumbel, temperature=temperature
        )
        return PairOutput(states=states, fused=output.fused, rail=output)

    def logits(self, fused: Tensor) -> Tensor:
        """Logits [..., V] of fused states [..., d]."""
        return self.host.lm_head(self.host.final_norm(fused))
