"""Products of a dense float32 base on a CPU, made so that a row has the same bits whatever rows stand beside it.

Only within `rows_apart`, which ragged calls enter: training and single sequences keep PyTorch's products. The weights are kept
a second time for it, so that beyond `MOST_WEIGHTS` a base keeps PyTorch's products there as well, and rows may differ in
their last bits with their number, as they may on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bbkernels.native import cpu_library
from bbkernels.panel_linear import PanelLinear

MOST_WEIGHTS = 1 << 28
"""1 GiB of float32."""

_apart: ContextVar[bool] = ContextVar("builderbrain_rows_apart", default=False)


@contextmanager
def rows_apart() -> Iterator[None]:
    """Within it routed products give each row its own bits."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


def are_rows_apart() -> bool:
    """Whether the caller is within `rows_apart`."""
    return _apart.get()


def route_row_products(model: nn.Module) -> dict[str, PanelLinear]:
    """Let the dense layers of a model compute by panels within `rows_apart`; those that do, by their names in it."""
    layers: list[tuple[str, Any]] = [(name, part) for name, part in model.named_modules() if _is_dense(part)]
    if cpu_library() is None or sum(part.weight.numel() for _, part in layers) > MOST_WEIGHTS:
        return {}
    routed = {}
    for name, layer in layers:
        # GPT-2 keeps its matrices the other way round.
        weight = layer.weight if type(layer) is nn.Linear else layer.weight.T
        routed[name] = PanelLinear(weight, layer.bias)
        layer.forward = partial(_multiply, layer.forward, routed[name])
    return routed


class RowProduct:
    """x W^T for a matrix W [N, K] that is no layer's; made like those of routed layers within `rows_apart`."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        narrow = weight.dtype == torch.float32 and weight.device.type == "cpu" and weight.numel() <= MOST_WEIGHTS
        self._panels = PanelLinear(weight) if narrow and cpu_library() is not None else None

    @property
    def prepared(self) -> dict[str, Tensor]:
        """The matrix, and the copy of it that products within `rows_apart` read."""
        return {"weight": self._weight} if self._panels is None else {"weight": self._weight, "panels": self._panels.kept}

    def __call__(self, x: Tensor) -> Tensor:
        """[..., N] of x [..., K]."""
        return self._panels(x) if self._panels is not None and _apart.get() else x @ self._weight.T


def _is_dense(part: Any) -> bool:
    known = type(part) is nn.Linear or type(part).__name__ == "Conv1D"
    return known and part.weight.dtype == torch.float32 and part.weight.device.type == "cpu"


def _multiply(plain: Any, panels: PanelLinear, x: Tensor) -> Tensor:
    out: Tensor = panels(x) if _apart.get() else plain(x)
    return out
