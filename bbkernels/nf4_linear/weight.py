"""A frozen weight in bitsandbytes' NF4 storage, as the tensors it consists of. Nothing is repacked or copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bbkernels.checks import expect_number, expect_type

GROUP = 64
"""Neighbouring weights that share one scale."""
NESTED_GROUP = 256
"""Neighbouring 8-bit scales that share one scale of their own."""


@dataclass(frozen=True, eq=False)
class Nf4Weight:
    """W [N, K] in four bits: `W.flatten()[i] = code[nibble i] * scale[i // 64]`.

    Args:
        packed: uint8, ceil(N K / 2) bytes in any shape; the high half of byte j is weight 2j of the flattened W.
        absmax: [ceil(N K / 64)], the scales: float32, or uint8 when they are quantised themselves.
        code: float32 [16], what the nibbles stand for.
        out_features: N.
        in_features: K.
        nested_absmax: float32 [ceil(N K / 64 / 256)], with 8-bit scales only: `scale[b] = nested_code[absmax[b]] *
            nested_absmax[b // 256] + offset`.
        nested_code: float32 [256], with 8-bit scales only.
        offset: float32, one value, with 8-bit scales only.

    Raises:
        TypeError: an argument is no tensor, or a size no number.
        ValueError: a size is negative; a tensor has another dtype or size, is not contiguous, or lies on another device.
    """

    packed: Tensor
    absmax: Tensor
    code: Tensor
    out_features: int
    in_features: int
    nested_absmax: Tensor | None = None
    nested_code: Tensor | None = None
    offset: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("out_features", "in_features"):
            expect_number(name, getattr(self, name), least=0, whole=True)
        for name in ("packed", "absmax", "code"):
            expect_type(name, getattr(self, name), Tensor)
        total = self.out_features * self.in_features
        groups = -(-total // GROUP)
        nested = self.absmax.dtype == torch.uint8
        self._expect("packed", self.packed, torch.uint8, -(-total // 2))
        self._expect("absmax", self.absmax, torch.uint8 if nested else torch.float32, groups)
        self._expect("code", self.code, torch.float32, 16)
        inner = {"nested_absmax": -(-groups // NESTED_GROUP), "nested_code": 256, "offset": 1}
        for name, size in inner.items():
            value = getattr(self, name)
            if (value is not None) != nested:
                raise ValueError(f"expected {name} with uint8 absmax and only then, got absmax of {self.absmax.dtype}")
            if value is not None:
                expect_type(name, value, Tensor)
                self._expect(name, value, torch.float32, size)

    def _expect(self, name: str, value: Tensor, dtype: torch.dtype, size: int) -> None:
        if value.dtype != dtype or value.numel() != size or not value.is_contiguous():
            raise ValueError(
                f"expected {name} as {size} contiguous values of {dtype} for a weight [{self.out_features}, "
                f"{self.in_features}], got {tuple(value.shape)} of {value.dtype}"
            )
        if value.device != self.packed.device:
            raise ValueError(f"expected {name} on {self.packed.device}, where packed is, got {value.device}")

    @classmethod
    def from_bitsandbytes(cls, packed: Tensor, state: Any) -> Nf4Weight:
        """The weight of a `bitsandbytes.nn.Linear4bit`: its data and its `quant_state`.

        Raises:
            ValueError: not NF4, not in blocks of 64 (256 for the scales), or reordered for bitsandbytes' own CPU kernel.
        """
        if state.quant_type != "nf4":
            raise ValueError(f"expected quant_type 'nf4', got {state.quant_type!r}")
        if state.blocksize != GROUP:
            raise ValueError(f"expected blocksize {GROUP}, got {state.blocksize}")
        if getattr(state, "packing_format_for_cpu", False):
            raise ValueError("expected weights in storage order, got packing_format_for_cpu; take them before the first use")
        inner = state.state2
        if inner is not None and inner.blocksize != NESTED_GROUP:
            raise ValueError(f"expected a nested blocksize of {NESTED_GROUP}, got {inner.blocksize}")
        if len(state.shape) != 2:
            raise ValueError(f"expected a weight [N, K], got shape {tuple(state.shape)}")
        return cls(
            packed=packed.detach().view(torch.uint8),
            absmax=state.absmax,
            code=state.code,
            out_features=state.shape[0],
            in_features=state.shape[1],
            nested_absmax=None if inner is None else inner.absmax,
            nested_code=None if inner is None else inner.code,
            offset=None if inner is None else state.offset,
        )
