"""Calls of `csrc/cpu/reading.cpp`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

_INSIDE, _OPENING, _CLOSING = 1, 2, 4


def follow(library: ctypes.CDLL, tokens: Tensor, inside: Tensor, opening: Tensor, closing: Tensor) -> tuple[Tensor, Tensor]:
    """Places and longest runs, int64 [B, T], of `tokens` int64 [B, T] from the first; bool [B, T] what each is to a literal."""
    tokens = tokens.contiguous()
    flags = (_INSIDE * inside.byte() + _OPENING * opening.byte() + _CLOSING * closing.byte()).contiguous()
    place, run = torch.empty_like(tokens), torch.empty_like(tokens)
    _function(library)(tokens.data_ptr(), flags.data_ptr(), place.data_ptr(), run.data_ptr(), *tokens.shape)
    return place, run


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_reading_cpu
    if function.argtypes is None:
        function.argtypes = [*[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64]
        function.restype = None
    return function
