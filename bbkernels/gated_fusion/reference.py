"""Specification of `gated_fusion`.

    r = rms(base) / rms(base + update)          per row
    out = base + alpha * (r * (base + update) - base)

Rescaling the proposal to the base's magnitude makes alpha an honest share: a builder cannot buy influence with length.
Written this way, `update = 0` and `alpha = 0` both give `base` bit for bit. With `norm_weight` [d] an RMSNorm follows, which
reads `out` rounded to the base's dtype, as it would alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def gated_fusion_reference(
    base: Tensor, update: Tensor, alpha: Tensor, norm_weight: Tensor | None = None, norm_epsilon: float = 0.0
) -> Tensor:
    """See `bbkernels.gated_fusion.gated_fusion`; float32 (float64 for float64 inputs) inside."""
    dtype = torch.promote_types(base.dtype, torch.float32)
    h = base.to(dtype)
    proposal = h + update.to(dtype)
    ratio = torch.sqrt((h.square().mean(-1, keepdim=True) + EPSILON) / (proposal.square().mean(-1, keepdim=True) + EPSILON))
    out = (h + alpha.to(dtype) * (ratio * proposal - h)).to(base.dtype)
    if norm_weight is None:
        return out
    out = out.to(dtype)
    scale = (out.square().mean(-1, keepdim=True) + norm_epsilon).rsqrt()
    return (norm_weight.to(dtype) * out * scale).to(base.dtype)
