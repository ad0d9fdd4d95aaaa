"""Public entry of `governed_loss`."""

from __future__ import annotations

import torch
from torch import Tensor

from bbkernels.checks import expect_dimensions, expect_last_dimension, expect_same_shape
from bbkernels.governed_loss.reference import GovernedLoss, OutputHead, governed_loss_reference


def governed_loss(
    fused: Tensor,
    base: Tensor,
    head: OutputHead,
    labels: Tensor,
    bitmask: Tensor | None = None,
    *,
    chunk_rows: int = 4096,
) -> GovernedLoss:
    """Cross-entropy, KL(builder || base) and grammar energy per row, with gradients to `fused` only.

    Args:
        fused: [N, d], last fused states after the base's final norm.
        base: [N, d], last base states after the final norm; receives no gradient.
        head: the frozen head over V tokens; receives no gradient.
        labels: int64 [N]; negative means no label, and a cross-entropy of 0.
        bitmask: int32 [N, ceil(V / 32)], legal next tokens per row; None when no row has a grammar.
        chunk_rows: rows whose logits exist at a time.

    Returns:
        `GovernedLoss`, nats. A row whose mask allows nothing has energy +inf.

    Raises:
        ValueError: shapes or dtypes do not agree.
    """
    expect_dimensions(fused, 2, "fused", "[N, d]")
    expect_same_shape(base, fused, "base", "fused")
    expect_last_dimension(head.weight, fused.shape[1], "head.weight")
    if labels.dtype != torch.int64 or labels.shape != fused.shape[:1]:
        raise ValueError(f"expected labels as int64 {tuple(fused.shape[:1])}, got {labels.dtype} {tuple(labels.shape)}")
    words = (head.weight.shape[0] + 31) // 32
    if bitmask is not None and (bitmask.dtype != torch.int32 or bitmask.shape != (fused.shape[0], words)):
        raise ValueError(f"expected bitmask as int32 {(fused.shape[0], words)}, got {bitmask.dtype} {tuple(bitmask.shape)}")
    return governed_loss_reference(fused, base.detach(), head, labels, bitmask, chunk_rows=chunk_rows)
