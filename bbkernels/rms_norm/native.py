"""Calls of `csrc/cpu/rms_norm.cpp`, as one node of autograd."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bbkernels.dispatch import native_library

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_ROWS = 64
"""Rows whose gradient of the weight is summed in one piece, as in the library."""


def takes(x: Tensor, weight: Tensor) -> bool:
    """Whether these are served: in training, of float32, with the native library at hand."""
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return x.dtype == weight.dtype == torch.float32 and x.numel() > 0 and native_library(x) is not None


def rms_norm(x: Tensor, weight: Tensor, epsilon: float, level: int = BEST_LEVEL) -> Tensor:
    """`x / sqrt(mean(x^2) + epsilon) * weight` of float32 x [..., d] and weight [d]."""
    out: Tensor = _RMSNorm.apply(x, weight, epsilon, level)  # type: ignore[no-untyped-call]
    return out


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, level: int) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        out, scale = torch.empty_like(x), x.new_empty(x.shape[:-1])
        _run(x, weight, scale, out, None, None, epsilon, level)
        ctx.save_for_backward(x, weight, scale)
        ctx.epsilon, ctx.level = epsilon, level
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        out, parts = torch.empty_like(x), x.new_zeros(-(-scale.numel() // _ROWS), x.shape[-1])
        _run(x, weight, scale, out, gradients[0].contiguous(), parts, ctx.epsilon, ctx.level)
        return out, parts.sum(0), None, None


def _run(
    x: Tensor,
    weight: Tensor,
    scale: Tensor,
    out: Tensor,
    gradient: Tensor | None,
    for_weight: Tensor | None,
    epsilon: float,
    level: int,
) -> None:
    library = native_library(x)
    if library is None:
        raise RuntimeError("expected the native library, which was there in the forward pass, got none")
    _function(library)(
        x.data_ptr(), weight.data_ptr(), scale.data_ptr(), out.data_ptr(), None if gradient is None else gradient.data_ptr(),
        None if for_weight is None else for_weight.data_ptr(), scale.numel(), x.shape[-1], epsilon, level,
        torch.get_num_threads(),
    )  # fmt: skip


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_rms_norm_cpu
    if function.argtypes is None:
        function.argtypes = [
            *[ctypes.c_void_p] * 6, ctypes.c_int64, ctypes.c_int64, ctypes.c_float, ctypes.c_int, ctypes.c_int,
        ]  # fmt: skip
        function.restype = None
    return function
