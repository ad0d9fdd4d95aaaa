"""What the steps of a plan do to one another: goldens of a domain with every key of language 2, the words of the faults, and
runs at random in which no accepted plan may miss a precondition."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from builderbrain.plan import Domain, Plan, Reference, Step, Verdict, argument_faults, parse_text, plan_from_json
from builderbrain.plan.check import judge
from builderbrain.plan.condition import contradict, holds, implications, parse_condition
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.faults import EFFECT_CODES
from builderbrain.plan.schema import load_schema
from tests.plan.agreement import BAKERY, random_bakery
from tests.plan.conftest import generated_domain
from tests.plan.naive_checker import edges_of
from tests.plan.naive_runs import effect_faults

GOLDENS = Path(__file__).with_name("golden") / "bakery.v1"
LEVELS = frozenset(SAFETY_LEVELS)
SCHEMA = load_schema(BAKERY)
MIX_AND_HEAT = "s1=mix(amount=2)\ns2=heat()\n"


@pytest.fixture(scope="module")
def bakery() -> Domain:
    return generated_domain(SCHEMA)


def judged(domain: Domain, text: str) -> Verdict:
    return judge(Plan("bakery", 1, parse_text(text, domain="bakery").steps), domain, LEVELS)


def goldens(kind: str) -> list[Any]:
    paths = sorted((GOLDENS / kind).glob("*.json"))
    return [pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem) for path in paths]


@pytest.mark.parametrize("golden", goldens("valid"))
def test_a_valid_golden_is_accepted_by_both_checkers(bakery: Domain, golden: dict[str, Any]) -> None:
    verdict = judge(golden["plan"], bakery, LEVELS)
    assert verdict.faults == ()
    assert list(verdict.confirm) == golden.get("confirm", [])
    edges = edges_of(SCHEMA, golden["plan"])
    assert edges is not None
    assert effect_faults(SCHEMA, golden["plan"], edges) == set()


@pytest.mark.parametrize("golden", goldens("invalid"))
def test_an_invalid_golden_is_refused_with_exactly_its_codes_by_both_checkers(bakery: Domain, golden: dict[str, Any]) -> None:
    verdict = judge(golden["plan"], bakery, frozenset(golden.get("granted", LEVELS)))
    assert sorted({fault.code for fault in verdict.faults}) == golden["codes"]
    assert all(fault.message and fault.remedy for fault in verdict.faults)
    edges = edges_of(SCHEMA, golden["plan"])
    assert edges is not None
    found = effect_faults(SCHEMA, golden["plan"], edges)
    assert {(fault.code, fault.step) for fault in verdict.faults if fault.code in EFFECT_CODES} == found


def test_every_code_of_the_rules_has_a_golden() -> None:
    assert {code for golden in goldens("invalid") for code in golden.values[0]["codes"]} >= EFFECT_CODES


@pytest.mark.parametrize(
    ("text", "step", "message", "remedy"),
    [
        (
            "s1=mix(amount=2)\ns2=bake() after s1",
            "s2",
            "oven to be hot, but it is unknown at the start and no step before sets it",
            "that sets it: heat",
        ),
        (MIX_AND_HEAT + "s3=cool() after s2\ns4=bake() after s1,s3", "s4", "s3 (cool) leaves it cold", "that sets it: heat"),
        (MIX_AND_HEAT + "s3=bake() after s1", "s3", "s2 (heat) may change it at the same time", "s3 after s2, or s2 after s3"),
        ("s1=mix(amount=2)\ns2=mix(amount=1) if not s1.ok", "s2", "it is unknown where s1 (mix) fails", "sets it: scrape"),
        (
            "s1=look()\ns2=mix(amount=1) if s1.lit\ns3=tell(about=s1.report) after s2",
            "s3",
            "it starts absent and s2 may be skipped",
            "if s2.ok",
        ),
    ],
)  # fmt: skip
def test_a_precondition_says_why_it_is_not_certain_and_what_would_make_it_so(
    bakery: Domain, text: str, step: str, message: str, remedy: str
) -> None:
    fault = next(fault for fault in judged(bakery, text).faults if fault.code == "precondition")
    assert fault.step == step
    assert message in fault.message
    assert remedy in fault.remedy


def test_the_other_faults_name_the_steps_and_the_order_that_would_do(bakery: Domain) -> None:
    (lock,) = judged(bakery, "s1=scrape(amount=1)\ns2=scrape(amount=1)").faults
    assert (lock.code, lock.step) == ("lock_conflict", "s2")
    assert "uses bowl in no order with s1 (scrape)" in lock.message
    assert "s2 after s1" in lock.remedy
    (late,) = judged(bakery, MIX_AND_HEAT + "s3=bake() after s1,s2\ns4=heat() after s3").faults
    assert (late.code, late.step) == ("irreversible_order", "s3")
    assert "does not wait for s4 (heat)" in late.message
    (dear,) = judged(bakery, "s1=mix(amount=5)\ns2=scrape(amount=5) after s1\ns3=mix(amount=5) after s2").faults
    assert (dear.code, dear.step) == ("over_budget", None)
    assert "10 of flour" in dear.message
    assert "within 8" in dear.remedy


@pytest.mark.parametrize(
    "steps",
    [
        (Step("s1", "bake"), Step("s2", "bake_more")),
        (Step("s1", "bake", needs=("s2",)), Step("s2", "heat")),
        (Step("s1", "bake", needs=("s7",)),),
        (Step("s1", "look"), Step("s2", "bake", condition="s1.ok and")),
    ],
)
def test_effects_are_not_judged_where_steps_are_unknown_or_out_of_order(bakery: Domain, steps: tuple[Step, ...]) -> None:
    codes = {fault.code for fault in judge(Plan("bakery", 1, steps), bakery, LEVELS).faults}
    assert codes
    assert not codes & EFFECT_CODES
    assert "precondition" in {fault.code for fault in judge(Plan("bakery", 1, (Step("s1", "bake"),)), bakery, LEVELS).faults}


def test_a_long_wide_plan_full_of_conditions_is_judged_in_milliseconds(bakery: Domain) -> None:
    text = "s1=look()\n" + "\n".join(f"s{i}=heat() after s{i - 1} if s1.degrees > {i}" for i in range(2, 7))
    text += "\ns7=tell(about=s1.report) if s6.ok or s5.ok"
    started = time.process_time()
    for _ in range(20):
        judged(bakery, text)
    assert (time.process_time() - started) / 20 < 0.02


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("s1.ok", "not s1.ok", True),
        ("s1.lit", "s2.lit", False),
        ("s1.degrees > 3", "s1.degrees <= 3", True),
        ("s1.degrees > 3", "s1.degrees < 5", False),
        ("s1.degrees > 3", "s1.degrees < 4", False),  # a number may lie between
        ("s1.degrees >= 3", "s1.degrees <= 3", False),
        ('s1.kind == "a"', 's1.kind == "b"', True),
        ('s1.kind == "a"', 's1.kind != "b"', False),
        ('s1.kind != "a"', 's1.kind != "b"', False),
        ("s1.ok and s1.lit", "not s1.lit and s2.ok", True),
        ("s1.ok or s1.lit", "not s1.ok", False),
        ("s1.ok or s1.ok", "not s1.ok", True),
        ("s1.lit and not s1.lit", "s1.lit and not s1.lit", True),
        ("s1.lit", "s1.lit", False),
    ],
)  # fmt: skip
def test_conditions_that_exclude_one_another(one: str, other: str, expected: bool) -> None:
    assert contradict(one, other) is expected
    assert contradict(other, one) is expected


@pytest.mark.parametrize(
    ("text", "done", "not_done"),
    [
        ("s1.ok", {"s1"}, set()),
        ("not s1.ok", set(), {"s1"}),
        ("not s1.lit", set(), set()),
        ("s1.degrees < 3 and not s2.ok", {"s1"}, {"s2"}),
        ("s1.degrees < 3 or s1.lit", {"s1"}, set()),
        ("s1.ok or s2.ok", set(), set()),
    ],
)
def test_what_a_condition_says_about_the_steps_it_asks(text: str, done: set[str], not_done: set[str]) -> None:
    assert (implications(text).done, implications(text).not_done) == (done, not_done)


def test_no_accepted_plan_misses_a_precondition_in_any_run(bakery: Domain) -> None:
    """Runs with real values of results, conditions evaluated as the executor does, steps that fail, in any order."""
    draw = random.Random(11)
    accepted = called = failed = 0
    while accepted < 150:
        source = random_bakery(draw)
        if not judge(source, bakery, LEVELS).accepted:
            continue
        accepted += 1
        plan = plan_from_json(source)
        for _ in range(12):
            outcome = run(plan, bakery, draw)
            assert outcome.unmet == [], (source, outcome.status)
            called += sum(status == "done" for status in outcome.status.values())
            failed += sum(status == "failed" for status in outcome.status.values())
    assert called > 1000
    assert failed > 200


class Outcome:
    def __init__(self, domain: Domain) -> None:
        self.facts = dict(domain.initial_facts)
        self.status: dict[str, str] = {}
        self.values: dict[str, dict[str, Any]] = {}
        self.unmet: list[str] = []

    def lookup(self, reference: Reference) -> Any:
        if reference.result == "ok":
            return self.status[reference.step] == "done"
        return self.values.get(reference.step, {}).get(reference.result)


def run(plan: Plan, domain: Domain, draw: random.Random) -> Outcome:
    """One run; of the steps that could start any may start next."""
    outcome = Outcome(domain)
    waiting = list(plan.steps)
    while waiting:
        step = draw.choice([step for step in waiting if all(name in outcome.status for name in step.needs)])
        waiting.remove(step)
        outcome.status[step.id] = take_up(step, domain, outcome, draw)
    return outcome


def take_up(step: Step, domain: Domain, outcome: Outcome, draw: random.Random) -> str:
    condition = parse_condition(step.condition) if step.condition is not None else None
    asked = {term.reference.step for term in condition.terms} if condition is not None else set()
    if any(outcome.status[name] in ("failed", "blocked") for name in step.needs if name not in asked):
        return "blocked"
    if condition is not None and not holds(condition, outcome.lookup):
        return "skipped"
    if any(isinstance(value, Reference) and outcome.lookup(value) is None for value in step.args.values()):
        return "blocked"
    skill = domain.skills[step.skill]
    if any(outcome.facts[fact] not in legal for fact, legal in skill.requires.items()):
        outcome.unmet.append(step.id)
    if draw.random() < 0.25:
        outcome.facts.update(dict.fromkeys(skill.sets))
        fallback = skill.fallback
        while fallback is not None:
            works = draw.random() < 0.6
            sets = domain.skills[fallback].sets
            outcome.facts.update(sets if works else dict.fromkeys(sets))
            fallback = None if works else domain.skills[fallback].fallback
        return "failed"
    outcome.facts.update(skill.sets)
    drawn: dict[str, Any] = {
        "boolean": draw.choice((True, False, None)),
        "integer": draw.choice((None, 1, 3, 4, 9)),
        "number": draw.choice((0.0, 2.5)),
        "string": draw.choice(("rye", "wheat")),
        "text": draw.choice((None, "seen")),
    }
    outcome.values[step.id] = {name: drawn[kind] for name, kind in skill.results.items() if name != "ok"}
    return "done"


def test_real_arguments_keep_the_bounds_that_literals_keep(bakery: Domain) -> None:
    assert argument_faults(bakery, "s2", "mix", {"amount": 3, "kind": "rye"}) == ()
    (over,) = argument_faults(bakery, "s2", "mix", {"amount": 7})
    assert (over.code, over.step) == ("bad_value", "s2")
    assert re.search("at most 6", over.message)
    assert [fault.code for fault in argument_faults(bakery, "s2", "mix", {"amount": "3"})] == ["ill_typed_argument"]
    assert [fault.code for fault in argument_faults(bakery, "s2", "mix", {})] == ["missing_argument"]
    assert [fault.code for fault in argument_faults(bakery, "s2", "mix", {"amount": 3, "salt": 1})] == ["unknown_argument"]
    assert argument_faults(bakery, "s2", "tell", {"about": "what was seen"}) == ()
    assert argument_faults(bakery, "s2", "look", {"labels": ["a", "b"]}) == ()
