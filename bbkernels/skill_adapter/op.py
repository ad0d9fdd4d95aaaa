"""Public entry of `skill_adapter`: checks, operators, autograd, launches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, INT64, expect_same_dtype, expect_tensor
from bbkernels.dispatch import differentiable_once, launches_kernels, operator
from bbkernels.skill_adapter.launch import PART_ROWS, SUM_BLOCK, block_sizes, group_sizes, product_type, stretches
from bbkernels.skill_adapter.native import adapt, takes
from bbkernels.skill_adapter.reference import skill_adapter_reference

_MAX_SKILLS = 1_024
_MAX_RANK = 64
"""What the kernels are known to hold in registers (`resources.json`); more takes the reference."""


def skill_adapter(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """`up[k]^T silu(down[k]^T x)` with the skill k of each row.

    Args:
        x: floating [N, c].
        skill: int64 [N], ids in [0, K). A GPU cannot look before it launches: there a row with another id becomes NaN.
        down: [K, c, R] in the dtype of `x`, R the rank; neither K nor R is 0.
        up: [K, R, c] in the dtype of `x`.

    Returns:
        [N, c].

    Raises:
        TypeError: an argument is no tensor.
        ValueError: shapes, dtypes or devices do not agree, or `skill` is not int64.
        IndexError: on a CPU, an id outside [0, K).
    """
    expect_tensor("x", x, FLOATING, ("N", "c"))
    rows, width = x.shape
    expect_tensor("skill", skill, INT64, (rows,), beside=("x", x))
    expect_tensor("down", down, FLOATING, ("K", width, "R"), beside=("x", x))
    skills, _, rank = down.shape
    if not skills or not rank:
        raise ValueError(f"expected down [K, {width}, R] with K and R of at least 1, got {list(down.shape)}")
    expect_tensor("up", up, FLOATING, (skills, rank, width), beside=("x", x))
    for name, value in (("down", down), ("up", up)):
        expect_same_dtype(name, value, "x", x)
    if not launches_kernels(x) or down.shape[0] > _MAX_SKILLS or down.shape[2] > _MAX_RANK:
        if takes(x, down):
            return adapt(x, skill, down, up)
        return skill_adapter_reference(x, skill, down, up)
    order, starts = torch.ops.bbkernels.skill_groups(skill, down.shape[0])
    out: Tensor = torch.ops.bbkernels.skill_adapter(x, order, starts, down, up)[0]
    return out


@operator("bbkernels::skill_groups")
def _group(skill: Tensor, skills: int) -> tuple[Tensor, Tensor]:
    """order int32 [N], rows sorted by skill and stably; starts int32 [K + 2], ids outside [0, K) as the last group."""
    from bbkernels.skill_adapter.kernel import skill_counts, skill_places

    rows = skill.shape[0]
    order = torch.empty(rows, dtype=torch.int32, device=skill.device)
    starts = torch.empty(skills + 2, dtype=torch.int32, device=skill.device)
    if not rows:
        return order, starts.zero_()
    sizes = group_sizes(rows, skills)
    counts = torch.empty(sizes.programs, sizes.buckets, dtype=torch.int32, device=skill.device)
    skill = skill.contiguous()
    skill_counts[(sizes.programs,)](skill, counts, rows, sizes.tiles, skills, sizes.buckets, sizes.tile)
    skill_places[(sizes.programs,)](
        skill, counts, order, starts, rows, sizes.tiles, sizes.programs, skills, sizes.buckets, sizes.tile
    )
    return order, starts


@_group.register_fake
def _(skill: Tensor, skills: int) -> tuple[Tensor, Tensor]:
    return skill.new_empty(skill.shape, dtype=torch.int32), skill.new_empty(skills + 2, dtype=torch.int32)


@operator("bbkernels::skill_adapter")
def _adapt(x: Tensor, order: Tensor, starts: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """out [N, c], and float32 [N, R]: `down[k]^T x` in the order of skills, for the backward pass."""
    from bbkernels.skill_adapter.kernel import skill_adapter_forward

    (rows, width), (skills, _, rank) = x.shape, down.shape
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    hidden = torch.empty(rows, rank, dtype=torch.float32, device=x.device)
    if out.numel():
        sizes = block_sizes(rows, width, rank, skills)
        x = _rows(x)
        skill_adapter_forward[(stretches(rows, skills, sizes.rows),)](
            x, order, starts, down.contiguous(), up.contiguous(), out, hidden,
            x.stride(0), width, rank, skills, sizes.buckets, sizes.rows, sizes.width, sizes.rank, product_type(x.dtype),
        )  # fmt: skip
    return out, hidden


@_adapt.register_fake
def _(x: Tensor, order: Tensor, starts: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device), x.new_empty(x.shape[0], down.shape[2], dtype=torch.float32)


@operator("bbkernels::skill_adapter_backward")
def _adapt_backward(
    gradient: Tensor, x: Tensor, order: Tensor, starts: Tensor, down: Tensor, up: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    import triton

    from bbkernels.skill_adapter.kernel import skill_adapter_backward, skill_adapter_parts, skill_adapter_sums

    (rows, width), (skills, _, rank) = x.shape, down.shape
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_down = torch.empty(down.shape, dtype=down.dtype, device=x.device)
    grad_up = torch.empty(up.shape, dtype=up.dtype, device=x.device)
    if not x.numel():
        return grad_x, grad_down.zero_(), grad_up.zero_()
    sizes = block_sizes(rows, width, rank, skills)
    product = product_type(x.dtype)
    x, gradient = _rows(x), _rows(gradient)
    slope = torch.empty_like(hidden)
    skill_adapter_backward[(stretches(rows, skills, sizes.rows),)](
        gradient, order, starts, down.contiguous(), up.contiguous(), hidden, slope, grad_x,
        gradient.stride(0), width, rank, skills, sizes.buckets, sizes.rows, sizes.width, sizes.rank, product,
    )  # fmt: skip
    parts = stretches(rows, skills, PART_ROWS)
    down_parts, up_parts = (torch.empty(parts, width * rank, dtype=torch.float32, device=x.device) for _ in range(2))
    skill_adapter_parts[(parts, triton.cdiv(width, sizes.width))](
        x, gradient, order, starts, hidden, slope, down_parts, up_parts, x.stride(0), gradient.stride(0),
        width, rank, skills, sizes.buckets, PART_ROWS, sizes.rows, sizes.width, sizes.rank, product,
    )  # fmt: skip
    skill_adapter_sums[(skills, triton.cdiv(width * rank, SUM_BLOCK))](
        starts, down_parts, up_parts, grad_down, grad_up, width * rank, skills, sizes.buckets, PART_ROWS, SUM_BLOCK
    )
    return grad_x, grad_down, grad_up


@_adapt_backward.register_fake
def _(
    gradient: Tensor, x: Tensor, order: Tensor, starts: Tensor, down: Tensor, up: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grads = [torch.empty(like.shape, dtype=like.dtype, device=like.device) for like in (x, down, up)]
    return grads[0], grads[1], grads[2]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.mark_non_differentiable(output[1])


def _differentiate(context: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None, Tensor, Tensor]:
    x, order, starts, down, up, hidden = context.saved_tensors
    grad_x, grad_down, grad_up = torch.ops.bbkernels.skill_adapter_backward(gradient, x, order, starts, down, up, hidden)
    return grad_x, None, None, grad_down, grad_up


differentiable_once(_adapt_backward, "skill_adapter")
_adapt.register_autograd(_differentiate, setup_context=_keep)


def _rows(x: Tensor) -> Tensor:
    """The same with neighbouring values in a row."""
    return x if x.stride(1) == 1 or x.shape[1] == 1 else x.contiguous()
