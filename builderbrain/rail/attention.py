"""Attention of a builder block into its tap: a residual branch, which returns what is to be added."""

from __future__ import annotations

from torch import Tensor, nn

from bbkernels.cross_attention import cross_attention
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.stream_norm import StreamNorm
from builderbrain.rail.tap_reading import norm_linear


class CrossAttention(nn.Module):
    """Attention from the builder into one tapped base layer through a shared latent, [B, T, c] -> [B, T, c].

    The latent of a token's own position is added without attention (as ladder side networks do, Sung et al. 2022): what the
    base made of the token is there from the first step on, before the attention has learned where to look.
    """

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.head_size, self.theta = config.head_size, config.rope_theta
        self.norm = StreamNorm(config.width)
        self.base_norm = nn.RMSNorm(config.d_model)
        self.query = nn.Linear(config.width, config.query_heads * config.head_size, bias=False)
        self.latent = nn.Linear(config.d_model, config.latent_heads * config.head_size, bias=False)
        self.own = nn.Linear(config.latent_heads * config.head_size, config.width, bias=False)
        self.output = nn.Linear(config.query_heads * config.head_size, config.width, bias=False)

    def forward(
        self, x: Tensor, base: Tensor, memory: Tensor, memory_lengths: Tensor, *, offset: int, cache: BlockCache | None
    ) -> Tensor:
        """Attend into `base` [B, T, d] (and what `cache` holds of it) and `memory` [B, M, G * D]; extends `cache`."""
        query = self.query(self.norm(x)).unflatten(-1, (-1, self.head_size))
        latent = norm_linear(base, self.base_norm, self.latent.weight)
        own = self.own(latent)
        latent = latent.unflatten(-1, (-1, self.head_size))
        if cache is not None:
            latent = cache.extend_latent(latent)
        slots = memory.unflatten(-1, (-1, self.head_size))
        out = cross_attention(query, latent, slots, memory_lengths, offset=offset, theta=self.theta)
        return self.output(out.flatten(-2)) + own
