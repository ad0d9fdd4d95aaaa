"""Calls of `csrc/cpu/governed_loss.cpp`: readings of rows of logits and the gradient of these, for `narrow.py`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_POINTERS = (
    "raw", "apart", "labels", "bitmask", "cross_entropy", "divergence", "energy", "mass", "legal_mass",
    "for_cross_entropy", "for_divergence", "for_energy", "slopes",
)  # fmt: skip


class Job(ctypes.Structure):
    """`bb::governed_loss::Job`; csrc/cpu/governed_loss.h says what its fields are."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_int64) for name in ("rows", "size", "words")),
        ("scale", ctypes.c_float),
    ]


class Rows:
    """Rows of logits: `raw` bfloat16 [N, V] before `scale`, `apart` the same of what they have more than the base's or None,
    `labels` int64 [N], `bitmask` int32 [N, ceil(V / 32)] or None."""

    def __init__(
        self,
        library: ctypes.CDLL,
        raw: Tensor,
        apart: Tensor | None,
        labels: Tensor,
        bitmask: Tensor | None,
        scale: float,
        level: int = BEST_LEVEL,
    ) -> None:
        self._library, self._level, self._scale = library, level, scale
        given = {"raw": raw, "apart": apart, "labels": labels, "bitmask": bitmask}
        self._given = {name: value.contiguous() for name, value in given.items() if value is not None}

    def read(self, cross_entropy: Tensor, divergence: Tensor, energy: Tensor, mass: Tensor, legal_mass: Tensor) -> None:
        """Write readings and the logarithms of sums of exponentials, float32 [N] each; those of what is not given stay."""
        self._run({
            "cross_entropy": cross_entropy, "divergence": divergence, "energy": energy, "mass": mass, "legal_mass": legal_mass,
        })  # fmt: skip

    def slopes(self, u: Tensor, v: Tensor, w: Tensor, mass: Tensor, legal_mass: Tensor) -> Tensor:
        """Gradient of the scaled logits, bfloat16 [N, V], for those of the three readings, float32 [N]: `u` 0 where the label
        is no token, `w` where no token is legal."""
        out = torch.empty_like(self._given["raw"])
        self._run({
            "for_cross_entropy": u.contiguous(), "for_divergence": v.contiguous(), "for_energy": w.contiguous(),
            "mass": mass, "legal_mass": legal_mass, "slopes": out,
        })  # fmt: skip
        return out

    def _run(self, tensors: dict[str, Tensor]) -> None:
        raw, bitmask = self._given["raw"], self._given.get("bitmask")
        places = {name: value.data_ptr() for name, value in (self._given | tensors).items()}
        words = 0 if bitmask is None else bitmask.shape[1]
        job = Job(**places, rows=raw.shape[0], size=raw.shape[1], words=words, scale=self._scale)
        _function(self._library)(ctypes.byref(job), self._level, torch.get_num_threads())


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_governed_loss_cpu
    if function.argtypes is None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        function.restype = None
    return function
