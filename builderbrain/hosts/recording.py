"""Recording what a function does on a device, to do it again at once: CUDA graphs behind a small interface.

What was recorded is done again with the memory that it had. So a recorded function takes no arguments and returns nothing: what
changes between two replays is written into tensors that stay where they are, and so is what it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from builderbrain.errors import RecordingError

_WARM_UPS = 2
"""Kernels are compiled, and libraries make their workspaces, before a capture."""


class Recorder(Protocol):
    """Records functions for one device."""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """What does again what `function` does, behind what the current stream was given before.

        The function runs some times for it. Recordings share the memory of what they make in between: replays must not overlap.

        Raises:
            RecordingError: the host would wait for the device in it, or it does what cannot be captured.
        """
        ...


class CudaRecorder:
    """CUDA graphs that share one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None
        self._pool: Any = None

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """See `Recorder`."""
        with torch.cuda.device(self._device):
            if self._pool is None:
                self._stream, self._pool = torch.cuda.Stream(self._device), torch.cuda.graph_pool_handle()
            self._warm_up(function)
            graph = torch.cuda.CUDAGraph()
            try:
                # Other threads may allocate meanwhile, for a version that is being loaded: that is no part of the graph.
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    function()
            except RuntimeError as error:
                raise RecordingError(f"capturing failed: {first_line(error)}") from error
            replay: Callable[[], None] = graph.replay
            return replay

    def _warm_up(self, function: Callable[[], None]) -> None:
        """Run it on the capturing stream, at last with every wait of the host refused.

        A capture that fails half-way leaves PyTorch's allocator unusable before 2.12, so what would end one is met here.
        """
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UPS):
                function()
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("error")
            try:
                function()
            except RuntimeError as error:
                raise RecordingError(f"the host waits for the device: {first_line(error)}") from error
            finally:
                torch.cuda.set_sync_debug_mode(before)
        current.wait_stream(self._stream)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
