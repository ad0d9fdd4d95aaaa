"""How a kernel is launched, said once more for compiling it ahead of time, without a GPU and without tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ARCHITECTURES = (80, 90, 100)
"""Compute capabilities that kernels are compiled for ahead of time, as in `sm_90`."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way a kernel is launched: types of its arguments ("*bf16", "i32"), its constants, warps.

    Pointers and strides are promised to be multiples of 16, as they are for tensors of the engine. `narrow` allows global
    accesses of less than 16 bytes, for kernels whose rows have no such alignment. `architectures` are those it is made for.
    """

    name: str
    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    num_warps: int = 4
    narrow: bool = False
    fuses_products: bool = True
    """Whether the compiler may round a product and a sum as one operation."""
    architectures: tuple[int, ...] = ARCHITECTURES
