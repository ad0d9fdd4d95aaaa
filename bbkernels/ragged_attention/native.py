"""Calls of `csrc/cpu/ragged_attention.cpp`. Shapes, dtypes and page numbers were checked by the caller."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

CPU_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
MAX_SIZE = 256
"""Largest head that the library takes."""
BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float


def serves_on_cpu(query: Tensor, keys: Tensor, values: Tensor) -> bool:
    """Whether `attend_on_cpu` takes these."""
    return query.dtype in CPU_DTYPES and query.shape[-1] <= MAX_SIZE and keys.is_contiguous() and values.is_contiguous()


def attend_on_cpu(
    library: ctypes.CDLL,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    *,
    scale: float,
    window: int | None,
    soft_cap: float | None,
    sinks: Tensor | None,
    level: int = BEST_LEVEL,
) -> Tensor:
    """[N, H, D], with instructions of at most `level`; rows that belong to no sequence are 0."""
    query, table, starts, lengths = (tensor.contiguous() for tensor in (query, table, starts, lengths))
    wide_sinks = None if sinks is None else sinks.to(torch.float32).contiguous()
    out = torch.empty_like(query)
    covered = int(starts[-1])
    if covered < len(query):
        out[covered:] = 0
    _function(library)(
        query.data_ptr(), keys.data_ptr(), values.data_ptr(), table.data_ptr(), starts.data_ptr(), lengths.data_ptr(),
        None if wide_sinks is None else wide_sinks.data_ptr(), out.data_ptr(), len(lengths), table.shape[1],
        query.shape[1], keys.shape[2], query.shape[2], keys.shape[1], scale, window or 0, soft_cap or 0.0,
        CPU_DTYPES[query.dtype], level, torch.get_num_threads(),
    )  # fmt: skip
    return out


@cache
def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_ragged_attention_cpu
    function.argtypes = [*[_POINTER] * 8, *[_LONG] * 6, _FLOAT, _LONG, _FLOAT, _INT, _INT, _INT]
    function.restype = None
    return function
