"""The playbooks of docs/domains: every row of their tables is a plan that is run with a fault, and ends as the row says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import DomainRuntime, ExecutionReport
from builderbrain.agent.locks import ResourceLocks, ResourceName
from builderbrain.domains.phone_flow import PhoneCall, scripts
from builderbrain.tools.base import ToolContext
from tests.domains.cell_monitor import WatchedCell
from tests.domains.faults import CELL_EVENTS, TOOL_FAULTS, inject
from tests.domains.faulty_server import SERVER_FAULTS
from tests.domains.playbooks import DOMAINS, Row, check_row, playbook
from tests.domains.stages import Stages, forbidden_in, home_of, simulated, stages, world_of

ROWS = [row for domain in DOMAINS for row in playbook(domain).rows]


@pytest.fixture(scope="module")
def made() -> Iterator[Stages]:
    with stages() as found:
        yield found


def run(home: DomainRuntime, text: str) -> ExecutionReport:
    async def main() -> ExecutionReport:
        return await home.run(home.check(text))

    return anyio.run(main)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_leads_to_what_the_playbook_says(
    row: Row, made: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made.stage(row.domain, row.fault, tmp_path)
    check_row(row, stage, lambda home: run(home, playbook(row.domain).plans[row.plan]), monkeypatch)


def test_the_playbooks_name_every_fault() -> None:
    own = {
        "robot_cell": {*CELL_EVENTS, "hangs halfway"},
        "phone_flow": {*scripts(), "hangs halfway"},
        "api_json": {*SERVER_FAULTS, "nothing"},
        "ui_macro": {*SERVER_FAULTS, "nothing"},
        "chat_social": {"nothing"},
        "repo_assistant": {"nothing"},
    }
    assert set(own) == set(DOMAINS)
    for domain, faults in own.items():
        named = {row.fault for row in playbook(domain).rows}
        expected = faults | set(TOOL_FAULTS) | {"is unavailable once"}
        if domain in ("chat_social", "repo_assistant"):  # their skills only look or speak: nothing is had that could be lost
            expected -= {fault for fault in TOOL_FAULTS if fault.endswith("after its effect")}
        assert named == expected, domain


def test_after_a_person_has_looked_the_part_is_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = WatchedCell()
    stage = simulated("robot_cell", tmp_path, cell)
    home = stage.home
    lay = [(part.kind.name, part.at) for part in cell.state.parts]
    deliver = playbook("robot_cell").plans["deliver"]
    report = run(inject("e-stop is pressed", home.parse(deliver), "s5", stage, monkeypatch), deliver)
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
    assert forbidden_in(cell, settled) == []


def test_a_second_plan_waits_until_the_arm_is_free(tmp_path: Path) -> None:
    """The second is started in the middle of the first, which goes on when the second has asked for the arm."""
    home = home_of("robot_cell", tmp_path, WatchedCell())
    first = playbook("robot_cell").plans["deliver"]
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

    plan: Any = PlanProposal(text=playbook("phone_flow").plans["callback"], weight_version="v")
    world = world_of("phone_flow", "callback_unreachable")
    home = home_of("phone_flow", tmp_path, world)
    result = GoalRunner(proposed_in_thread(lambda _: plan), home).run("Call me back.")
    assert result.verdict.accepted
    assert result.report is not None
    assert "Since s3 failed, escalate was run." in result.answer
