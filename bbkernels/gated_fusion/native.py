"""Calls of `csrc/cpu/gated_fusion.cpp`: fusion and the length of an RMSNorm that follows, and the gradients of both."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from bbkernels.dispatch import native_library
from bbkernels.gated_fusion.reference import EPSILON

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_ROWS = 64
"""Rows whose gradient of alpha is summed in one piece, as in the library."""
_TYPES = {
    (torch.float32, torch.float32): 0,
    (torch.bfloat16, torch.float32): 1,
    (torch.bfloat16, torch.bfloat16): 2,
}
"""Of base and update."""
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float


class NativeFusion:
    """Rows after fusion: `state` [n, d] in the dtype of `update`, `scale` float32 [n, 1] that an RMSNorm multiplies them by.

    Args:
        base: [n, d], float32 or bfloat16.
        update: [n, d], float32, or bfloat16 like the base: what lies between is float32 all the same.
        alpha: float32 [d].
        epsilon: of the norm.
    """

    def __init__(
        self, library: ctypes.CDLL, base: Tensor, update: Tensor, alpha: Tensor, epsilon: float, level: int = BEST_LEVEL
    ) -> None:
        self._library, self._epsilon, self._level = library, epsilon, level
        self._base, self._update, self._alpha = base.contiguous(), update.contiguous(), alpha.contiguous()
        self.state = torch.empty_like(self._update)
        self._statistics = update.new_empty(3, update.shape[0], dtype=torch.float32)
        self._call(None, None)
        self.scale = self._statistics[2][:, None]

    def backward(self, gradient: Tensor, for_alpha: Tensor) -> Tensor:
        """The update's gradient [n, d]; contiguous `gradient` [n, d], in its dtype, is that of `state`, less what goes
        through the norm's length, and is overwritten. Adds to `for_alpha` [d]."""
        rows, width = self.state.shape
        parts = gradient.new_zeros(-(-rows // _ROWS), width, dtype=torch.float32)
        self._call(gradient, parts)
        for_alpha += parts.sum(0)
        return gradient

    def _call(self, gradient: Tensor | None, for_alpha: Tensor | None) -> None:
        rows, width = self.state.shape
        refused = _function(self._library)(
            self._base.data_ptr(), self._update.data_ptr(), self._alpha.data_ptr(), self.state.data_ptr(),
            self._statistics.data_ptr(), None if gradient is None else gradient.data_ptr(),
            None if for_alpha is None else for_alpha.data_ptr(), rows, width, EPSILON, self._epsilon,
            _TYPES[self._base.dtype, self._update.dtype], self._level, torch.get_num_threads(),
        )  # fmt: skip
        if refused:
            raise ValueError(f"expected rows of at least one value, got {tuple(self._base.shape)}")


def library_for(base: Tensor, update: Tensor) -> ctypes.CDLL | None:
    """The native library if it takes these on a CPU."""
    return native_library(base) if (base.dtype, update.dtype) in _TYPES else None


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_gated_fusion_cpu
    if function.argtypes is None:
        function.argtypes = [*[_POINTER] * 7, _LONG, _LONG, _FLOAT, _FLOAT, _INT, _INT, _INT]
        function.restype = _INT
    return function
