"""The two attentions of a builder block. Both are residual branches: they return what is to be added."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bbkernels.cross_attention import cross_attention
from bbkernels.cross_attention.reference import rotate
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.tap_reading import norm_linear


def from_place(bias: Tensor, place: Tensor, keys: int) -> Tensor:
    """Scores [..., T, keys] that are `bias` [..., T, W] on the W tokens from `place` int64 [..., T] on and 0 elsewhere."""
    ahead = place[..., None] + torch.arange(bias.shape[-1], device=bias.device)
    known = ahead < keys
    scores = bias.new_zeros((*bias.shape[:-1], keys))
    return scores.scatter_add(-1, torch.where(known, ahead, 0).expand_as(bias), bias * known)


class SelfAttention(nn.Module):
    """Causal attention over the builder's own stream, [B, T, c] -> [B, T, c].

    The last `reading_heads` heads stand where the reading head stands: their queries are rotated to that place, and a score
    per token from there on is added, so that "the next name" is a distance however long the plan has become.
    """

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.own_heads, self.reading_heads = config.self_heads, config.reading_heads
        inner = (config.self_heads + config.reading_heads) * config.head_size
        self.head_size, self.theta = config.head_size, config.rope_theta
        self.norm = nn.RMSNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * inner, bias=False)
        self.follow = nn.Linear(config.width, config.reading_heads * config.reading_window, bias=False)
        self.output = nn.Linear(inner, config.width, bias=False)
        nn.init.zeros_(self.follow.weight)

    def forward(self, x: Tensor, place: Tensor, *, offset: int, cache: BlockCache | None) -> Tensor:
        """Attend from T new positions, the first at `offset`, to everything before them; extends `cache`.

        `place` int64 [B, T] is where the reading head stands at each of them.
        """
        queries = x.shape[1]
        normed = self.norm(x)
        heads = self.query_key_value(normed).unflatten(-1, (3, -1, self.head_size))
        positions = torch.arange(offset, offset + queries, device=x.device)
        query = torch.cat(
            [
                rotate(heads[:, :, 0, : self.own_heads], positions, self.theta),
                rotate(heads[:, :, 0, self.own_heads :], place, self.theta),
            ],
            2,
        )
        key, value = rotate(heads[:, :, 1], positions, self.theta), heads[:, :, 2]
        if cache is not None:
            key, value = cache.extend_self(key, value)
        future = torch.arange(key.shape[1], device=x.device) > positions[:, None]
        own = x.new_zeros(()).masked_fill(future, -torch.inf).expand(x.shape[0], self.own_heads, -1, -1)
        bias = self.follow(normed).unflatten(-1, (self.reading_heads, -1)).transpose(1, 2)
        reading = from_place(bias, place[:, None], key.shape[1]).masked_fill(future, -torch.inf)
        out = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=torch.cat([own, reading], 1)
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
        latent = norm_linear(base.to(x.dtype), self.base_norm, self.latent.weight)
        own = self.own(latent)
        latent = latent.unflatten(-1, (-1, self.head_size))
        if cache is not None:
            latent = cache.extend_latent(latent)
        slots = memory.unflatten(-1, (-1, self.head_size))
        out = cross_attention(query, latent, slots, memory_lengths, offset=offset, theta=self.theta)
        return self.output(out.flatten(-2)) + own
