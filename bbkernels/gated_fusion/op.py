"""Public entry of `gated_fusion`."""

from __future__ import annotations

from torch import Tensor

from bbkernels.checks import expect_last_dimension, expect_same_shape
from bbkernels.gated_fusion.reference import gated_fusion_reference


def gated_fusion(base: Tensor, update: Tensor, alpha: Tensor) -> Tensor:
    """`base + alpha * (r * (base + update) - base)` with `r = rms(base) / rms(base + update)` per row.

    Args:
        base: [..., d], the frozen base state; receives no gradient.
        update: [..., d], the builder's `W_out h^C`.
        alpha: [d], gates in [0, 1].

    Returns:
        [..., d] in the dtype of `base`; equal to `base` bit for bit where `alpha` or `update` is 0.

    Raises:
        ValueError: shapes do not agree.
    """
    expect_same_shape(update, base, "update", "base")
    expect_last_dimension(alpha, base.shape[-1], "alpha")
    return gated_fusion_reference(base.detach(), update, alpha)
