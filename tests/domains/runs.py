"""Plans of a domain through checker and executor, with a ledger and a turned clock, and the story that is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from builderbrain.agent.executor import Runtime, WorkingRoot, run_plan
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.locks import ResourceLocks
from builderbrain.agent.policy import ConfirmationRequest
from builderbrain.agent.report import ExecutionReport
from builderbrain.plan import checked, parse_text
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.tools.base import Tool
from tests.agent.turned_clock import TurnedClock


class Runs:
    """Runs plans of one domain with these tools; a person says yes to what is asked."""

    def __init__(self, folder: Path, domain: str, tools: Mapping[str, Tool], **more: Any) -> None:
        self.folder, self.domain, self.tools = folder, domain, tools
        self.clock = TurnedClock()
        self.asked: list[tuple[str, ...]] = []
        self.runtime = Runtime(
            ledger=Ledger(folder / "ledger.db"),
            clock=self.clock,
            locks=ResourceLocks(),
            confirm=self._yes,
            journal_folder=folder,
            **more,
        )

    async def _yes(self, request: ConfirmationRequest) -> bool:
        self.asked.append(tuple(step.skill for step in request.steps))
        return True

    def run(self, text: str) -> ExecutionReport:
        plan = checked(parse_text(text, domain=self.domain), granted=frozenset(SAFETY_LEVELS))

        async def main() -> ExecutionReport:
            return await run_plan(plan, WorkingRoot(self.folder), tools=self.tools, runtime=self.runtime)

        return anyio.run(main)


def statuses(report: ExecutionReport) -> list[str]:
    return [entry.status for entry in report.entries]


def story(report: ExecutionReport) -> list[str]:
    """Events as `kind step`, those without a step by kind alone; not `started`, before which a step may begin to look."""
    return [f"{event.kind} {event.step or ''}".strip() for event in report.events if event.kind != "started"]
