"""`page_write`: keys and values of new tokens into their pages, beside one `index_copy_` for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bbkernels.page_write import write_unchecked
from benchmarks.accelerator.case import Case, Inputs, Scale, normal

_PAGE = 16
_BEFORE = 7.0
"""What pages hold before: whatever else is found there afterwards was written."""


def cases(scale: Scale) -> Iterator[Case]:
    """One token of each text, and a pass of prompts."""
    shapes = {
        "rehearsal": ((3, 2, 32),),
        "processor": ((16, 6, 32), (512, 8, 128)),
        "accelerator": ((1, 8, 128), (64, 8, 128), (2048, 8, 128), (8192, 8, 128)),
    }[scale]
    dtype = torch.bfloat16 if scale == "accelerator" else torch.float32
    for rows, groups, size in shapes:

        def make(
            device: torch.device, generator: torch.Generator, rows: int = rows, groups: int = groups, size: int = size
        ) -> Inputs:
            # As an attention layer has them, head by head.
            keys, values = (normal((groups, rows, size), dtype, generator).transpose(0, 1) for _ in range(2))
            shape = (rows, _PAGE, groups, size)
            pages = [torch.full(shape, _BEFORE, dtype=dtype, device=device) for _ in range(2)]
            slots = torch.randperm(rows * _PAGE, generator=generator, device=device)[:rows]
            return keys, values, *pages, slots

        yield Case(
            operation="page_write", name=f"{rows} x {groups} heads of {size}", make=make, run=_write, judge=_judge,
            peers={"index_copy_": _copies}, bytes=4 * rows * groups * size * dtype.itemsize,
            beats={"index_copy_": 1.0} if scale == "accelerator" else {},
        )  # fmt: skip


def _write(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
    write_unchecked(keys, values, key_pages, value_pages, slots)
    return key_pages, value_pages


def _copies(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    key_pages.flatten(0, 1).index_copy_(0, slots, keys)
    value_pages.flatten(0, 1).index_copy_(0, slots, values)


def _judge(inputs: Inputs, out: Any) -> tuple[float, float]:
    """Bits moved are the same bits: no error is allowed."""
    keys, values, _, __, slots = inputs
    wrong = 0.0
    for rows, pages in zip((keys, values), out, strict=True):
        expected = torch.full_like(pages, _BEFORE)
        expected.flatten(0, 1)[slots] = rows
        wrong = max(wrong, float((pages.double() - expected.double()).abs().max()))
    return wrong, 0.0
