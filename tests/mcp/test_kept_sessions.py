"""Servers that are kept between calls: one process, its memory, and the same bounds as ever."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import anyio
import pytest

from builderbrain.agent import Ledger, Runtime, run_plan
from builderbrain.agent.report import ExecutionReport
from builderbrain.mcp import load_catalogue
from builderbrain.plan import checked, parse_text
from tests.mcp.conftest import ALL, Desk
from tests.tools.confined import all_gone, processes_with

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")
Kept = Callable[..., list[ExecutionReport]]
TOOLS = {"look": {"safety": "read_only"}, "act": {"confirm": False}}


@pytest.fixture
def kept(desk: Desk) -> Kept:
    """Runs plans one after the other with kept sessions of the hostile server in a mode; then its processes must be gone."""

    def running(mode: str, *plans: str, seconds: float = 30.0) -> list[ExecutionReport]:
        marker = f"kept-{desk.folder.name}-{id(plans)}"
        desk.configure("hostile", "fine", tools=TOOLS)
        desk.approve()
        desk.configure("hostile", mode, marker, tools=TOOLS, timeout_seconds=seconds)
        catalogue = load_catalogue(desk.config)
        reports = []

        async def main() -> None:
            ledger = Ledger(desk.folder / "ledger.db")
            try:
                with catalogue.available():
                    async with catalogue.running() as tools:
                        for text in plans:
                            plan = checked(parse_text(text, domain="desk"), granted=ALL)
                            reports.append(await run_plan(plan, desk.root, tools=tools, runtime=Runtime(ledger=ledger)))
                        assert not reports or reports[-1].entries[-1].status != "done" or processes_with(marker)
            finally:
                ledger.close()

        anyio.run(main)
        assert all_gone(marker)
        return reports

    return running


def texts(reports: list[ExecutionReport]) -> list[str]:
    return [entry.output["text"] for report in reports for entry in report.entries if entry.output]


def test_a_server_keeps_its_memory_from_call_to_call_and_from_plan_to_plan(kept: Kept) -> None:
    reports = kept("counts", "s1=hostile_look()\ns2=hostile_look() after s1", "s1=hostile_look()")
    assert texts(reports) == ["1", "2", "3"]


def test_what_only_looks_and_what_changes_things_have_processes_of_their_own(kept: Kept) -> None:
    assert texts(kept("counts", "s1=hostile_look()\ns2=hostile_act() after s1\ns3=hostile_look() after s2")) == ["1", "1", "2"]


def test_steps_side_by_side_take_turns(kept: Kept) -> None:
    assert sorted(texts(kept("counts", "s1=hostile_look()\ns2=hostile_look()\ns3=hostile_look()"))) == ["1", "2", "3"]


def test_after_a_crash_the_next_call_has_a_new_process(kept: Kept) -> None:
    first, second, third = kept("crash", "s1=hostile_look()", "s1=hostile_look()", "s1=hostile_act()")
    for report in (first, second):
        assert "ended with status 3 before it answered" in str(report.entries[0].error)
        assert report.entries[0].status == "failed"
    assert third.entries[0].status == "unknown"


def test_one_that_ended_between_calls_is_started_again(kept: Kept) -> None:
    assert texts(kept("counts_once", "s1=hostile_look()", "s1=hostile_look()")) == ["1", "1"]


def test_a_call_that_takes_too_long_ends_the_process_and_the_neighbour_is_served(kept: Kept) -> None:
    started = time.monotonic()
    (report,) = kept("sleeps", 's1=hostile_look(text="long")\ns2=hostile_look(text="short") after s1', seconds=2.5)
    assert "ran longer than 2.5 s" in str(report.entries[0].error)
    assert report.entries[1].status == "blocked"
    (alone,) = kept("sleeps", 's1=hostile_look(text="short")', seconds=20)
    assert texts([alone]) == ["short"]
    assert time.monotonic() - started < 30


def test_bounds_are_those_of_one_call(kept: Kept) -> None:
    plan = "s1=hostile_look()"
    reports = kept("three_mebibytes", *[plan] * 7)  # 21 MiB in all, above what one call may send
    assert [report.entries[0].status for report in reports] == ["done"] * 7
    assert "sent more than 2000 messages" in str(kept("endless", plan)[0].entries[0].error)
