"""Executions beside others, cut off, streamed and told: facts, resources, cancellation, the journal, the ledger's file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import pytest

from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.executor import WorkingRoot, run_plan, run_streamed
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.report import ExecutionReport
from builderbrain.errors import (
    ExecutionNotFoundError,
    LedgerBusyError,
    LedgerError,
    PlanRejectedError,
    ToolError,
)
from builderbrain.plan import CheckedPlan
from builderbrain.plan._generated import DOMAINS
from builderbrain.tools.base import Tool, ToolContext
from tests.agent.shop import PAY, RESERVE, Shop, statuses
from tests.agent.workshop import plan_of, workshop


def test_a_fact_that_does_not_hold_blocks_the_step_even_if_no_checker_asked_for_it(shop: Shop) -> None:
    domain = workshop()
    careless = replace(domain, skills={**domain.skills, "weld": replace(domain.skills["weld"], requires={})})
    with patch.dict(DOMAINS, {("workshop", 1): careless}):
        plan = plan_of("weld", {"skill": "weld", "needs": ["s1"]})
    object.__setattr__(plan, "domain", domain)
    report = shop.run_checked(plan)
    assert statuses(report) == ["done", "blocked"]
    assert report.entries[1].error_code == "precondition_lost"
    assert report.entries[1].error == "door must be closed and is open"


def test_a_fact_that_the_world_changed_by_itself_fails_the_step_before_it_starts(shop: Shop) -> None:
    seen = [{"door": "closed"}, {"door": "open"}]

    async def observe() -> Mapping[str, str | None]:
        return seen[0]

    assert statuses(shop.run("weld", observe=observe)) == ["done"]
    seen.pop(0)
    report = shop.run("weld", "look", observe=observe)
    assert statuses(report) == ["failed", "done"]
    assert (report.entries[0].error_code, report.entries[0].attempts) == ("precondition_lost", 0)
    assert report.entries[0].error == "door must be closed and is open, as the world is now"
    assert shop.effects.counts()["weld"] == 1
    assert [event.kind for event in report.events if event.kind == "precondition_lost"] == ["precondition_lost"]
    assert [entry.status for entry in shop.ledger.entries(report.execution) if entry.step == "s1"] == ["failed"]


def test_a_resource_has_as_many_users_as_its_capacity(shop: Shop) -> None:
    using = most = 0

    async def write(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal using, most
        using += 1
        most = max(most, using)
        await anyio.sleep(0.01)
        using -= 1
        return {}

    shop.tools["write"] = Tool(skill="write", run=write)
    report = shop.run("write", "write", "write")
    assert (statuses(report), most) == (["done"] * 3, 1)
    assert any(event.kind == "wait" and event.details["reason"] == "disk" for event in report.events)


def test_two_executions_do_not_share_what_the_plan_orders(shop: Shop) -> None:
    using = most = 0

    async def weld(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal using, most
        using += 1
        most = max(most, using)
        await anyio.sleep(0.02)
        using -= 1
        return {}

    shop.tools["weld"] = Tool(skill="weld", run=weld)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):

                async def one() -> None:
                    await run_plan(plan_of("weld"), WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime)

                group.start_soon(one)

    anyio.run(main)
    assert most == 1


def test_a_cancelled_execution_goes_on_where_it_was(shop: Shop) -> None:
    paid = anyio.Event()
    real = shop.effects.tools["pay"]

    async def pay(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        results = await real.run(context, arguments)
        paid.set()
        await anyio.sleep(60)
        return results

    shop.tools["pay"] = Tool(skill="pay", run=pay, was_done=real.was_done)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            plan = plan_of(RESERVE, {**PAY, "needs": ["s1"]}, {"skill": "write", "needs": ["s2"]})

            async def run() -> None:
                await run_plan(plan, WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime)

            group.start_soon(run)
            await paid.wait()
            group.cancel_scope.cancel()

    anyio.run(main)
    (execution,) = shop.ledger.unfinished()
    report = shop.resume(execution)
    assert (report.status, statuses(report)) == ("finished", ["done"] * 3)
    assert shop.effects.counts() == {"reserve": 1, "pay": 1, "write": 1}


def test_a_plan_runs_while_it_is_decoded_and_effects_wait_for_its_end(shop: Shop) -> None:
    looked = anyio.Event()

    async def look(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        looked.set()
        return {"text": "x"}

    shop.tools["look"] = Tool(skill="look", run=look)

    async def decoded(last: CheckedPlan) -> AsyncIterator[CheckedPlan]:
        yield plan_of("look")
        with anyio.fail_after(5):
            await looked.wait()  # runs although the plan has no end yet
        before = shop.effects.lines()
        yield plan_of("look", "write")
        await anyio.sleep(0.05)
        assert shop.effects.lines() == before
        yield last

    async def main(last: CheckedPlan) -> ExecutionReport:
        return await run_streamed(decoded(last), WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime)

    report = anyio.run(main, plan_of("look", "write", "look"))
    assert statuses(report) == ["done"] * 3
    assert shop.ledger.entries(report.execution)[0].step == "s1"
    with pytest.raises(PlanRejectedError, match="goes on from"):
        anyio.run(main, plan_of("look", "send", "look"))
    assert shop.effects.counts() == {"write": 1}


def test_the_journal_tells_the_story_line_by_line(shop: Shop) -> None:
    shop.effects.fail["inspect"] = ToolError("it is broken")
    report = shop.run("look", RESERVE, {"skill": "inspect", "needs": ["s2"]}, {"skill": "write", "needs": ["s3"]})
    lines = (shop.folder / f"{report.execution}.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert told == [event.to_json() for event in report.events]
    assert {line["event"] for line in told} == {"started", "attempt", "stopped", "held_back", "undo", "ended"}
    attempt = next(line for line in told if line["event"] == "attempt" and line["step"] == "s2")
    assert {"input", "output", "seconds", "verdict", "key", "attempt", "time"} <= set(attempt)
    assert all(line["said"] for line in told)
    assert (shop.folder / f"{report.execution}.jsonl").stat().st_mode & 0o077 == 0


def test_a_ledger_has_one_writer_and_is_no_other_file(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(LedgerBusyError, match="another process"):
        Ledger(tmp_path / "ledger.db")
    shop.ledger.close()
    Ledger(tmp_path / "ledger.db").close()
    (tmp_path / "text").write_text("not a ledger, though it is as long as one " * 100)
    with pytest.raises(LedgerError, match="is no ledger"):
        Ledger(tmp_path / "text")


def test_an_execution_that_is_not_there_cannot_be_resumed(shop: Shop) -> None:
    with pytest.raises(ExecutionNotFoundError):
        shop.resume("nothing")


def test_a_tool_that_keeps_failing_cools_down(shop: Shop) -> None:
    breakers = ToolBreakers(shop.clock, cool_down_seconds=30)
    shop.effects.fail["look"] = ZeroDivisionError()
    for _ in range(3):
        shop.run("look", breakers=breakers)
    report = shop.run("look", breakers=breakers)
    assert (report.entries[0].error_code, report.entries[0].attempts) == ("tool_cooling_down", 0)
    assert len(shop.effects.arguments) == 3
    shop.clock.time += 31
    del shop.effects.fail["look"]
    assert statuses(shop.run("look", breakers=breakers)) == ["done"]
