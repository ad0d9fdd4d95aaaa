"""Runs skills of simulated worlds through their tools, without an event loop: every wait is a moment that a test can use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping
from pathlib import Path
from types import coroutine
from typing import Any

from builderbrain.domains.simulator import Simulator
from builderbrain.plan import get_domain
from builderbrain.tools.base import Tool, ToolContext
from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.simulated import simulated_tools


@coroutine
def _pause(seconds: float) -> Generator[float, None, None]:
    yield seconds


def sleep(seconds: float) -> Awaitable[None]:
    return _pause(seconds)


class Hands:
    """Calls the tools of a world.

    Attributes:
        key: of the last call.
    """

    def __init__(self, domain: str, world: Simulator) -> None:
        self.world = world
        self.domain = get_domain(domain)
        self.tools: Mapping[str, Tool] = simulated_tools(self.domain, world, sleep)
        self.key = ""
        self._calls = 0

    def do(self, skill: str, *, key: str | None = None, cancel_after: int | None = None, **arguments: Any) -> Mapping[str, Any]:
        """One call to its end; `cancel_after` so many waits it is cancelled, as the executor does."""
        self._calls += 1
        self.key = key or f"key{self._calls}"
        declared = self.domain.skills[skill]
        context = ToolContext(root=WorkingRoot(Path.cwd()), timeout_seconds=declared.timeout_seconds, key=self.key, writes=True)
        call = self.tools[skill].run(context, arguments)
        waits, waited = 0, 0.0
        try:
            while True:
                if waits == cancel_after:
                    call.throw(asyncio.CancelledError())
                waited += call.send(None)
                waits += 1
                assert waited <= declared.timeout_seconds, f"{skill} takes {waited:.1f} s"
        except StopIteration as end:
            results: Mapping[str, Any] = end.value
            return results
