"""Attention over a rail's own stream, part of whose heads read on from where the reading head stands.

On a CPU without a cache, which is how a rail is trained there, the whole of it is one operation: for heads of 32 channels that
of the native library, which keeps no probabilities, else one that keeps turned queries, turned keys and probabilities. Under
autograd each of its steps would be a node of its own, and most of the time is spent on the many small arrays between them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from bbkernels.causal_attention import attend_reading, takes
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.places import Places
from builderbrain.rail.stream_norm import StreamNorm


class SelfAttention(nn.Module):
    """Causal attention over the builder's own stream, [B, T, c] -> [B, T, c].

    The last `reading_heads` heads stand where the reading head stands: their queries are rotated to that place, and a score
    per token from there on is added, so that "the next name" is a distance however long the plan has become.
    """

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.own_heads, self.reading_heads = config.self_heads, config.reading_heads
        inner = (config.self_heads + config.reading_heads) * config.head_size
        self.head_size = config.head_size
        self.norm = StreamNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * inner, bias=False)
        self.follow = nn.Linear(config.width, config.reading_heads * config.reading_window, bias=False)
        self.output = nn.Linear(inner, config.width, bias=False)
        nn.init.zeros_(self.follow.weight)

    def forward(self, x: Tensor, places: Places, *, cache: BlockCache | None, narrow: bool = False) -> Tensor:
        """Attend from T new positions to everything before them; extends `cache`. `narrow` makes the product that queries, keys
        and values come from in bfloat16, where the native library attends.
        """
        normed = self.norm(x)
        if cache is None and takes(normed, self.head_size):
            return self.output(self._attend_natively(normed, places, torch.bfloat16 if narrow else x.dtype).flatten(-2))
        heads = self.query_key_value(normed).unflatten(-1, (3, -1, self.head_size))
        bias = self.follow(normed).unflatten(-1, (self.reading_heads, -1)).transpose(1, 2)
        if cache is None and x.device.type == "cpu":
            out: Tensor = _Attention.apply(heads, bias, places, self.own_heads)  # type: ignore[no-untyped-call]
        else:
            out = self._attend(heads, bias, places, cache)
        return self.output(out.flatten(-2))

    def _attend_natively(self, normed: Tensor, places: Places, dtype: torch.dtype) -> Tensor:
        weight = torch.cat([self.query_key_value.weight, self.follow.weight]).to(dtype)
        return attend_reading(
            F.linear(normed.to(dtype), weight).to(normed.dtype),
            places.place,
            places.position,
            places.reading,
            own=self.own_heads,
            window=self.follow.out_features // self.reading_heads,
        )

    def _attend(self, heads: Tensor, bias: Tensor, places: Places, cache: BlockCache | None) -> Tensor:
        query, key, value = heads.unbind(2)
        query, key = places.turned_query(query, self.own_heads), places.turned(key)
        if cache is not None:
            key, value = cache.extend_self(key, value)
        own = query.new_zeros(()).masked_fill(places.future, -torch.inf).expand(query.shape[0], self.own_heads, -1, -1)
        reading = places.add_reading(bias.new_zeros(*bias.shape[:-1], key.shape[1]), bias)
        mask = torch.cat([own, reading.masked_fill(places.future, -torch.inf)], 1)
        out = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask)
        return out.transpose(1, 2)


class _Attention(torch.autograd.Function):
    """From `heads` [B, T, 3, H, D] (queries, keys, values) and `bias` [B, R, T, W] to [B, T, H, D], T tokens from the first."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, bias: Tensor, places: Places, own: int) -> Tensor:
        query, key, value = heads.unbind(2)
        query = places.turned_query(query, own).mul_(query.shape[-1] ** -0.5).transpose(1, 2)
        key = places.turned(key).transpose(1, 2)
        scores = query @ key.mT
        places.add_reading(scores[:, own:], bias)
        probability = scores.masked_fill_(places.future, -torch.inf).softmax(-1)
        ctx.save_for_backward(query, key, value, probability)
        ctx.places, ctx.own = places, own
        return (probability @ value.transpose(1, 2)).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, probability = ctx.saved_tensors
        places, gradient = ctx.places, gradients[0].transpose(1, 2)
        out = gradient.new_empty(*value.shape[:2], 3, *value.shape[2:])
        out[:, :, 2] = (probability.mT @ gradient).transpose(1, 2)
        scores = torch.ops.aten._softmax_backward_data(gradient @ value.transpose(1, 2).mT, probability, -1, probability.dtype)
        of_query = (scores @ key).mul_(key.shape[-1] ** -0.5).transpose(1, 2)
        out[:, :, 0] = places.turned_query(of_query, ctx.own, back=True)
        out[:, :, 1] = places.turned((scores.mT @ query).transpose(1, 2), back=True)
        return out, places.of_reading(scores[:, ctx.own :]), None, None
