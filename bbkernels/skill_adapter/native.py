"""Calls of `csrc/cpu/skill_adapter.cpp`, as one node of autograd: for small adapters in training."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bbkernels.dispatch import native_library
from bbkernels.skill_adapter.reference import expect_ids

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_SMALL = 1_024
"""Most rank * width of an adapter: beyond, products of many rows of one skill are quicker than one row after the other."""


def takes(x: Tensor, down: Tensor) -> bool:
    """Whether x [N, c] and `down` [K, c, R] are served: in training, of float32 and small, with the native library at hand."""
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return x.dtype == torch.float32 and 0 < down[0].numel() <= _SMALL and x.numel() > 0 and native_library(x) is not None


def adapt(x: Tensor, skill: Tensor, down: Tensor, up: Tensor, level: int = BEST_LEVEL) -> Tensor:
    """[N, c] of float32 x [N, c], `down` [K, c, R] and `up` [K, R, c]; `skill` int64 [N].

    Raises:
        IndexError: a skill is not in 0..K - 1.
    """
    out: Tensor = _Adapt.apply(x, skill, down.mT, up, level)  # type: ignore[no-untyped-call]
    return out


class _Adapt(torch.autograd.Function):
    """The same with `down` [K, R, c]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, skill: Tensor, down: Tensor, up: Tensor, level: int) -> Tensor:
        x, skill, down, up = x.contiguous(), skill.contiguous(), down.contiguous(), up.contiguous()
        hidden, out = x.new_empty(x.shape[0], down.shape[1]), torch.empty_like(x)
        _run((x, skill, down, up), hidden, out, (), level)
        ctx.save_for_backward(x, skill, down, up, hidden)
        ctx.level = level
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, skill, down, up, hidden = ctx.saved_tensors
        out, for_down, for_up = torch.empty_like(x), torch.zeros_like(down), torch.zeros_like(up)
        _run((x, skill, down, up), hidden, out, (gradients[0].contiguous(), for_down, for_up), ctx.level)
        return out, None, for_down, for_up, None


def _run(
    given: tuple[Tensor, Tensor, Tensor, Tensor], hidden: Tensor, out: Tensor, gradients: tuple[Tensor, ...], level: int
) -> None:
    """`given`: x, skill, down, up; `gradients`: of out, then those of down and up that are added to; none in a forward pass."""
    x, skill, down, _ = given
    library = native_library(x)
    if library is None:
        raise RuntimeError("expected the native library, which was there in the forward pass, got none")
    places = [tensor.data_ptr() for tensor in (*given, hidden, out, *gradients)] + [None] * (3 - len(gradients))
    (skills, rank, width), threads = down.shape, torch.get_num_threads()
    if _function(library)(*places, x.shape[0], width, skills, rank, level, threads):
        expect_ids(skill, skills)


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_skill_adapter_cpu
    if function.argtypes is None:
        function.argtypes = [*[ctypes.c_void_p] * 9, *[ctypes.c_int64] * 4, ctypes.c_int, ctypes.c_int]
        function.restype = ctypes.c_int
    return function
