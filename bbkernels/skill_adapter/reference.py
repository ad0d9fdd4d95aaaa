"""Specification of `skill_adapter`: `out[n] = up[k_n]^T silu(down[k_n] x[n])`, rows of one skill handled together."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def skill_adapter_reference(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """See `bbkernels.skill_adapter.skill_adapter`.

    All K down-projections are one matrix product; rows then keep their own skill's part. At small K * R this is quicker
    than K small products and it makes the value of a row independent of the other rows' skills.
    """
    skills, width, rank = down.shape
    hidden = F.silu(x @ down.permute(1, 0, 2).reshape(width, skills * rank)).unflatten(-1, (skills, rank))
    chosen = F.one_hot(skill, skills).to(x.dtype)
    return (hidden * chosen[:, :, None]).flatten(-2) @ up.reshape(skills * rank, width)
