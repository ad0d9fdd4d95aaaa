"""The tools of a simulated world: one for each skill of its domain, each of which does the skill's work in that world.

A tool that is cancelled closes its work, which leaves the world at rest: an arm stands, a line is silent. The world knows which
effects were had, so that every tool can be asked, and a key is worked off once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from builderbrain.domains.simulator import Simulator
from builderbrain.plan.domain import Domain
from builderbrain.tools.base import Results, Tool, ToolContext

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


def simulated_tools(domain: Domain, world: Simulator, sleep: Sleep) -> Mapping[str, Tool]:
    """Tools by skill, one for every skill of the domain.

    Args:
        sleep: waits while simulated time passes: as long, for a world that is shown to people; not at all in tests.
    """
    return {skill: _tool(skill, world, sleep) for skill in domain.skills}


def _tool(skill: str, world: Simulator, sleep: Sleep) -> Tool:
    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
        work = world.perform(skill, arguments, context.key)
        try:
            while True:
                try:
                    pause = next(work)
                except StopIteration as end:
                    results: Results = end.value
                    return results
                await sleep(pause)
        finally:
            work.close()

    async def was_done(context: ToolContext, arguments: Mapping[str, Any]) -> Results | None:
        return None if context.key is None else world.outcome(skill, context.key)

    return Tool(skill=skill, run=run, was_done=was_done)
