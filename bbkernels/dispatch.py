"""Where an operation runs: the one place of the project that asks.

CUDA tensors go to the kernels. CPU tensors go to the reference, unless Triton interprets (`TRITON_INTERPRET=1`): then they go
through the kernels as well, which is how those are proven without a GPU.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache

from torch import Tensor


def launches_kernels(tensor: Tensor) -> bool:
    """Whether operations on this tensor launch Triton kernels."""
    if tensor.dtype.itemsize > 4:
        return False  # float64 is for proofs, and the reference is what they are made with
    return _has_triton() and (tensor.is_cuda or interprets())


def interprets() -> bool:
    """Whether Triton runs kernels on the CPU, statement by statement."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
