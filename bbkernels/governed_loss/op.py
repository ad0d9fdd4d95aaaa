"""Public entry of `governed_loss`: checks, operators, autograd, launches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, INT32, INT64, expect_number, expect_tensor, expect_type
from bbkernels.dispatch import differentiable_once, launches_kernels, operator
from bbkernels.governed_loss import launch, narrow
from bbkernels.governed_loss.blocked import governed_loss_blocked
from bbkernels.governed_loss.reference import GovernedLoss, OutputHead


def governed_loss(
    fused: Tensor, base: Tensor | None, head: OutputHead, labels: Tensor, bitmask: Tensor | None = None
) -> GovernedLoss:
    """Cross-entropy, KL(builder || base) and grammar energy per row, with gradients to `fused` only.

    No array of N x V values exists in either pass, but for at most 2^24 logits in bfloat16, in training with a bfloat16 head on
    a CPU that multiplies it (`narrow.py`). Weights of tokens need no argument: readings are per row, so a caller weighs
    or bends them freely, and what autograd hands back per row is all that the backward pass needs to know. On CUDA a reading
    that the loss does not use is not computed in the backward pass.

    Args:
        fused: floating [N, d], last fused states after the base's final norm; taken in the head's dtype.
        base: [N, d], last base states after the final norm; receives no gradient. None when nobody asks for the divergence,
            which then reads 0.
        head: the frozen head over V rows, of which `vocab_size` are tokens; receives no gradient.
        labels: int64 [N]; negative means no label, a cross-entropy of 0 without gradient. A label that is no token has
            probability 0: +inf, without gradient.
        bitmask: int32 [N, ceil(V / 32)], legal next tokens per row; None when no row has a grammar. Bits from `vocab_size` on
            mean nothing.

    Returns:
        `GovernedLoss`, nats. A row whose mask allows nothing has energy +inf and no gradient from it.

    Raises:
        TypeError: an argument is no tensor, or the head no `OutputHead`.
        ValueError: shapes, dtypes, devices or the layout of the head do not agree, or a number in it is out of range.
    """
    expect_tensor("fused", fused, FLOATING, ("N", "d"))
    rows, width = fused.shape
    if base is not None:
        expect_tensor("base", base, FLOATING, fused.shape, beside=("fused", fused))
    expect_type("head", head, OutputHead)
    _check_head(head, width, fused)
    size = head.weight.shape[0]
    vocab_size = size if head.vocab_size is None else head.vocab_size
    expect_tensor("labels", labels, INT64, (rows,), beside=("fused", fused))
    if bitmask is not None:
        expect_tensor("bitmask", bitmask, INT32, (rows, (size + 31) // 32), beside=("fused", fused))

    weight = head.weight.detach()[:vocab_size]
    bias = None if head.bias is None else head.bias.detach()[:vocab_size].contiguous()
    tokens = OutputHead(weight=weight, bias=bias, scale=head.scale, soft_cap=head.soft_cap)
    states, base_states = fused.to(weight.dtype), None if base is None else base.detach().to(weight.dtype)
    rest = (weight, bias, labels, bitmask, head.scale, head.soft_cap)
    if launches_kernels(weight):
        readings = torch.ops.bbkernels.governed_loss(states, states.detach() if base_states is None else base_states, *rest)
    elif narrow.takes(states, tokens):
        readings = narrow.governed_loss_narrow(states, base_states, tokens, labels, bitmask)
    else:
        readings = governed_loss_blocked(states, base_states, *rest, torch.is_grad_enabled() and states.requires_grad)
    cross_entropy, divergence, energy = readings[:3]
    if base is None:
        divergence = torch.zeros_like(cross_entropy)
    return GovernedLoss(cross_entropy=cross_entropy, divergence=divergence, energy=energy)


def _check_head(head: OutputHead, width: int, fused: Tensor) -> None:
    expect_tensor("head.weight", head.weight, FLOATING, ("V", width), beside=("fused", fused))
    size = head.weight.shape[0]
    if head.vocab_size is not None:
        expect_number("head.vocab_size", head.vocab_size, whole=True)
    if not 0 < (size if head.vocab_size is None else head.vocab_size) <= size:
        raise ValueError(f"expected head.vocab_size in 1..{size}, the rows of head.weight, got {head.vocab_size}")
    if head.weight.stride(1) != 1 and width > 1:
        raise ValueError("expected head.weight with neighbouring values in a row, got a transposed view; pass .contiguous()")
    if head.bias is not None:
        expect_tensor("head.bias", head.bias, FLOATING, (size,), beside=("fused", fused))
    expect_number("head.scale", head.scale)
    if head.soft_cap is not None:
        expect_number("head.soft_cap", head.soft_cap, above=0.0)


@operator("bbkernels::governed_loss")
def _measure(
    fused: Tensor, base: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, bitmask: Tensor | None,
    scale: float, soft_cap: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Readings [N], [N], [N], and statistics [3, N] for the backward pass."""
    out = _empty(fused)
    if fused.shape[0]:
        launch.forward(fused, base, weight, bias, labels, bitmask, scale, soft_cap, out)
    return out


@_measure.register_fake
def _(
    fused: Tensor, base: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, bitmask: Tensor | None,
    scale: float, soft_cap: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return _empty(fused)


def _empty(fused: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = fused.shape[0]
    one, two, three = (torch.empty(rows, dtype=torch.float32, device=fused.device) for _ in range(3))
    return one, two, three, torch.empty(3, rows, dtype=torch.float32, device=fused.device)


@operator("bbkernels::governed_loss_backward")
def _measure_backward(
    upstream: Tensor, fused: Tensor, base: Tensor | None, weight: Tensor, bias: Tensor | None, labels: Tensor,
    bitmask: Tensor | None, statistics: Tensor, scale: float, soft_cap: float | None,
) -> Tensor:  # fmt: skip
    """Gradient of `fused`; `base` None when the divergence has no part in it, `bitmask` None when the energy has none."""
    if not fused.numel():
        return torch.empty_like(fused)
    return launch.backward(upstream, fused, base, weight, bias, labels, bitmask, statistics, scale, soft_cap)


@_measure_backward.register_fake
def _(
    upstream: Tensor, fused: Tensor, base: Tensor | None, weight: Tensor, bias: Tensor | None, labels: Tensor,
    bitmask: Tensor | None, statistics: Tensor, scale: float, soft_cap: float | None,
) -> Tensor:  # fmt: skip
    return fused.new_empty(fused.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    *tensors, ctx.scale, ctx.soft_cap = inputs
    ctx.save_for_backward(*tensors, output[2], output[3])


def _differentiate(
    context: Any, cross_entropy: Tensor | None, divergence: Tensor | None, energy: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    fused, base, weight, bias, labels, bitmask, energies, statistics = context.saved_tensors
    if bitmask is None:
        energy = None  # it is 0 whatever the states are
    none = torch.zeros_like(energies)
    upstream = torch.stack([none if gradient is None else gradient for gradient in (cross_entropy, divergence, energy)])
    # Rows without a label, and rows whose energy is infinite, have no slope.
    upstream[0] *= (labels >= 0) & (labels < weight.shape[0])
    upstream[2] = upstream[2].where(energies.isfinite(), 0.0)
    gradient = torch.ops.bbkernels.governed_loss_backward(
        upstream, fused, base if divergence is not None else None, weight, bias, labels,
        bitmask if energy is not None else None, statistics, context.scale, context.soft_cap,
    )  # fmt: skip
    return gradient, *(None,) * 7


differentiable_once(_measure_backward, "governed_loss")
_measure.register_autograd(_differentiate, setup_context=_keep)
