"""A turned clock that can be told to stall."""

from __future__ import annotations

import anyio

from tests.agent.turned_clock import TurnedClock


class StallingClock(TurnedClock):
    """Sleeps without end at the sleep of a number that a fault sets."""

    sleeps_left: int | None = None

    async def sleep(self, seconds: float) -> None:
        if self.sleeps_left is not None:
            self.sleeps_left -= 1
            if self.sleeps_left < 0:
                self.sleeps_left = None
                await anyio.sleep_forever()
        await super().sleep(seconds)
