"""A recorder of operators on the CPU that has the limits of a CUDA graph, so that what relies on more shows without a GPU.

What is recorded are PyTorch's operators with the memory of their operands and with every number as it was. A replay runs
them in the same order over the same memory, whatever the Python around them would do by now: a tensor that was made anew, a
shape or a loop that followed what a tensor held, all stay as they were when it was recorded. Where the host would wait for a
device (a number read from a tensor, a shape that depends on values), recording is refused, as it is on one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from builderbrain.errors import RecordingError
from builderbrain.hosts import huggingface, paged_cache, row_products

WAITS = frozenset(
    ["aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::unique_consecutive", "aten::_unique2"]
)
"""Operators that wait for the device on a GPU."""


class OperatorRecorder:
    """A `Recorder` for tensors on the CPU. `recordings` counts them."""

    def __init__(self) -> None:
        self.recordings = 0

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        mode = _Recording()
        with mode:
            function()
        self.recordings += 1
        calls = mode.calls

        @torch.no_grad()
        def replay() -> None:
            for operator, args, kwargs, made in calls:
                for old, new in zip(made, _tensors(operator(*args, **kwargs)), strict=True):
                    if old.data_ptr() != new.data_ptr():  # not a view of its operands, nor one of them
                        old.copy_(new)

        return replay


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operator._schema.name
        indices = _tensors(args[1:2]) if name.startswith("aten::index") else []
        if name in WAITS or any(index.dtype == torch.bool for index in indices):
            raise RecordingError(f"the host waits for the device: {name}")
        result = operator(*args, **(kwargs or {}))
        self.calls.append((operator, args, kwargs or {}, _tensors(result)))
        return result


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in _tensors(each)]
    return []


@pytest.fixture
def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention and the writing of pages as one operator each, and products as PyTorch makes them: as it is on a GPU."""

    def attend(*tensors: Tensor, scale: float, window: int | None, soft_cap: float | None, sinks: Tensor | None) -> Tensor:
        out: Tensor = torch.ops.bbkernels.ragged_attention(*tensors, sinks, scale, window, soft_cap)
        return out

    monkeypatch.setattr(huggingface, "why_not_native", lambda *arguments: "a test")
    monkeypatch.setattr(row_products, "cpu_library", lambda: None)
    monkeypatch.setattr(paged_cache, "attend_unchecked", attend)
    monkeypatch.setattr(paged_cache, "write_unchecked", torch.ops.bbkernels.page_write)
