"""Specification of `cross_attention`.

One latent serves as keys and values, as in multi-head latent attention (DeepSeek-V2, 2024): keys are the latent under
rotary positions (Su et al. 2021), values the latent itself. Memory tokens carry no position and every query sees them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.checks import can_look


def frequencies(half: int, theta: float, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Angle per position of each pair, [half]: `theta ** (-i / half)`."""
    return theta ** (-torch.arange(half, device=device, dtype=dtype) / half)


def rotate(x: Tensor, positions: Tensor, theta: float) -> Tensor:
    """Rotary embedding of x [B, T, H, D] at positions int64 [T] or [B, T]; halves are paired.

    Angles are float32 whatever the dtype of x, float64 for float64.
    """
    return turn(x, *rotary_angles(positions, x.shape[-1] // 2, theta, x.dtype))


def rotary_angles(positions: Tensor, half: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine [..., 1, half] in `dtype` for positions int64 [...]."""
    wide = torch.promote_types(dtype, torch.float32)
    angle = positions.to(wide)[..., None] * frequencies(half, theta, positions.device, wide)
    return angle.cos()[..., None, :].to(dtype), angle.sin()[..., None, :].to(dtype)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B, T, H, D] turned by angles of `cos` and `sin` [T or B x T, 1, D / 2]; as one operation outside of a graph."""
    if torch.compiler.is_compiling():
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
    out: Tensor = _Turn.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return out


class _Turn(torch.autograd.Function):
    """A rotation, whose gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        first, second = x.chunk(2, -1)
        out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        above, below = out.chunk(2, -1)
        torch.mul(first, cos, out=above).addcmul_(second, sin, value=-1.0)
        torch.mul(second, cos, out=below).addcmul_(first, sin)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _Turn.apply(gradients[0], cos, -sin), None, None  # type: ignore[no-untyped-call]


def cross_attention_reference(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, *, offset: int, theta: float
) -> Tensor:
    """See `bbkernels.cross_attention.cross_attention`."""
    queries = query.shape[1]
    positions = torch.arange(offset, offset + queries, device=query.device)
    return _attend(query, latent, memory, memory_lengths, positions, theta, hides=queries > 1)


def _attend(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, positions: Tensor, theta: float, *, hides: bool
) -> Tensor:
    """Queries [B, T, H, D] at positions [T] or [B, T]; `hides`: some latent may come behind a query."""
    (rows, queries), keys, slots = query.shape[:2], latent.shape[1], memory.shape[1]
    places = torch.arange(keys, device=query.device)
    visible = torch.arange(slots, device=query.device) < memory_lengths[:, None]
    if slots:
        memory = memory.masked_fill(~visible[:, :, None, None], 0.0)  # what is not real may be anything
    broken = None
    if hides and not (can_look(query) and is_finite(query) and is_finite(latent)):
        query, latent, broken = _set_apart(query, latent, positions)
    causal = places <= positions[..., None]
    mask = torch.cat(
        [visible[:, None, :].expand(-1, queries, -1), causal.expand(rows, queries, keys)],
        -1,
    )
    turned, keys_turned = _turned(query, latent, positions, theta)
    out = F.scaled_dot_product_attention(
        turned.transpose(1, 2),
        torch.cat([memory, keys_turned], 1).transpose(1, 2),
        torch.cat([memory, latent], 1).transpose(1, 2),
        attn_mask=mask[:, None],
        enable_gqa=query.shape[2] != latent.shape[2],
    ).transpose(1, 2)
    return out if broken is None else out + broken


def _turned(query: Tensor, latent: Tensor, positions: Tensor, theta: float) -> tuple[Tensor, Tensor]:
    """Queries at `positions` and latents at theirs, both under the rotary embedding."""
    keys, half = latent.shape[1], latent.shape[-1] // 2
    if positions.ndim == 1 and latent.device.type == "cpu" and not torch.compiler.is_compiling():
        cos, sin = kept_angles(keys, half, theta, latent.dtype)
        start = keys - query.shape[1]
        return turn(query, cos[start:], sin[start:]), turn(latent, cos, sin)
    places = torch.arange(keys, device=query.device)
    return rotate(query, positions, theta), rotate(latent, places, theta)


@lru_cache(maxsize=8)
def kept_angles(keys: int, half: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """`rotary_angles` of the first places on a CPU: all blocks of a rail want the same."""
    with torch.inference_mode(False):
        return rotary_angles(torch.arange(keys), half, theta, dtype)


def is_finite(x: Tensor) -> bool:
    """One sum, because that is the quickest way to see every value; one that overflows counts as not finite."""
    return bool(x.detach().sum().isfinite())


def _set_apart(query: Tensor, latent: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query and latent with 0 for vectors that are not finite; [B, T, H, 1], NaN for a query that is one or sees one, else 0.

    Hidden keys have probability 0, and 0 times NaN is NaN: left in place, such a vector would reach queries before it, and in
    the backward pass everything that a query without a gradient sees, as in rows padded with whatever memory held.
    """
    wide = torch.promote_types(query.dtype, torch.float32)
    lost_query, lost_latent = (~x.detach().sum(-1, dtype=wide).isfinite() for x in (query, latent))
    last = positions.expand(query.shape[:2]).clamp(max=latent.shape[1] - 1)
    seen = lost_latent.cumsum(1).gather(1, last[..., None].expand(-1, -1, latent.shape[2])) > 0
    broken = lost_query | seen.repeat_interleave(query.shape[2] // latent.shape[2], 2)
    query, latent = query.masked_fill(lost_query[..., None], 0.0), latent.masked_fill(lost_latent[..., None], 0.0)
    return query, latent, query.new_zeros(broken.shape).masked_fill(broken, torch.nan)[..., None]


def packed_cross_attention_reference(
    query: Tensor,
    latent: Tensor,
    memory: Tensor,
    memory_lengths: Tensor,
    query_starts: Tensor,
    key_starts: Tensor,
    *,
    max_queries: int,
    max_keys: int,
    theta: float,
) -> Tensor:
    """See `bbkernels.cross_attention.packed_cross_attention`: one row after the other, in a captured graph all rows padded."""
    if torch.compiler.is_compiling():
        ragged = (query_starts, key_starts, max_queries, max_keys)
        return _padded(query, latent, memory, memory_lengths, *ragged, theta)
    queries, keys = query_starts.diff().tolist(), key_starts.diff().tolist()
    rows = [
        cross_attention_reference(q[None], z[None], m[None], length[None], offset=z.shape[0] - q.shape[0], theta=theta)[0]
        for q, z, m, length in zip(query.split(queries), latent.split(keys), memory, memory_lengths, strict=True)
    ]
    return torch.cat(rows) if rows else torch.zeros_like(query)


def _padded(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, query_starts: Tensor, key_starts: Tensor,
    max_queries: int, max_keys: int, theta: float,
) -> Tensor:  # fmt: skip
    """All rows at once, in shapes that do not depend on how long each is."""
    if not query.numel():
        return torch.zeros_like(query)
    starts, ends = query_starts[:-1, None], query_starts[1:]
    inner = torch.arange(max_queries, device=query.device)
    offset = (key_starts.diff() - query_starts.diff())[:, None]
    q = query[(starts + inner).clamp(max=query.shape[0] - 1)]
    places = key_starts[:-1, None] + torch.arange(max_keys, device=query.device)
    z = latent[places.clamp(max=latent.shape[0] - 1)]
    out = _attend(q, z, memory, memory_lengths, offset + inner, theta, hides=True)
    number = torch.arange(query.shape[0], device=query.device, dtype=torch.int32)
    row = torch.searchsorted(ends, number, right=True)
    return out[row, number - query_starts[row]]
