"""Calls of `csrc/cpu/causal_attention.cpp`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
HEAD_SIZE = 32
"""Channels of a head that the library is made for."""
_POINTERS_IN = (
    "query", "key", "value", "bias", "memory", "lengths", "cosine", "sine", "reading_cosine", "reading_sine", "place",
    "out", "mass", "gradient", "for_query", "for_key", "for_value", "for_bias", "for_memory",
)  # fmt: skip
_NUMBERS = (
    "rows", "tokens", "heads", "groups", "own", "slots", "window", "query_token", "key_token", "value_token", "bias_token",
)  # fmt: skip


class Job(ctypes.Structure):
    """`bb::causal_attention::Job`; csrc/cpu/causal_attention.h says what its fields are."""

    _fields_ = [*((name, ctypes.c_void_p) for name in _POINTERS_IN), *((name, ctypes.c_int64) for name in _NUMBERS)]


def run(library: ctypes.CDLL, tensors: dict[str, Tensor | None], numbers: dict[str, int], level: int = BEST_LEVEL) -> None:
    """One pass: `tensors` and `numbers` by the names of the fields; what is left out is null or 0."""
    places = {name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None}
    _function(library)(ctypes.byref(Job(**places, **numbers)), level, torch.get_num_threads())


def _function(library: ctypes.CDLL) -> Any:
    function = library.bb_causal_attention_cpu
    if function.argtypes is None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        function.restype = None
    return function
