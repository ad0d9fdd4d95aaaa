"""Specification of `ragged_attention`: causal attention, one sequence after another.

    o_i = sum_j p_ij v_j / (sum_j p_ij + e_h),   p_ij = exp(cap(scale q_i . k_j)),   j in (i - window, i]

with cap(s) = c tanh(s / c) where there is a soft cap, and e_h = exp(sink_h) where there are sinks, else 0: a sink takes part
of the probability and has no value ("attention sinks", Xiao et al. 2024, as learned in gpt-oss).
"""

from __future__ import annotations

import torch
from torch import Tensor


def ragged_attention_reference(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    *,
    scale: float,
    window: int | None,
    soft_cap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """See `bbkernels.ragged_attention.ragged_attention`; float32 (float64 for float64 inputs) inside."""
    out = torch.zeros_like(query)
    wide = torch.promote_types(query.dtype, torch.float32)
    group = query.shape[1] // keys.shape[2]
    bounds = starts.tolist()
    for row, length in enumerate(lengths.tolist()):
        first, end = bounds[row], bounds[row + 1]
        if first == end:
            continue
        pages = table[row, : -(-length // keys.shape[1])].long()
        k, v = (cache[pages].flatten(0, 1)[:length].to(wide).repeat_interleave(group, 1) for cache in (keys, values))
        scores = torch.einsum("nhd,lhd->hnl", query[first:end].to(wide), k) * scale
        if soft_cap is not None:
            scores = soft_cap * torch.tanh(scores / soft_cap)
        at = torch.arange(length - (end - first), length, device=query.device)[:, None]
        place = torch.arange(length, device=query.device)
        seen = place <= at
        if window is not None:
            seen &= place > at - window
        scores = scores.masked_fill(~seen, -torch.inf)
        if sinks is not None:
            beside = sinks.to(wide)[:, None, None].expand(-1, end - first, 1)
            scores = torch.cat([scores, beside], -1)
        weights = scores.softmax(-1)[..., :length]
        out[first:end] = torch.einsum("hnl,lhd->nhd", weights, v).to(query.dtype)
    return out
