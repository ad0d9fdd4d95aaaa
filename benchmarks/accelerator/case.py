"""What one measurement consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Inputs = tuple[Any, ...]
Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One operation on one shape.

    Args:
        operation: folder of `bbkernels`.
        name: what is special about this case; with `operation` it is unique.
        make: fresh random inputs on a device, from a generator on it; never zeros.
        run: what is measured, called as `run(*inputs)`; gives a tensor or several.
        truth: the same in float64 from `reference.py`, or None where equality is judged by `judge`.
        judge: worst error of an output beside what is allowed, both in one unit; replaces the comparison with `truth`.
        peers: other implementations of `run` by name, called alike; one that cannot be made is absent.
        bytes: least traffic with global memory, each input read once and each output written once.
        operations: multiplications and additions.
        bound: which of the two is the floor of this case.
        target: share of that floor which `shared/spec/kernels.md` asks for, None for none.
    """

    operation: str
    name: str
    make: Callable[[torch.device, torch.Generator], Inputs]
    run: Function
    truth: Function | None = None
    judge: Callable[[Inputs, Any], tuple[float, float]] | None = None
    peers: Mapping[str, Function] = field(default_factory=dict)
    bytes: int
    operations: int = 0
    bound: Literal["bytes", "matrix"] = "bytes"
    target: float | None = None


def outputs_of(value: Any) -> list[Tensor]:
    """The tensors of an output, whatever it is wrapped in."""
    if isinstance(value, Tensor):
        return [value]
    values = value if isinstance(value, tuple | list) else vars(value).values()
    return [each for each in values if isinstance(each, Tensor)]


def widened(inputs: Inputs) -> Inputs:
    """The inputs with floating tensors in float64, for `truth`."""
    return tuple(x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)


def normal(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Standard normal values on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(dtype)
