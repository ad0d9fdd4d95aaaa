"""A clock that tests turn."""

from __future__ import annotations

import anyio


class TurnedClock:
    """Sleeping turns the clock and takes no time; `slept` are the waits in order."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.sleep(0)
