"""A working root, a ledger, tools and a turned clock, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from builderbrain.agent.executor import Runtime, WorkingRoot, resume, run_plan
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.locks import ResourceLocks
from builderbrain.agent.report import ExecutionReport
from builderbrain.plan import CheckedPlan
from builderbrain.tools.base import Tool, ToolContext
from tests.agent.turned_clock import TurnedClock
from tests.agent.workshop import Effects, plan_of

RESERVE = {"skill": "reserve", "args": {"item": "bench"}}
PAY = {"skill": "pay", "args": {"amount": 7}}


class Shop:
    """A working root, a ledger, tools and a turned clock."""

    def __init__(self, folder: Path, **fail: Exception) -> None:
        self.folder = folder
        self.clock = TurnedClock()
        self.effects = Effects(folder / "effects", fail=fail)
        self.tools: dict[str, Tool] = dict(self.effects.tools)
        self.ledger = Ledger(folder / "ledger.db")
        self.runtime = Runtime(ledger=self.ledger, clock=self.clock, locks=ResourceLocks(), journal_folder=folder)

    def run(self, *steps: Any, **changes: Any) -> ExecutionReport:
        return self.run_checked(plan_of(*steps), **changes)

    def run_checked(self, plan: CheckedPlan, **changes: Any) -> ExecutionReport:
        runtime = replace(self.runtime, **changes)

        async def main() -> ExecutionReport:
            return await run_plan(plan, WorkingRoot(self.folder), tools=self.tools, runtime=runtime)

        return anyio.run(main)

    def resume(self, execution: str) -> ExecutionReport:
        async def main() -> ExecutionReport:
            return await resume(execution, runtime=self.runtime, tools=self.tools)

        return anyio.run(main)


def statuses(report: ExecutionReport) -> list[str]:
    return [entry.status for entry in report.entries]


def failing(skill: str, *errors: Exception | None) -> Tool:
    """A tool that raises these in turn, the last one ever after; None is success."""
    waiting = list(errors)

    async def run(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        error = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if error is not None:
            raise error
        return {"text": "looked"} if skill == "look" else {}

    return Tool(skill=skill, run=run)
