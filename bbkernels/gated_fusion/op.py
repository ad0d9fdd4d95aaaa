"""Public entry of `gated_fusion`: checks, operators, autograd, launches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, expect_number, expect_tensor
from bbkernels.dispatch import differentiable_once, launches_kernels, operator
from bbkernels.gated_fusion.reference import EPSILON, gated_fusion_reference

_MAX_WIDTH = 8_192
"""Widest row that one program is known to hold in registers (`resources.json`); wider ones take the reference."""


def gated_fusion(
    base: Tensor,
    update: Tensor,
    alpha: Tensor,
    *,
    norm_weight: Tensor | None = None,
    norm_epsilon: float = 1e-6,
) -> Tensor:
    """`base + alpha * (r * (base + update) - base)` with `r = rms(base) / rms(base + update)` per row.

    Args:
        base: floating [..., d], the frozen base state; receives no gradient.
        update: floating [..., d], the builder's `W_out h^C`.
        alpha: floating [d], gates in [0, 1].
        norm_weight: floating [d], weight of an RMSNorm that follows (the base's final one), None for none; has no
            gradient.
        norm_epsilon: of that norm, >= 0.

    Returns:
        [..., d] in the dtype of `base`; without a norm equal to `base` bit for bit where `alpha` or `update` is 0.

    Raises:
        TypeError: an argument is no tensor, or the epsilon no number.
        ValueError: shapes, dtypes or devices do not agree.
    """
    expect_tensor("base", base, FLOATING, ("...", "d"))
    expect_tensor("update", update, FLOATING, base.shape, beside=("base", base))
    expect_tensor("alpha", alpha, FLOATING, base.shape[-1:], beside=("base", base))
    expect_number("norm_epsilon", norm_epsilon, least=0.0)
    if norm_weight is not None:
        expect_tensor("norm_weight", norm_weight, FLOATING, base.shape[-1:], beside=("base", base))
        norm_weight = norm_weight.detach().contiguous()
    if not launches_kernels(base) or base.shape[-1] > _MAX_WIDTH:
        return gated_fusion_reference(base.detach(), update, alpha, norm_weight, norm_epsilon)
    out: Tensor = torch.ops.bbkernels.gated_fusion(base.detach(), update, alpha, norm_weight, norm_epsilon)
    return out


@operator("bbkernels::gated_fusion")
def _fuse(base: Tensor, update: Tensor, alpha: Tensor, norm_weight: Tensor | None, norm_epsilon: float) -> Tensor:
    import triton

    from bbkernels.gated_fusion.kernel import gated_fusion_forward

    width = base.shape[-1]
    flat_base, flat_update = _rows(base), _rows(update)
    out = torch.empty(base.shape, dtype=base.dtype, device=base.device)
    if out.numel():
        block = triton.next_power_of_2(width)
        gated_fusion_forward[(flat_base.shape[0],)](
            flat_base, flat_update, alpha.contiguous(), norm_weight, out,
            flat_base.shape[0], width, flat_base.stride(0), flat_update.stride(0), EPSILON, norm_epsilon,
            norm_weight is not None, block, num_warps=warps(block),
        )  # fmt: skip
    return out


@_fuse.register_fake
def _(base: Tensor, update: Tensor, alpha: Tensor, norm_weight: Tensor | None, norm_epsilon: float) -> Tensor:
    return torch.empty(base.shape, dtype=base.dtype, device=base.device)


@operator("bbkernels::gated_fusion_backward")
def _fuse_backward(
    gradient: Tensor, base: Tensor, update: Tensor, alpha: Tensor, norm_weight: Tensor | None, norm_epsilon: float
) -> tuple[Tensor, Tensor]:
    import triton

    from bbkernels.gated_fusion.kernel import gated_fusion_backward

    width = base.shape[-1]
    flat_gradient, flat_base, flat_update = _rows(gradient), _rows(base), _rows(update)
    rows = flat_base.shape[0]
    grad_update = torch.empty(update.shape, dtype=update.dtype, device=update.device)
    if not grad_update.numel():
        return grad_update, torch.zeros_like(alpha)
    programs = min(rows, _programs(base.device))
    grad_alpha = torch.empty(programs, width, dtype=torch.float32, device=base.device)
    block = triton.next_power_of_2(width)
    gated_fusion_backward[(programs,)](
        flat_gradient, flat_base, flat_update, alpha.contiguous(), norm_weight, grad_update, grad_alpha,
        rows, width, flat_gradient.stride(0), flat_base.stride(0), flat_update.stride(0), EPSILON, norm_epsilon,
        norm_weight is not None, block, num_warps=backward_warps(block, has_norm=norm_weight is not None),
    )  # fmt: skip
    return grad_update, grad_alpha.sum(0).to(alpha.dtype)


@_fuse_backward.register_fake
def _(
    gradient: Tensor, base: Tensor, update: Tensor, alpha: Tensor, norm_weight: Tensor | None, norm_epsilon: float
) -> tuple[Tensor, Tensor]:
    return torch.empty(update.shape, dtype=update.dtype, device=update.device), torch.empty_like(alpha)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    base, update, alpha, norm_weight, ctx.norm_epsilon = inputs
    ctx.save_for_backward(base, update, alpha, norm_weight)


def _differentiate(context: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
    base, update, alpha, norm_weight = context.saved_tensors
    for_update, for_alpha = torch.ops.bbkernels.gated_fusion_backward(
        gradient, base, update, alpha, norm_weight, context.norm_epsilon
    )
    return None, for_update, for_alpha, None, None


differentiable_once(_fuse_backward, "gated_fusion")
_fuse.register_autograd(_differentiate, setup_context=_keep)


def _rows(x: Tensor) -> Tensor:
    """[N, d] with neighbouring values in a row; a view where the strides allow one."""
    flat = x.flatten(0, -2) if x.ndim > 1 else x[None]
    return flat if flat.stride(-1) == 1 or flat.shape[-1] == 1 else flat.contiguous()


def warps(block: int) -> int:
    """Warps of a program whose rows are padded to `block` values: 8 values of each array per thread, 16 in the widest."""
    return min(16, max(1, block // 256))


def backward_warps(block: int, *, has_norm: bool) -> int:
    """As `warps`; the widest rows with a norm need more registers than so many threads have."""
    return 8 if has_norm and block >= 8192 else warps(block)


def _programs(device: torch.device) -> int:
    """How many programs share the rows of a backward pass: four per multiprocessor."""
    if device.type != "cuda":
        return 3  # the interpreter: few, so that each takes several rows
    return 4 * torch.cuda.get_device_properties(device).multi_processor_count
