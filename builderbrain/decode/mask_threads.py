"""Grammar masks made on threads while the model runs.

On a GPU a pass is launched in a fraction of the time that it takes. The masks of its outputs are made meanwhile, on threads
that leave the worker free to launch: llguidance lets go of Python's lock for a mask, and a worker that waits for the device
holds none. Which thread makes a mask changes nothing in it: each belongs to one output, and nobody else touches that output
until the pass is over.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from builderbrain.decode.model import FillMask

MOST_THREADS = 8
"""Beyond it they would mostly wait for Python's lock between two masks."""


class MaskThreads:
    """Threads for masks, started when they are first needed."""

    def __init__(self, threads: int | None = None) -> None:
        """Make as many as there are cores beside the worker's own, at most `MOST_THREADS`; or `threads`."""
        self.threads = threads or max(1, min(MOST_THREADS, (os.cpu_count() or 1) - 1))
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="builderbrain-masks")

    def begin(self, fills: Sequence[FillMask]) -> PendingMasks:
        """Begin to make masks."""
        shares = [fills[first :: self.threads] for first in range(min(self.threads, len(fills)))]
        return PendingMasks([self._pool.submit(_fill_all, share) for share in shares], len(fills))


class PendingMasks:
    """Masks that are being made."""

    def __init__(self, shares: Sequence[Future[list[Tensor | Exception | None]]], count: int) -> None:
        self._shares, self._count = shares, count

    def results(self) -> list[Tensor | Exception | None]:
        """Each mask, in the order they were asked for, or what it failed on. Waits for all."""
        found = [share.result() for share in self._shares]
        return [found[place % len(found)][place // len(found)] for place in range(self._count)]


def _fill_all(fills: Sequence[FillMask]) -> list[Tensor | Exception | None]:
    made: list[Tensor | Exception | None] = []
    for fill in fills:
        try:
            made.append(fill())
        except Exception as error:  # noqa: BLE001  (told to the one output whose mask it is)
            made.append(error)
    return made
