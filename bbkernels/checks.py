"""Argument checks shared by the operations; each names the argument, what was expected and what came.

What a tensor holds is looked at on a CPU alone, and not while a graph is captured: elsewhere a look would make the host wait
for the device, or cut the graph in two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""What operations compute with; 8-bit floats are storage."""
INT32 = (torch.int32,)
INT64 = (torch.int64,)
FLOAT32 = (torch.float32,)
UINT8 = (torch.uint8,)


def expect_tensor(
    name: str,
    value: Any,
    dtypes: Sequence[torch.dtype],
    shape: Sequence[int | str],
    *,
    beside: tuple[str, Tensor] | None = None,
) -> None:
    """Raise unless `value` is a tensor of one of `dtypes`, of `shape`, on the device of the tensor named in `beside`.

    Letters in `shape` stand for any size; "..." in front for any dimensions.

    Raises:
        TypeError: it is no tensor.
        ValueError: dtype, shape or device are others.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"expected {name} as a tensor, {_written(dtypes, shape)}, got {_told(value)}")
    if value.dtype not in dtypes or not _fits(value.shape, shape):
        raise ValueError(f"expected {name} as {_written(dtypes, shape)}, got {value.dtype} {list(value.shape)}")
    if beside is not None and value.device != beside[1].device:
        # PyTorch on a CPU may read memory that was never written instead of refusing.
        raise ValueError(f"expected {name} on {beside[1].device}, where {beside[0]} is, got {value.device}")


def expect_same_dtype(name: str, value: Tensor, like_name: str, like: Tensor) -> None:
    """Raise ValueError unless both have one dtype."""
    if value.dtype != like.dtype:
        raise ValueError(f"expected {name} in the dtype of {like_name} {like.dtype}, got {value.dtype}")


def expect_type(name: str, value: Any, kind: type) -> None:
    """Raise TypeError unless `value` is a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {name} as {kind.__name__}, got {_told(value)}")


def expect_number(name: str, value: Any, *, least: float = -math.inf, above: float = -math.inf, whole: bool = False) -> None:
    """Raise unless `value` is a finite number, at least `least`, above `above`, and an integer if `whole`.

    Raises:
        TypeError: it is no number, or no integer.
        ValueError: it is NaN, infinite or too small.
    """
    kinds = (int, torch.SymInt) if whole else (int, float, torch.SymInt, torch.SymFloat)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"expected {name} as {'an integer' if whole else 'a number'}, got {_told(value)}")
    if not (least <= value < math.inf and value > above):
        bounds = [f"at least {least}"] * (least > -math.inf) + [f"above {above}"] * (above > -math.inf)
        raise ValueError(f"expected {name} finite{''.join(f' and {bound}' for bound in bounds)}, got {value}")


def expect_values(name: str, value: Tensor, least: int, most: int) -> None:
    """Raise ValueError unless all entries of an integer [B] lie in `least`..`most`; looks on a CPU alone."""
    if not can_look(value):
        return
    for place, number in enumerate(value.tolist()):
        if not least <= number <= most:
            raise ValueError(f"expected {name} in {least}..{most}, got {number} at {place}")


def can_look(value: Tensor) -> bool:
    """Whether what a tensor holds can be looked at without waiting for a device and without ending a graph."""
    return value.device.type == "cpu" and not torch.compiler.is_compiling()


def _fits(shape: Sequence[int], expected: Sequence[int | str]) -> bool:
    if shape == expected:
        return True
    if expected and expected[0] == "...":
        expected = expected[1:]
        shape = shape[max(0, len(shape) - len(expected)) :]
    if len(shape) != len(expected):
        return False
    # A loop that asks for letters first: it runs before every operation, some of which take 20 microseconds.
    for size, want in zip(shape, expected):  # noqa: B905, SIM110 - see above; lengths were compared
        if type(want) is not str and want != size:
            return False
    return True


def _written(dtypes: Sequence[torch.dtype], shape: Sequence[int | str]) -> str:
    names = "floating" if dtypes is FLOATING else " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    return f"{names} [{', '.join(map(str, shape))}]"


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {value.dtype} {list(value.shape)}"
    return f"{type(value).__name__} {value!r:.40}"
