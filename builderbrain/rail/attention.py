"""The two attentions of a builder block. Both are residual branches: they return what is to be added."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bbkernels.cross_attention import cross_attention
from bbkernels.cross_attention.reference import rotate
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig


class SelfAttention(nn.Module):
    """Causal attention over the builder's own stream, [B, T, c] -> [B, T, c]."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        inner = config.self_heads * config.head_size
        self.head_size, self.theta = config.head_size, config.rope_theta
        self.norm = nn.RMSNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * inner, bias=False)
        self.output = nn.Linear(inner, config.width, bias=False)

    def forward(self, x: Tensor, *, offset: int, cache: BlockCache | None) -> Tensor:
        """Attend from T new positions, the first at `offset`, to everything before them; extends `cache`."""
        queries = x.shape[1]
        heads = self.query_key_value(self.norm(x)).unflatten(-1, (3, -1, self.head_size))
        positions = torch.arange(offset, offset + queries, device=x.device)
        query, key = rotate(heads[:, :, 0], positions, self.theta), rotate(heads[:, :, 1], positions, self.theta)
        value = heads[:, :, 2]
        if cache is not None:
            key, value = cache.extend_self(key, value)
        mask = None
        if offset:
            mask = torch.arange(key.shape[1], device=x.device) <= positions[:, None]
        out = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask, is_causal=mask is None
        )
        return self.output(out.transpose(1, 2).flatten(-2))


class CrossAttention(nn.Module):
    """Attention from the builder into one tapped base layer through a shared latent, [B, T, c] -> [B, T, c].

    The latent of a token's own position is added without attention (as ladder side networks do, Sung et al. 2022): what the
    base made of the token is there from the first step on, before the attention has learned where to look.
    """

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.head_size, self.theta = config.head_size, config.rope_theta
        self.norm = nn.RMSNorm(config.width)
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
        latent = self.latent(self.base_norm(base.to(x.dtype)))
        own = self.own(latent)
        latent = latent.unflatten(-1, (-1, self.head_size))
        if cache is not None:
            latent = cache.extend_latent(latent)
        slots = memory.unflatten(-1, (-1, self.head_size))
        out = cross_attention(query, latent, slots, memory_lengths, offset=offset, theta=self.theta)
        return self.output(out.flatten(-2)) + own
