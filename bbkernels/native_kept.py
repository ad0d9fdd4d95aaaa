"""The arrays that an object of the CPU library keeps for itself: what its products read, whatever became of the originals."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bbkernels.native import cpu_library


def kept_arrays(function: str, pointer: int) -> list[Tensor]:
    """Float32 arrays [N], not copied: they are there as long as the object is.

    Args:
        function: `const float* (object, index, &size)`, which gives null behind the last array.
        pointer: the object.
    """
    found: list[Tensor] = []
    size = ctypes.c_int64()
    index = 0
    while address := _function(function)(pointer, index, ctypes.byref(size)):
        found.append(torch.frombuffer((ctypes.c_float * size.value).from_address(address), dtype=torch.float32))
        index += 1
    return found


@cache
def _function(name: str) -> Any:
    function = getattr(cpu_library(), name)
    function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64)]
    return function
