"""Plans that wait for a yes, run once they have it, and are resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import PlanRuns, WorkingRoot
from builderbrain.agent.policy import Policy
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import MOST_PENDING, WAIT_SECONDS, Pending
from builderbrain.errors import ConfirmationNotFoundError, ConflictError, NoToolsError, PolicyError
from builderbrain.plan import checked, plan_from_json
from tests.agent.shop import PAY, RESERVE, Shop, statuses
from tests.agent.workshop import plan_of


@pytest.fixture
def runs(shop: Shop) -> PlanRuns:
    return PlanRuns(shop.runtime, tools={"workshop": shop.tools})


def run(runs: PlanRuns, shop: Shop, *steps: Any, **options: Any) -> ExecutionReport | Pending:
    async def main() -> ExecutionReport | Pending:
        return await runs.run(plan_of(*steps), WorkingRoot(shop.folder), **options)

    return anyio.run(main)


def waiting(runs: PlanRuns, shop: Shop, *steps: Any, **options: Any) -> Pending:
    found = run(runs, shop, *steps, **options)
    assert isinstance(found, Pending)
    return found


def answer(runs: PlanRuns, token: str, *, yes: bool = True) -> ExecutionReport | None:
    async def main() -> ExecutionReport | None:
        return await runs.answer(token, yes=yes)

    return anyio.run(main)


def test_a_plan_that_asks_nobody_runs(runs: PlanRuns, shop: Shop) -> None:
    report = run(runs, shop, RESERVE)
    assert isinstance(report, ExecutionReport)
    assert statuses(report) == ["done"]
    assert runs.running == frozenset()


def test_a_plan_that_needs_a_yes_waits_and_runs_once(runs: PlanRuns, shop: Shop) -> None:
    pending = waiting(runs, shop, RESERVE, {"skill": "paint", "needs": ["s1"]})
    assert shop.effects.lines() == []
    shown = pending.to_json()
    assert [(step["id"], step["skill"]) for step in shown["steps"]] == [("s2", "paint")]
    assert shown["expires_in_seconds"] == WAIT_SECONDS
    report = answer(runs, pending.token)
    assert report is not None
    assert statuses(report) == ["done", "done"]
    assert "confirmed" in [event.kind for event in report.events]
    with pytest.raises(ConfirmationNotFoundError):
        answer(runs, pending.token)
    assert shop.effects.counts() == {"reserve": 1, "paint": 1}


def test_a_no_drops_the_plan(runs: PlanRuns, shop: Shop) -> None:
    pending = waiting(runs, shop, "paint")
    assert answer(runs, pending.token, yes=False) is None
    with pytest.raises(ConfirmationNotFoundError):
        answer(runs, pending.token)
    assert shop.effects.lines() == []


def test_a_plan_does_not_wait_for_ever_and_not_too_many_wait(runs: PlanRuns, shop: Shop) -> None:
    pending = waiting(runs, shop, "paint")
    shop.clock.time += WAIT_SECONDS
    for token in (pending.token, "", "ä"):
        with pytest.raises(ConfirmationNotFoundError):
            answer(runs, token)
    for _ in range(MOST_PENDING):
        waiting(runs, shop, "paint")
    with pytest.raises(ConflictError):
        run(runs, shop, "paint")


def test_a_review_asks_about_every_step(runs: PlanRuns, shop: Shop) -> None:
    pending = waiting(runs, shop, "look", RESERVE, review=True)
    assert [one.step for one in pending.steps] == ["s1", "s2"]


def test_what_the_policy_blocks_does_not_wait(runs: PlanRuns, shop: Shop) -> None:
    strict = PlanRuns(replace(runs.runtime, policy=Policy(blocked=frozenset({"paint"}))), tools={"workshop": shop.tools})
    with pytest.raises(PolicyError):
        run(strict, shop, "paint")


def test_a_domain_without_tools_is_named(runs: PlanRuns, tmp_path: Path) -> None:
    plan = checked(
        plan_from_json({"domain": "scan", "version": 1, "steps": [{"id": "s1", "skill": "do", "args": {"act": "walk"}}]})
    )
    with pytest.raises(NoToolsError, match="scan"):
        anyio.run(runs.run, plan, WorkingRoot(tmp_path))


def test_an_execution_is_resumed_and_not_twice_at_a_time(runs: PlanRuns, shop: Shop) -> None:
    shop.effects.fail["pay"] = TimeoutError()
    report = run(runs, shop, RESERVE, PAY)
    assert isinstance(report, ExecutionReport)
    assert report.status != "finished"
    first = report.execution
    assert first in shop.ledger.unfinished() or report.status == "stopped"

    async def both() -> None:
        runs._running.add(first)
        with pytest.raises(ConflictError):
            await runs.resume(first)
        runs._running.clear()
        if report.status == "unsettled":
            assert (await runs.resume(first)).execution == first

    anyio.run(both)


def test_failing_tools_open_the_breakers_of_the_process(runs: PlanRuns, shop: Shop) -> None:
    shop.effects.fail["look"] = RuntimeError("broken")
    changed = runs.board.watch()
    for _ in range(3):
        run(runs, shop, "look")
    assert [(record.name, record.after) for record in changed()] == [("tool/look", "open")]
    report = run(runs, shop, "look")
    assert isinstance(report, ExecutionReport)
    assert report.entries[0].error_code == "tool_cooling_down"
