"""Faults that playbooks name: of a tool, whatever its domain, and of the worlds that tools act on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from builderbrain.agent import DomainRuntime
from builderbrain.domains.robot_cell import Box
from builderbrain.errors import TransientToolError
from builderbrain.plan import Plan
from builderbrain.plan._generated import DOMAINS
from builderbrain.tools.base import Tool, ToolContext
from tests.domains.cell_monitor import WatchedCell
from tests.domains.faulty_server import SERVER_FAULTS
from tests.domains.stages import Stage
from tests.domains.stalling_clock import StallingClock

Run = Callable[[Tool, ToolContext, Mapping[str, Any]], Any]
SHORT_SECONDS = 0.3


async def _hang(*_: Any) -> Any:
    await anyio.sleep_forever()


async def _hang_after(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
    await tool.run(context, arguments)
    await anyio.sleep_forever()


async def _crash(*_: Any) -> Any:
    raise ZeroDivisionError("a defect")


async def _crash_after(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
    await tool.run(context, arguments)
    raise ZeroDivisionError("a defect")


async def _garbage(*_: Any) -> Any:
    return {"rubbish": [1, 2]}


async def _garbage_after(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
    return {**await tool.run(context, arguments), "rubbish": "</s>"}


async def _slow(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
    await anyio.sleep(0.1)
    return await tool.run(context, arguments)


async def _away(*_: Any) -> Any:
    raise TransientToolError("503")


TOOL_FAULTS: dict[str, Run] = {
    "hangs": _hang,
    "hangs after its effect": _hang_after,
    "crashes": _crash,
    "crashes after its effect": _crash_after,
    "gives rubbish": _garbage,
    "gives rubbish after its effect": _garbage_after,
    "answers slowly": _slow,
    "is unavailable": _away,
}

CELL_EVENTS: dict[str, tuple[float, Callable[[WatchedCell], None]]] = {
    "e-stop is pressed": (2.0, lambda cell: cell.press_e_stop()),
    "person comes into the way": (0.5, lambda cell: cell.person_enters("table")),
    "box stands in the way": (0.5, lambda cell: cell.put_box(Box("a box", (440, 600), (-80, 80), 300))),
    "part slips out": (1.0, lambda cell: cell.loosen()),
    "part is lost": (0.1, lambda cell: cell.loosen()),
    "drives are stopped": (0.1, lambda cell: cell.press_e_stop()),
    "something pushes hard": (1.0, lambda cell: cell.push(90.0)),
    "something pushes lightly": (1.0, lambda cell: cell.push(20.0)),
}


def inject(fault: str, plan: Plan, step: str, stage: Stage, patch: pytest.MonkeyPatch) -> DomainRuntime:
    """The runtime with the fault in the tool of a step, from that step's first call on, or at the server that it asks."""
    home = stage.home
    if fault in SERVER_FAULTS:
        assert stage.server is not None
        skill = next(each.skill for each in plan.steps if each.id == step)
        stage.server.faults[stage.places[skill]] = fault
        return home
    assert home.tools is not None
    skills = {each.id: each.skill for each in plan.steps}
    step_skill = skills[step]
    tool = home.tools[step_skill]
    earlier = [skills[each.id] for each in plan.steps[: list(skills).index(step)]].count(step_skill)
    calls = itertools.count(1 - earlier)

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Any:
        call = next(calls)
        if call < 1:
            return await tool.run(context, arguments)
        if fault in TOOL_FAULTS:
            return await TOOL_FAULTS[fault](tool, context, arguments)
        if fault == "is unavailable once":
            if call == 1:
                raise TransientToolError("503")
        elif fault == "hangs halfway":
            clock = home.runtime.clock
            assert isinstance(clock, StallingClock)
            clock.sleeps_left = 3
        elif fault in CELL_EVENTS and isinstance(home.world, WatchedCell):
            seconds, event = CELL_EVENTS[fault]
            cell = home.world
            cell.at(seconds, lambda: event(cell))
        return await tool.run(context, arguments)

    if fault.startswith("hangs"):
        known = DOMAINS[home.domain.name, home.domain.version]
        short = replace(known.skills[step_skill], timeout_seconds=SHORT_SECONDS)
        patch.setitem(DOMAINS, (known.name, known.version), replace(known, skills={**known.skills, step_skill: short}))
        home = replace(home, domain=DOMAINS[known.name, known.version])
    faulty = Tool(skill=step_skill, run=run, was_done=tool.was_done, network=tool.network)
    return replace(home, tools={**home.tools, step_skill: faulty})
