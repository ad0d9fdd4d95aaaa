"""Plans with effects: once each, retried where that is right, taken back in reverse order, asked about, and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.policy import ConfirmationRequest, Policy
from builderbrain.errors import (
    LedgerError,
    NotConfirmedError,
    PolicyError,
    ToolError,
    TransientToolError,
)
from builderbrain.tools.base import Tool, ToolContext
from tests.agent.shop import PAY, RESERVE, Shop, failing, statuses


def test_every_effect_has_its_own_key_and_stands_in_the_ledger(shop: Shop) -> None:
    report = shop.run(RESERVE, PAY, "write")
    assert (report.status, statuses(report)) == ("finished", ["done"] * 3)
    entries = shop.ledger.entries(report.execution)
    assert sorted((entry.skill, entry.key) for entry in entries) == sorted(shop.effects.lines())
    assert len({entry.key for entry in entries}) == 3
    assert shop.ledger.execution(report.execution).status == "finished"
    assert shop.ledger.unfinished() == ()


def test_effects_need_a_ledger_and_reading_does_not(shop: Shop) -> None:
    with pytest.raises(LedgerError, match="need a ledger"):
        shop.run("look", "write", ledger=None)
    assert shop.effects.lines() == []
    assert shop.effects.arguments == []
    assert statuses(shop.run("look", ledger=None)) == ["done"]


def test_transient_faults_are_tried_again_after_waits_that_double(shop: Shop) -> None:
    away = TransientToolError("503")
    shop.tools["look"] = failing("look", away, away, away, away, None)
    report = shop.run("look", breakers=ToolBreakers(shop.clock, failures=99))
    assert shop.clock.slept == [1.0, 2.0, 4.0, 8.0]
    assert (statuses(report), report.entries[0].attempts) == (["done"], 5)
    kinds = [event.kind for event in report.events if event.step == "s1"]
    assert kinds == ["attempt", "wait"] * 4 + ["attempt"]


@pytest.mark.parametrize(
    ("skill", "error", "calls"),
    [
        ("look", ToolError("there is no such thing"), 1),  # an answer, not a fault
        ("look", ZeroDivisionError(), 1),
        ("reserve", TransientToolError("503"), 1),  # not idempotent
        ("write", TransientToolError("503"), 4),
    ],
)
def test_what_is_no_transient_fault_of_an_idempotent_tool_is_not_tried_again(
    shop: Shop, skill: str, error: Exception, calls: int
) -> None:
    shop.effects.fail[skill] = error
    report = shop.run(RESERVE if skill == "reserve" else skill, breakers=ToolBreakers(shop.clock, failures=99))
    assert (statuses(report), report.entries[0].attempts) == (["failed"], calls)
    assert len(shop.effects.arguments) == calls


def test_attempts_share_one_key(shop: Shop) -> None:
    keys: list[tuple[str | None, int]] = []

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        keys.append((context.key, context.attempt))
        if len(keys) < 3:
            raise TransientToolError("503")
        return {}

    shop.tools["write"] = Tool(skill="write", run=run)
    shop.run("write")
    assert [attempt for _, attempt in keys] == [1, 2, 3]
    assert len({key for key, _ in keys}) == 1
    assert keys[0][0] is not None


def test_a_critical_failure_takes_back_what_was_done_in_reverse_order(shop: Shop) -> None:
    shop.effects.fail["inspect"] = ToolError("it is broken")
    steps = (RESERVE, {**PAY, "needs": ["s1"]}, {"skill": "send", "needs": ["s2"]}, {"skill": "inspect", "needs": ["s3"]})
    report = shop.run(*steps, {"skill": "look", "needs": ["s4"]})
    assert report.status == "stopped"
    assert statuses(report) == ["undone", "undone", "done", "failed", "blocked"]
    assert [(undo.step, undo.status) for undo in report.undos] == [("s3", "irreversible"), ("s2", "undone"), ("s1", "undone")]
    assert [skill for skill, _ in shop.effects.lines()] == ["reserve", "pay", "send", "refund", "release"]
    ticket = report.entries[0].output and report.entries[0].output["ticket"]
    assert shop.effects.arguments[-1] == ("release", {"ticket": ticket})
    receipt = report.entries[1].output and report.entries[1].output["receipt"]
    assert shop.effects.arguments[-2] == ("refund", {"amount": 7, "receipt": receipt})


def test_a_failure_that_is_not_critical_takes_nothing_back(shop: Shop) -> None:
    shop.effects.fail["send"] = ToolError("no line")
    report = shop.run(RESERVE, {"skill": "send", "needs": ["s1"]}, {"skill": "write", "needs": ["s2"]}, "look")
    assert (report.status, statuses(report)) == ("finished", ["done", "failed", "blocked", "done"])
    assert report.undos == ()


def test_a_critical_failure_cancels_what_only_looks_and_lets_effects_end(shop: Shop) -> None:
    ended: list[str] = []
    looking, reserving = anyio.Event(), anyio.Event()

    async def look(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        looking.set()
        await anyio.sleep(60)
        return {"text": ""}

    async def reserve(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        reserving.set()
        await anyio.sleep(0.2)
        ended.append("reserve")
        return {"item": "bench", "ticket": "t"}

    async def inspect(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await looking.wait()
        await reserving.wait()
        raise ToolError("it is broken")

    for skill, run in (("look", look), ("reserve", reserve), ("inspect", inspect)):
        shop.tools[skill] = Tool(skill=skill, run=run)
    report = shop.run("look", RESERVE, "inspect")
    assert statuses(report) == ["cancelled", "undone", "failed"]
    assert ended == ["reserve"]
    assert shop.effects.counts() == {"release": 1}


def test_an_effect_that_may_have_happened_is_asked_about_or_unknown(shop: Shop) -> None:
    real = shop.effects.tools["pay"]

    async def breaks_after(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await real.run(context, arguments)
        raise ZeroDivisionError("after the effect")

    shop.tools["pay"] = Tool(skill="pay", run=breaks_after, was_done=real.was_done)
    report = shop.run(PAY)
    assert statuses(report) == ["done"]
    assert report.entries[0].output is not None
    assert report.entries[0].output["receipt"].startswith("receipt-")

    shop.tools["pay"] = Tool(skill="pay", run=breaks_after)
    report = shop.run(RESERVE, {**PAY, "needs": ["s1"]})
    assert (report.status, statuses(report)) == ("unsettled", ["undone", "unknown"])
    assert "not known" in str(report.entries[1].error)
    assert [(undo.step, undo.status) for undo in report.undos] == [("s2", "unknown"), ("s1", "undone")]
    assert shop.effects.counts()["pay"] == 2

    assert statuses(shop.resume(report.execution)) == ["undone", "unknown"]  # however often: it is not run again
    assert shop.effects.counts()["pay"] == 2
    shop.ledger.answer(report.execution, "s2", done=True, results={"receipt": "r"})
    settled = shop.resume(report.execution)
    assert (settled.status, statuses(settled)) == ("stopped", ["undone", "undone"])
    assert shop.effects.counts()["refund"] == 1
    with pytest.raises(LedgerError, match="over"):
        shop.resume(report.execution)


def test_an_undo_that_fails_is_told_and_tried_again_before_what_waits_for_it(shop: Shop) -> None:
    shop.effects.fail.update(inspect=ToolError("broken"), refund=ToolError("the bank is closed"))
    steps = ({"skill": "reserve", "args": {"item": "a"}}, {**PAY, "needs": ["s1"]}, {"skill": "reserve", "args": {"item": "b"}})
    report = shop.run(*steps, {"skill": "inspect", "needs": ["s2", "s3"]})
    assert report.status == "unsettled"
    assert {undo.step: undo.status for undo in report.undos} == {"s1": "waiting", "s2": "failed", "s3": "undone"}
    assert shop.effects.counts()["release"] == 1
    del shop.effects.fail["refund"]
    assert shop.ledger.unfinished() == (report.execution,)
    settled = shop.resume(report.execution)
    assert settled.status == "stopped"
    assert {undo.step: undo.status for undo in settled.undos} == {"s1": "undone", "s2": "undone", "s3": "undone"}
    assert [skill for skill, _ in shop.effects.lines()][-2:] == ["refund", "release"]
    assert shop.effects.counts() == {"reserve": 2, "pay": 1, "refund": 1, "release": 2}


def test_a_fallback_runs_when_a_step_failed_for_good(shop: Shop) -> None:
    shop.effects.fail["paint"] = ToolError("no paint")
    report = shop.run("paint", confirm=_yes)
    assert statuses(report) == ["failed"]
    assert [(one.step, one.skill, one.status) for one in report.fallbacks] == [("s1", "halt", "done")]
    assert shop.effects.counts() == {"halt": 1}


@pytest.mark.parametrize(
    ("fault", "became"),
    [(ToolError("the brake is stuck"), "failed"), (RuntimeError("whether it braked is not known"), "unknown")],
)
def test_a_fallback_that_fails_gives_way_to_its_own_and_a_done_chain_is_left_alone(
    shop: Shop, fault: Exception, became: str
) -> None:
    shop.effects.fail |= {
        "paint": ToolError("no paint"),
        "halt": fault,
        "send": RuntimeError("whether it was sent is not known, so that the execution can be resumed"),
    }
    report = shop.run("paint", "send", confirm=_yes)
    assert [(one.skill, one.status) for one in report.fallbacks] == [("halt", became), ("write", "done")]
    assert shop.effects.counts() == {"write": 1}
    del shop.effects.fail["halt"]
    assert shop.resume(report.execution).fallbacks == report.fallbacks
    assert shop.effects.counts() == {"write": 1}


async def _yes(request: ConfirmationRequest) -> bool:
    return True


def test_what_needs_a_yes_is_asked_once_and_refused_where_nobody_answers(shop: Shop) -> None:
    asked: list[ConfirmationRequest] = []

    async def answer(request: ConfirmationRequest) -> bool:
        asked.append(request)
        return len(asked) > 1

    for confirm, reason in ((None, "nobody can answer"), (answer, "was not yes")):
        with pytest.raises(NotConfirmedError, match=reason):
            shop.run("paint", "write", confirm=confirm)
        assert shop.effects.lines() == []
    report = shop.run(
        "paint", {"skill": "send", "args": {"text": "hi"}}, confirm=answer, policy=Policy(confirmed=frozenset({"send"}))
    )
    assert statuses(report) == ["done", "done"]
    assert [one.step for one in asked[-1].steps] == ["s1", "s2"]
    assert asked[-1].arguments["s2"] == {"text": "hi"}


def test_a_blocked_skill_stops_the_plan_before_anything_runs(shop: Shop) -> None:
    with pytest.raises(PolicyError, match="s2: write is blocked here"):
        shop.run("look", "write", policy=Policy(blocked=frozenset({"write"})))
    with pytest.raises(NotConfirmedError):
        shop.run("look", "write", policy=Policy(confirmed_levels=frozenset({"mutating"})))
    assert shop.effects.arguments == []
