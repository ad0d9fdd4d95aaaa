"""The checker's gate: grants, the sealed type, speed."""

from __future__ import annotations

import copy
import statistics
import time

import pytest

from builderbrain.errors import PlanRejectedError, SchemaError
from builderbrain.plan import CheckedPlan, Verdict, check, checked, get_domain, load_grammar, parse_text, plan_to_json

SIXTEEN = "\n".join(
    ["s1=list()"]
    + [f's{number}=search(pattern="word {number}") if s1.count > 0' for number in range(2, 7)]
    + [f"s{number}=read(path=s{number - 5}.first_path) after s1" for number in range(7, 12)]
    + [f's{number}=talk(text="Here.",about=s{number - 5}.text)' for number in range(12, 17)]
)


def test_a_checked_plan_is_made_by_the_checker_alone_and_cannot_be_changed() -> None:
    accepted = checked(parse_text(SIXTEEN))
    with pytest.raises(TypeError, match="only"):
        CheckedPlan(accepted.plan, accepted.domain, accepted.granted)
    with pytest.raises(AttributeError):
        accepted.plan = parse_text("s1=list()")
    with pytest.raises(AttributeError):
        del accepted.granted
    with pytest.raises(TypeError):
        copy.copy(accepted)
    with pytest.raises(TypeError):
        accepted.__reduce_ex__(4)
    with pytest.raises(TypeError):
        type("Forged", (CheckedPlan,), {})


def test_a_refused_plan_gives_the_whole_verdict() -> None:
    with pytest.raises(PlanRejectedError) as refused:
        checked(parse_text('s1=read(path="../a")\ns2=shout()'))
    assert isinstance(refused.value.verdict, Verdict)
    assert {fault.code for fault in refused.value.verdict.faults} == {"path_escape", "unknown_skill"}
    assert "1 more" in refused.value.message


def test_a_level_that_is_not_granted_is_refused() -> None:
    verdict = check(parse_text("s1=list()"), granted=frozenset({"meta"}))
    assert [fault.code for fault in verdict.faults] == ["safety_not_granted"]


def test_the_reply_has_the_shape_of_the_contract() -> None:
    assert check(parse_text("s1=list()")).to_json() == {"accepted": True, "faults": [], "confirm": []}
    (fault,) = check(parse_text('s1=lst(path="x")')).to_json()["faults"]
    assert set(fault) == {"code", "step", "message", "remedy"}
    assert "did you mean list" in fault["remedy"]


def test_a_plan_in_json_and_the_same_plan_read_get_the_same_verdict() -> None:
    plan = parse_text(SIXTEEN)
    assert check(plan) == check(plan_to_json(plan)) == Verdict(True, ())


def test_an_unknown_domain_is_named_with_those_that_exist() -> None:
    for call in (lambda: load_grammar("repo"), lambda: get_domain("repo_assistant", 9)):
        with pytest.raises(SchemaError, match="expected"):
            call()


def test_checking_sixteen_steps_is_a_matter_of_microseconds() -> None:
    """The aim is 50 us on a quiet machine; processor time with room for a busy one and a slow interpreter."""
    plan = parse_text(SIXTEEN)
    rounds = []
    for _ in range(15):
        started = time.process_time()
        for _ in range(100):
            check(plan)
        rounds.append((time.process_time() - started) / 100)
    assert statistics.median(rounds) < 400e-6
