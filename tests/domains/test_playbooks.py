"""The playbooks of docs/domains: every row of their tables is a plan that is run with a fault, and ends as the row says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import DomainRuntime, ExecutionReport, Ledger, Runtime, WorkingRoot, open_domain
from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.locks import ResourceLocks, ResourceName
from builderbrain.agent.policy import ConfirmationRequest
from builderbrain.domains.phone_flow import PhoneCall, scripts
from builderbrain.domains.robot_cell.layout import SAFE_POSE
from builderbrain.domains.simulator import Simulator
from builderbrain.tools.base import ToolContext
from tests.domains.cell_monitor import WatchedCell
from tests.domains.faults import CELL_EVENTS, TOOL_FAULTS, StallingClock, inject, world_of
from tests.plan.conftest import ROOT

DOMAINS = ("robot_cell", "phone_flow")
LEVELS = frozenset({"read_only", "mutating"})


@dataclass(frozen=True)
class Row:
    """One row of a playbook. `step` is where the fault happens; `-` in a cell is nothing."""

    domain: str
    plan: str
    fault: str
    step: str
    becomes: str
    fallbacks: str
    execution: str
    afterwards: str


@cache
def playbook(domain: str) -> tuple[Mapping[str, str], tuple[Row, ...]]:
    """Plans by name, and the rows of the table."""
    text = (ROOT / "docs" / "domains" / f"{domain}.playbook.md").read_text(encoding="utf-8")
    plans = dict(re.findall(r"Plan `(\w+)`[^\n]*\n\n```\n(.*?)\n```", text, re.DOTALL))
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (\S+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return plans, tuple(Row(domain, *(cell.strip().replace("`", "") for cell in row)) for row in rows)


ROWS = [row for domain in DOMAINS for row in playbook(domain)[1]]


async def yes(_: ConfirmationRequest) -> bool:
    return True


def home_of(domain: str, folder: Path, world: Simulator) -> DomainRuntime:
    clock = StallingClock()
    runtime = Runtime(
        ledger=Ledger(folder / "ledger.db"),
        clock=clock,
        locks=ResourceLocks(),
        breakers=ToolBreakers(clock),
        confirm=yes,
        journal_folder=folder,
    )
    return open_domain(domain, WorkingRoot(folder), granted=LEVELS, runtime=runtime, world=world)


def run(home: DomainRuntime, text: str) -> ExecutionReport:
    async def main() -> ExecutionReport:
        return await home.run(home.check(text))

    return anyio.run(main)


def afterwards(world: Simulator) -> str:
    """The world in words."""
    if isinstance(world, WatchedCell):
        state = world.state
        where = "in the safe pose" if state.point == SAFE_POSE else "where it was"
        moves = "stopped" if state.drive == "stopped" else "ready"
        part = "nothing" if state.held is None else f"the {state.held.part.kind.name}"
        return f"{moves} {where}, holds {part}"
    assert isinstance(world, PhoneCall)
    if world.transfers:
        return f"handed over to {world.transfers[0][0]}"
    if world.callbacks:
        return "callback promised"
    return "in the queue" if world.queued else {"waiting": "on hold"}.get(world.call, world.call)


def forbidden(world: Simulator, report: ExecutionReport) -> list[str]:
    """What may never happen, and did."""
    said = " ".join(event.said for event in report.events)
    found = ["the monitor saw a limit exceeded"] if "AssertionError" in said else []
    if isinstance(world, WatchedCell):
        world.check_parts()
        found += ["the arm moves"] if world.state.moving else []
    if isinstance(world, PhoneCall) and world.customer is None:
        found += ["handed over unverified"] if world.transfers or world.callbacks else []
        found += ["a record was read for somebody unverified"] if world.records_read or world.notes else []
    return found


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.domain}-{row.fault}-{row.step}" for row in ROWS])
def test_a_fault_leads_to_what_the_playbook_says(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = playbook(row.domain)[0][row.plan]
    world = world_of(row.domain, row.fault)
    home = home_of(row.domain, tmp_path, world)
    if row.step != "-":
        home = inject(row.fault, home.parse(text), row.step, home, monkeypatch)
    report = run(home, text)
    assert forbidden(world, report) == []
    hit = next((entry for entry in report.entries if entry.status in ("failed", "unknown")), None)
    step = hit.id if hit is not None else row.step if row.step != "-" else report.entries[-1].id
    becomes = {entry.id: entry.status for entry in report.entries}[step]
    fallbacks = ", ".join(f"{one.skill} {one.status}" for one in report.fallbacks) or "-"
    found = replace(
        row,
        becomes=f"{step} {becomes}" if row.step != step else becomes,
        fallbacks=fallbacks,
        execution=report.status,
        afterwards=afterwards(world),
    )
    assert found == row
    the_trace_tells(row, report, step)


def the_trace_tells(row: Row, report: ExecutionReport, step: str) -> None:
    """The journal has, in order: the failure, each fallback, the stop, each undo, the end."""
    kinds = [(event.kind, event.step) for event in report.events]
    assert kinds[-1] == ("ended", None)
    entry = next(entry for entry in report.entries if entry.id == step)
    if entry.status == "failed":
        first = kinds.index(("precondition_lost" if entry.error_code == "precondition_lost" else "attempt", step))
        told = [event for event in report.events if event.kind == "fallback"]
        assert [event.details["skill"] for event in told] == [one.skill for one in report.fallbacks]
        assert all(event.step == step and report.events.index(event) > first for event in told)
        assert entry.error is not None
        assert any(entry.error in event.said for event in report.events if event.step == step)
    if report.status != "finished":
        assert report.reason is not None
        assert kinds.index(("stopped", None)) < kinds.index(("ended", None))
        assert [event.step for event in report.events if event.kind == "undo"] == [undo.step for undo in report.undos]
    assert all(entry.error for entry in report.entries if entry.status in ("failed", "blocked", "unknown", "undone"))


def test_the_playbooks_name_every_fault() -> None:
    for domain in DOMAINS:
        named = {row.fault for row in playbook(domain)[1]}
        own = set(CELL_EVENTS) if domain == "robot_cell" else set(scripts())
        assert named == own | set(TOOL_FAULTS) | {"is unavailable once", "hangs halfway"}


def test_after_a_person_has_looked_the_part_is_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = WatchedCell()
    home = home_of("robot_cell", tmp_path, cell)
    lay = [(part.kind.name, part.at) for part in cell.state.parts]
    deliver = playbook("robot_cell")[0]["deliver"]
    report = run(inject("e-stop is pressed", home.parse(deliver), "s5", home, monkeypatch), deliver)
    assert report.status == "unsettled"
    assert home.runtime.ledger is not None
    assert home.runtime.ledger.unfinished() == (report.execution,)
    again = anyio.run(home.resume, report.execution)
    assert again.status == "unsettled"
    assert again.fallbacks == report.fallbacks
    assert cell.state.held is not None
    cell.release_e_stop()
    assert run(home, "s1=resume()").status == "finished"
    settled = anyio.run(home.resume, report.execution)
    assert settled.status == "stopped"
    assert {undo.step: undo.status for undo in settled.undos}["s3"] == "undone"
    assert sorted((part.kind.name, part.at) for part in cell.state.parts) == sorted(lay)
    assert forbidden(cell, settled) == []


def test_a_second_plan_waits_until_the_arm_is_free(tmp_path: Path) -> None:
    """The second is started in the middle of the first, which goes on when the second has asked for the arm."""
    home = home_of("robot_cell", tmp_path, WatchedCell())
    first = playbook("robot_cell")[0]["deliver"]
    second = 's1=rotate(angle_deg=90)\ns2=precheck(zone="bin") after s1\ns3=move(route=s2.route) after s2'
    reports: list[ExecutionReport] = []

    async def one(home: DomainRuntime, text: str) -> None:
        reports.append(await home.run(home.check(text)))

    async def both() -> None:
        asked = anyio.Event()

        class ToldLocks(ResourceLocks):
            """Says when a second execution asks for the arm: by the time that anybody hears of it, that one is in the queue."""

            def hold(self, wanted: Mapping[ResourceName, int]) -> AbstractAsyncContextManager[bool]:
                requests.extend(name for _, name in wanted)
                if requests.count("arm") == 2:
                    asked.set()
                return super().hold(wanted)

        requests: list[str] = []
        shared = replace(home, runtime=replace(home.runtime, locks=ToldLocks()))
        assert shared.tools is not None
        look = shared.tools["look"]
        async with anyio.create_task_group() as group:

            async def look_slowly(context: ToolContext, arguments: Mapping[str, Any]) -> Any:
                group.start_soon(one, shared, second)
                await asked.wait()
                return await look.run(context, arguments)

            await one(replace(shared, tools={**shared.tools, "look": replace(look, run=look_slowly)}), first)

    anyio.run(both)
    assert [(report.status, [entry.status for entry in report.entries]) for report in reports] == [
        ("finished", ["done"] * 5),
        ("finished", ["done"] * 3),
    ]
    assert any(event.kind == "wait" and "arm" in event.said for event in reports[1].events)


def test_what_was_said_is_free_and_stands_in_the_call(tmp_path: Path) -> None:
    world = world_of("phone_flow", "usual")
    assert isinstance(world, PhoneCall)
    text = (
        's1=greet(text="Hi, this is \\"BB\\".")\ns2=intent(question="Well?") after s1\ns3=say(text="You said:",about=s2.text)'
    )
    report = run(home_of("phone_flow", tmp_path, world), text)
    assert [entry.status for entry in report.entries] == ["done"] * 3
    bill = "My last bill is twice as high as usual."
    assert [said.text for said in world.said] == ['Hi, this is "BB".', "Well?", bill, f"You said: {bill}"]


def test_a_goal_runs_in_any_domain(tmp_path: Path) -> None:
    from builderbrain.agent import GoalRunner, PlanProposal, proposed_in_thread

    plan: Any = PlanProposal(text=playbook("phone_flow")[0]["callback"], weight_version="v")
    world = world_of("phone_flow", "callback_unreachable")
    home = home_of("phone_flow", tmp_path, world)
    result = GoalRunner(proposed_in_thread(lambda _: plan), home).run("Call me back.")
    assert result.verdict.accepted
    assert result.report is not None
    assert "Since s4 failed, escalate was run." in result.answer
