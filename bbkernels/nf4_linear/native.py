"""Calls of `csrc/cpu/nf4_linear.cpp` and `csrc/cuda/nf4_linear.cu`. Shapes and dtypes were checked by the caller."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bbkernels.nf4_linear.weight import GROUP, Nf4Weight

CPU_ROWS = 16
"""Most rows of x that the CPU product takes; more are multiplied with the unpacked weight by PyTorch."""
CUDA_ROWS = 16
"""Most rows of x that the CUDA product takes."""
CPU_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_AVX512 = 2
BEST_LEVEL = _AVX512
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_CACHED = 1 << 21
"""Weights that are unpacked at a time, 8 MiB in float32: a matrix in one piece is multiplied a little quicker (LOG.md)."""
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_WEIGHT = [_POINTER] * 6
_SIGNATURES = {
    "bb_nf4_linear_cpu": [_POINTER, *_WEIGHT, _POINTER, _POINTER, _LONG, _LONG, _LONG, _INT, _INT, _INT],
    "bb_nf4_unpack_cpu": [*_WEIGHT, _POINTER, _LONG, _LONG, _INT, _INT, _INT],
    "bb_cpu_multiplies_bfloat16": [],
    "bb_nf4_linear_cuda": [_POINTER, *_WEIGHT, _POINTER, _POINTER, _LONG, _LONG, _LONG, _LONG, _POINTER],
}


def multiply_on_cpu(library: ctypes.CDLL, x: Tensor, weight: Nf4Weight, bias: Tensor | None, level: int = BEST_LEVEL) -> Tensor:
    """y [R, N] for contiguous x [R, K], R in 1..16, with instructions of at most `level`."""
    rows = x.shape[0]
    y = torch.empty(rows, weight.out_features, dtype=x.dtype)
    refused = _function(library, "bb_nf4_linear_cpu")(
        x.data_ptr(), *_pointers(weight), None if bias is None else bias.data_ptr(), y.data_ptr(),
        rows, weight.out_features, weight.in_features, CPU_DTYPES[x.dtype], level, torch.get_num_threads(),
    )  # fmt: skip
    if refused:
        raise ValueError(f"expected 1 to {CPU_ROWS} rows of a multiple of {GROUP} values, got {tuple(x.shape)}")
    return y


def multiply_many_on_cpu(library: ctypes.CDLL, x: Tensor, weight: Nf4Weight, bias: Tensor | None) -> Tensor:
    """y [R, N] for any R: rows of W are unpacked, as many as stay in the cache, and multiplied by PyTorch.

    In bfloat16 if `x` is and the processor has instructions for it; else in float32, which most multiply faster.
    """
    narrow = x.dtype == torch.bfloat16 and multiplies_bfloat16(library)
    dtype = torch.bfloat16 if narrow else torch.float32
    wide, added = x.to(dtype), None if bias is None else bias.to(dtype)
    product = _onednn_linear if library.bb_cpu_level() >= _AVX512 and _has_onednn() else functional.linear
    step = max(1, _CACHED // weight.in_features)
    buffer = wide.new_empty(min(step, weight.out_features), weight.in_features)
    parts = []
    for first in range(0, weight.out_features, step):
        part = buffer[: weight.out_features - first]
        unpack_on_cpu(library, weight, first, part)
        parts.append(product(wide, part, None if added is None else added[first : first + part.shape[0]]))
    return (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).to(x.dtype)


def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` by oneDNN, a tenth quicker than MKL in float32 where that does not use AVX-512 (LOG.md)."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def multiplies_bfloat16(library: ctypes.CDLL) -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return bool(_function(library, "bb_cpu_multiplies_bfloat16")())


def unpack_on_cpu(library: ctypes.CDLL, weight: Nf4Weight, first: int, out: Tensor, level: int = BEST_LEVEL) -> None:
    """Fill out [n, K], float32 or bfloat16, with the rows of W from `first` on, rounded once from float32."""
    per_row = weight.in_features // GROUP
    _function(library, "bb_nf4_unpack_cpu")(
        *_pointers(weight), out.data_ptr(), first * per_row, out.shape[0] * per_row, CPU_DTYPES[out.dtype], level,
        torch.get_num_threads(),
    )  # fmt: skip


def multiply_on_cuda(library: ctypes.CDLL, x: Tensor, weight: Nf4Weight, bias: Tensor | None, stream: int) -> Tensor:
    """y [R, N] for bfloat16 x [R, K], R in 1..16, its rows aligned to 16 bytes; runs on `stream` of the current device."""
    y = x.new_empty(x.shape[0], weight.out_features)
    status = _function(library, "bb_nf4_linear_cuda")(
        x.data_ptr(), *_pointers(weight), None if bias is None else bias.data_ptr(), y.data_ptr(),
        x.shape[0], weight.out_features, weight.in_features, x.stride(0), stream,
    )  # fmt: skip
    if status > 0:
        raise RuntimeError(f"nf4_linear: the CUDA launch for x {tuple(x.shape)} failed with error {status}")
    if status:
        raise ValueError(f"expected 1 to {CUDA_ROWS} aligned rows of a multiple of {GROUP} values, got {tuple(x.shape)}")
    return y


def serves_on_cuda(x: Tensor, weight: Nf4Weight) -> bool:
    """Whether `multiply_on_cuda` takes this x."""
    return (
        x.dtype == torch.bfloat16
        and 1 <= x.shape[0] <= CUDA_ROWS
        and weight.in_features % GROUP == 0
        and weight.packed.numel() > 0
        and x.stride(0) % 8 == 0
        and x.data_ptr() % 16 == 0
        and weight.packed.data_ptr() % 8 == 0
    )


def _function(library: ctypes.CDLL, name: str) -> Any:
    function = getattr(library, name)
    if function.argtypes is None:
        function.argtypes, function.restype = _SIGNATURES[name], _INT
    return function


def _pointers(weight: Nf4Weight) -> tuple[int | None, ...]:
    scales = weight.absmax.data_ptr()
    if weight.nested_absmax is None or weight.nested_code is None or weight.offset is None:
        return weight.packed.data_ptr(), scales, weight.code.data_ptr(), None, None, None
    nested = (weight.nested_absmax.data_ptr(), weight.nested_code.data_ptr(), weight.offset.data_ptr())
    return weight.packed.data_ptr(), scales, weight.code.data_ptr(), *nested
