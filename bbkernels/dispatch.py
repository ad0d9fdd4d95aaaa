"""Where an operation runs: the one place of the project that asks.

CUDA tensors go to the kernels. CPU tensors go to the reference, unless Triton interprets (`TRITON_INTERPRET=1`): then they go
through the kernels as well, which is how those are proven without a GPU. The native libraries of `csrc/`, where they were
built, stand beside: operations that have a form in one ask `native_library` first.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef

from bbkernels.native import Library, cpu_library, cuda_library


def launches_kernels(tensor: Tensor) -> bool:
    """Whether operations on this tensor launch Triton kernels."""
    if tensor.dtype.itemsize > 4:
        return False  # float64 is for proofs, and the reference is what they are made with
    return _has_triton() and (tensor.is_cuda or interprets())


def operator(name: str, *, mutates: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], CustomOpDef]:
    """`torch.library.custom_op` for a function that mutates the arguments named and launches on the device of its first tensor.

    Triton launches on the current device, whatever the tensors' is, and neither PyTorch nor Triton sees to it.
    """

    def register(function: Callable[..., Any]) -> CustomOpDef:
        @functools.wraps(function)
        def on_its_device(*arguments: Any) -> Any:
            first = next(argument for argument in arguments if isinstance(argument, Tensor))
            with torch.cuda.device_of(first):  # does nothing for a CPU tensor
                return function(*arguments)

        schema = torch.library.infer_schema(function, mutates_args=mutates)
        return torch.library.custom_op(name, on_its_device, mutates_args=mutates, schema=schema)

    return register


def differentiable_once(backward: CustomOpDef, operation: str) -> None:
    """Make the gradient of `operation`, which the operator `backward` computes, refuse to be differentiated itself.

    Without a formula PyTorch would say so too, but not of which function. In tensor operations on what the forward pass left,
    the second derivative would be 0 without a word.
    """

    def refuse(_: Any, *gradients: Tensor | None) -> None:
        raise NotImplementedError(
            f"{operation} has first derivatives only: expected its gradient to be used as it is, got a request to "
            f"differentiate that; compute second derivatives with bbkernels.{operation}.reference"
        )

    backward.register_autograd(refuse)


def native_library(tensor: Tensor) -> Library | None:
    """The native library for operations on this tensor; None where it was not built, and while Triton interprets."""
    if tensor.is_cuda:
        return cuda_library()
    return None if interprets() or tensor.device.type != "cpu" else cpu_library()


def multiplies_bfloat16(tensor: Tensor) -> bool:
    """Whether this tensor is bfloat16 on a CPU with instructions for such products, which are about twice as quick there."""
    if tensor.dtype != torch.bfloat16 or tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    library = native_library(tensor)
    return library is not None and bool(library.bb_cpu_multiplies_bfloat16())


def interprets() -> bool:
    """Whether Triton runs kernels on the CPU, statement by statement."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
