"""Calls of `csrc/cpu/panel_linear.cpp`.

Libraries for matrix products choose how to add by the shape of the whole product, so that a row may get other last bits when
another row stands beside it. A server that runs many outputs together must not: here a row adds its products one after the
other, in panels of sixteen outputs that all rows meet.
"""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bbkernels.native import cpu_library
from bbkernels.native_kept import kept_arrays

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "bb_panels_new": (_POINTER, [_POINTER, _LONG, _LONG]),
    "bb_panels_free": (None, [_POINTER]),
    "bb_panels_multiply": (None, [_POINTER, _POINTER, _LONG, _POINTER, _POINTER, _INT, _INT]),
}


class PanelLinear:
    """y = x W^T + b in float32; W is copied. Needs the native library.

    Args:
        weight: float32 [N, K] on the CPU.
        bias: float32 [N], or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        weight = weight.detach().contiguous()
        if weight.dtype != torch.float32 or weight.ndim != 2 or weight.device.type != "cpu":
            raise ValueError(f"expected weight as float32 [N, K] on the CPU, got {weight.dtype} {list(weight.shape)}")
        self.out_features, self.in_features = weight.shape
        self.bias = None if bias is None else bias.detach().contiguous()
        self._pointer: int = _function("bb_panels_new")(weight.data_ptr(), *weight.shape)
        weakref.finalize(self, _function("bb_panels_free"), self._pointer)

    @property
    def kept(self) -> Tensor:
        """float32: the copy of the weight that products read, in panels; not copied again."""
        return kept_arrays("bb_panels_kept", self._pointer)[0]

    def __call__(self, x: Tensor, *, level: int = BEST_LEVEL) -> Tensor:
        """[..., N] for float32 x [..., K], without a gradient."""
        rows = x.detach().reshape(-1, self.in_features).contiguous()
        y = torch.empty(len(rows), self.out_features)
        _function("bb_panels_multiply")(
            self._pointer, rows.data_ptr(), len(rows), None if self.bias is None else self.bias.data_ptr(), y.data_ptr(),
            level, torch.get_num_threads(),
        )  # fmt: skip
        return y.view(*x.shape[:-1], self.out_features)


@cache
def _function(name: str) -> Any:
    function = getattr(cpu_library(), name)
    function.restype, function.argtypes = _SIGNATURES[name]
    return function
