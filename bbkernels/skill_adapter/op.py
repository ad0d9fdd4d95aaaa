"""Public entry of `skill_adapter`."""

from __future__ import annotations

import torch
from torch import Tensor

from bbkernels.checks import expect_dimensions, expect_last_dimension
from bbkernels.skill_adapter.reference import skill_adapter_reference


def skill_adapter(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """`up[k]^T silu(down[k]^T x)` with the skill k of each row.

    Args:
        x: [N, c].
        skill: int64 [N], ids in [0, K).
        down: [K, c, R], R the rank.
        up: [K, R, c].

    Returns:
        [N, c].

    Raises:
        ValueError: shapes do not agree or `skill` is not int64.
    """
    expect_dimensions(x, 2, "x", "[N, c]")
    expect_dimensions(down, 3, "down", "[K, c, R]")
    expect_last_dimension(x, down.shape[1], "x")
    if up.shape != (down.shape[0], down.shape[2], down.shape[1]):
        raise ValueError(f"expected up as {(down.shape[0], down.shape[2], down.shape[1])}, got {tuple(up.shape)}")
    if skill.dtype != torch.int64 or skill.shape != x.shape[:1]:
        raise ValueError(f"expected skill as int64 {tuple(x.shape[:1])}, got {skill.dtype} {tuple(skill.shape)}")
    return skill_adapter_reference(x, skill, down, up)
