"""Specification of `cross_attention`.

One latent serves as keys and values, as in multi-head latent attention (DeepSeek-V2, 2024): keys are the latent under
rotary positions (Su et al. 2021), values the latent itself. Memory tokens carry no position and every query sees them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rotate(x: Tensor, positions: Tensor, theta: float) -> Tensor:
    """Rotary embedding of x [B, T, H, D] at positions int64 [T] or [B, T]; halves are paired, angles in float32."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = positions.to(torch.float32)[..., None] * frequency
    cos, sin = angle.cos()[..., None, :].to(x.dtype), angle.sin()[..., None, :].to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def cross_attention_reference(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, *, offset: int, theta: float
) -> Tensor:
    """See `bbkernels.cross_attention.cross_attention`."""
    queries, keys = query.shape[1], latent.shape[1]
    slots = memory.shape[1]
    device = query.device
    q = rotate(query, torch.arange(offset, offset + queries, device=device), theta)
    k = torch.cat([memory, rotate(latent, torch.arange(keys, device=device), theta)], 1)
    v = torch.cat([memory, latent], 1)
    causal = torch.arange(keys, device=device) <= torch.arange(offset, offset + queries, device=device)[:, None]
    visible = torch.arange(slots, device=device) < memory_lengths[:, None]
    mask = torch.cat(
        [visible[:, None, None, :].expand(-1, 1, queries, -1), causal.expand(query.shape[0], 1, queries, keys)], -1
    )
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask, enable_gqa=query.shape[2] != latent.shape[2]
    )
    return out.transpose(1, 2)
