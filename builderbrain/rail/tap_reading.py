"""Reading states as wide as the base without keeping copies of them.

What a rail computes at the base's width d is elementwise and cheap, and what autograd would keep of it is most of a step's
memory. So nothing of that width is kept here but the base's states, which exist anyway.

    norm_linear(h)       = (h / rms(h)) (W diag(g))^T = (h (W diag(g))^T) / rms(h)
    read_fusion(h, x)    = norm_linear(gated_fusion(h, x W_leave^T, alpha))

The first needs no normalised h: the weight g of the norm goes into the matrix, the length of h comes after it. The second one
computes its states again in the backward pass, on a CPU some rows at a time: with the native library each row of what is
elementwise in one go, without it few, so that they stay in the cache of the core. With
u = x W_leave^T, p = h + u, r = rms(h) / rms(p), f = h + alpha (r p - h), s = 1 / rms(f) and dz the gradient of the result:

    df     = s (dn - s^2 f mean(dn f)),   dn = dz W diag(g)
    dalpha = df (r p - h)                                       summed over rows
    du     = r (alpha df - p mean(alpha df p) / mean(p^2))

Where the base computes in bfloat16 and the processor multiplies it in hardware, training does these products in bfloat16, as
PyTorch's autocast would: sums are float32, and so are weights, sums of their gradients and everything elementwise. What is kept
of a tap is then the tap itself, not a float32 copy. Without gradients, and beside any other base, they are float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bbkernels.dispatch import multiplies_bfloat16
from bbkernels.gated_fusion import gated_fusion
from bbkernels.gated_fusion.native import NativeFusion, library_for
from bbkernels.gated_fusion.reference import EPSILON

_ROWS = 64
"""Rows that a CPU takes at a time: 192 KiB per array at a width of 768."""
_NATIVE_ROWS = 128
"""The same with the native library, which reads and writes an array once: as many as make products quick."""
_NARROW_ROWS = 1024
"""And in bfloat16, where little lies between products: of 256 and 128 rows they take a third longer."""


def norm_linear(x: Tensor, norm: nn.RMSNorm, weight: Tensor) -> Tensor:
    """`F.linear(norm(x), weight)` of x [..., d] and `weight` [c, d] in the dtype of the weight, without the normalised x."""
    read, epsilon = weight * norm.weight, epsilon_of(norm, weight)
    if is_narrow(x, weight):
        out: Tensor = _NormLinear.apply(x.flatten(0, -2), read, epsilon)  # type: ignore[no-untyped-call]
        return out.unflatten(0, x.shape[:-1])
    return _read(x.to(weight.dtype), read, epsilon)


def read_fusion(base: Tensor, x: Tensor, leave: Tensor, alpha: Tensor, read: Tensor, epsilon: float) -> Tensor:
    """What is read off a tap after the builder's update: [..., c] in the dtype of `x`.

    Args:
        base: [..., d], the tap; receives no gradient.
        x: [..., c], the builder's normed state; the update is `x @ leave.T`.
        leave: [d, c].
        alpha: [d], gates.
        read: [c', d], the weight of the norm included.
        epsilon: of the norm.
    """
    base = base.detach()
    if base.device.type == "cpu":
        out: Tensor = _ReadFusion.apply(  # type: ignore[no-untyped-call]
            base.flatten(0, -2), x.flatten(0, -2), leave, alpha, read, epsilon, is_narrow(base, leave)
        )
        return out.unflatten(0, x.shape[:-1])
    if not torch.is_grad_enabled():
        return _read_fusion(base, x, leave, alpha, read, epsilon)
    again: Tensor = checkpoint(
        _read_fusion,
        base,
        x,
        leave,
        alpha,
        read,
        epsilon,
        use_reentrant=False,
        preserve_rng_state=False,
        determinism_check="none",  # it is the same function of the same tensors
    )
    return again


def epsilon_of(norm: nn.RMSNorm, x: Tensor) -> float:
    """What a norm adds to mean squares of `x`."""
    return torch.finfo(x.dtype).eps if norm.eps is None else norm.eps


def is_narrow(base: Tensor, weight: Tensor) -> bool:
    """Whether products of these are made in bfloat16: in training alone, so that what a trained rail says depends on no such
    rounding."""
    return torch.is_grad_enabled() and weight.dtype == torch.float32 and multiplies_bfloat16(base)


def _read(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return F.linear(x, weight) * (x.square().mean(-1, keepdim=True) + epsilon).rsqrt()


def _read_fusion(base: Tensor, x: Tensor, leave: Tensor, alpha: Tensor, read: Tensor, epsilon: float) -> Tensor:
    return _read(gated_fusion(base, F.linear(x, leave), alpha).to(x.dtype), read, epsilon)


class _NormLinear(torch.autograd.Function):
    """`norm_linear` of bfloat16 x [N, d] and float32 `weight` [c, d] in bfloat16 products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        weight = weight.bfloat16()
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = length.square_().div_(x.shape[1]).add_(epsilon).rsqrt_()
        out = torch.mm(x, weight.T).float().mul_(scale)
        ctx.save_for_backward(x, weight, scale, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, out = ctx.saved_tensors
        gradient = gradients[0]
        scaled = (gradient * scale).bfloat16()
        for_x = None
        if ctx.needs_input_grad[0]:
            along = torch.linalg.vecdot(gradient, out)[:, None] * scale.square() / x.shape[1]
            for_x = torch.mm(scaled, weight).float().addcmul_(x.float(), along, value=-1.0).to(x.dtype)
        return for_x, torch.mm(scaled.T, x).float(), None


class _ReadFusion(torch.autograd.Function):
    """`read_fusion` of base [N, d] and x [N, c] on a CPU; `narrow` makes its products in bfloat16."""

    @staticmethod
    def forward(
        ctx: Any, base: Tensor, x: Tensor, leave: Tensor, alpha: Tensor, read: Tensor, epsilon: float, narrow: bool
    ) -> Tensor:
        if narrow:
            leave, read = leave.bfloat16(), read.bfloat16()
        ctx.save_for_backward(base, x, leave, alpha, read)
        ctx.epsilon, ctx.narrow = epsilon, narrow
        out = x.new_empty(x.shape[0], read.shape[0])
        for rows in _pieces(base, x, narrow):
            fused = _fuse(base[rows], torch.mm(x[rows].to(leave.dtype), leave.T), alpha, epsilon)
            torch.mul(torch.mm(fused.state.to(read.dtype), read.T), fused.scale, out=out[rows])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        base, x, leave, alpha, read = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        for_x, for_leave, for_alpha, for_read = (torch.zeros_like(value, dtype=x.dtype) for value in (x, leave, alpha, read))
        for rows in _pieces(base, x, ctx.narrow):
            of_x = x[rows].to(leave.dtype)
            fused = _fuse(base[rows], torch.mm(of_x, leave.T), alpha, ctx.epsilon)
            scaled = (gradient[rows] * fused.scale).to(read.dtype)
            for_read += torch.mm(scaled.T, fused.state.to(read.dtype))
            update = fused.backward(torch.mm(scaled, read).to(fused.state.dtype), for_alpha).to(leave.dtype)
            for_x[rows] = torch.mm(update, leave)
            for_leave += torch.mm(update.T, of_x)
        return None, for_x, for_leave, for_alpha, for_read, None, None


def _pieces(base: Tensor, x: Tensor, narrow: bool) -> list[slice]:
    step = _ROWS if library_for(base, x) is None else _NARROW_ROWS if narrow else _NATIVE_ROWS
    return [slice(start, start + step) for start in range(0, x.shape[0], step)]


def _fuse(base: Tensor, update: Tensor, alpha: Tensor, epsilon: float) -> _Fused | NativeFusion:
    library = library_for(base, update)
    if library is None:
        update = update.to(torch.promote_types(update.dtype, torch.float32))
        return _Fused(base.to(update.dtype), update, alpha, epsilon)
    return NativeFusion(library, base, update, alpha, epsilon)


class _Fused:
    """Some rows after fusion: `state` [n, d], and `scale` [n, 1] that an RMSNorm multiplies them by."""

    def __init__(self, base: Tensor, update: Tensor, alpha: Tensor, epsilon: float) -> None:
        self.alpha = alpha
        self.proposal = update.add_(base)
        self.mean = _mean_square(self.proposal) + EPSILON
        self.ratio = torch.sqrt((_mean_square(base) + EPSILON) / self.mean)
        self.change = torch.addcmul(-base, self.proposal, self.ratio)
        self.state = torch.addcmul(base, self.change, alpha)
        self.scale = (_mean_square(self.state) + epsilon).rsqrt_()

    def backward(self, gradient: Tensor, for_alpha: Tensor) -> Tensor:
        """The update's gradient [n, d]; `gradient` [n, d] is that of `state`, less what goes through the norm's length, and is
        overwritten. Adds to `for_alpha` [d]."""
        width = self.state.shape[1]
        along = torch.linalg.vecdot(gradient, self.state)[:, None] * self.scale.square() / width
        gradient.addcmul_(self.state, along, value=-1.0)
        for_alpha += torch.mul(gradient, self.change, out=self.change).sum(0)
        gradient *= self.alpha
        along = torch.linalg.vecdot(gradient, self.proposal)[:, None] / (width * self.mean)
        return gradient.addcmul_(self.proposal, along, value=-1.0).mul_(self.ratio)


def _mean_square(x: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, x)[:, None] / x.shape[1]
