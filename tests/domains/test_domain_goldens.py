"""Golden plans and strings of the domains that act on the world, and what no plan of them may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from builderbrain.plan import check, decide, get_domain, load_grammar, parse_text, plan_from_json, plan_to_json, print_text
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.faults import FAULT_CODES
from builderbrain.plan.goldens import check_goldens
from tests.plan.conftest import ROOT, byte_acceptor

DOMAINS = ("robot_cell", "phone_flow", "api_json", "ui_macro", "chat_social")
LEVELS = frozenset(SAFETY_LEVELS)
READING = {"malformed", "unknown_domain", "unknown_version", "duplicate_id", "bad_id", "bad_reference", "path_escape"}
"""Faults of reading a plan, which are the same in every domain, and of a type that none of them has."""
CANNOT_BE = {
    "api_json": {"precondition", "lock_conflict", "illegal_edge"},  # no facts, no resource of fixed order, any edge
    "ui_macro": {"irreversible_order"},  # nothing has an undo
    "chat_social": {"irreversible_order", "safety_not_granted"},  # everything only reads
}


@cache
def grammar(domain: str) -> Callable[[str], bool]:
    return byte_acceptor(load_grammar(domain))


def goldens(kind: str) -> list[Any]:
    found = []
    for domain in DOMAINS:
        for path in sorted((ROOT / "schemas" / "golden" / f"{domain}.v1" / kind).glob("*.json")):
            value = json.loads(path.read_text(encoding="utf-8"))
            found.append(pytest.param(domain, value, id=f"{domain}-{path.stem}"))
    return found


def strings(kind: str) -> list[Any]:
    found = []
    for domain in DOMAINS:
        path = ROOT / "grammars" / "golden" / f"{domain}.v1.{kind}.json"
        found += [pytest.param(domain, text) for text in json.loads(path.read_text(encoding="utf-8"))["strings"]]
    return found


@pytest.mark.parametrize(("domain", "golden"), goldens("valid"))
def test_a_valid_golden_is_accepted_and_converts_without_loss(domain: str, golden: dict[str, Any]) -> None:
    verdict = check(golden["plan"], granted=LEVELS)
    assert verdict.faults == ()
    assert list(verdict.confirm) == golden.get("confirm", [])
    plan = plan_from_json(golden["plan"])
    assert plan_to_json(plan) == golden["plan"]
    assert print_text(plan) == golden["text"]
    assert parse_text(golden["text"], domain=domain) == plan
    assert grammar(domain)(golden["text"])


@pytest.mark.parametrize(("domain", "golden"), goldens("invalid"))
def test_an_invalid_golden_is_refused_with_exactly_its_codes(domain: str, golden: dict[str, Any]) -> None:
    verdict = check(golden["plan"], granted=frozenset(golden.get("granted", LEVELS)))
    assert sorted({fault.code for fault in verdict.faults}) == golden["codes"]
    assert all(fault.message and fault.remedy for fault in verdict.faults)


@pytest.mark.parametrize(("domain", "text"), strings("valid"))
def test_the_grammar_accepts_valid_strings(domain: str, text: str) -> None:
    assert grammar(domain)(text)
    assert print_text(parse_text(text, domain=domain)) == text


@pytest.mark.parametrize(("domain", "text"), strings("invalid"))
def test_the_grammar_refuses_invalid_strings(domain: str, text: str) -> None:
    assert not grammar(domain)(text)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_fault_code_of_the_domain_has_a_golden(domain: str) -> None:
    covered = {code for golden in goldens("invalid") if golden.values[0] == domain for code in golden.values[1]["codes"]}
    expected = set(FAULT_CODES) - READING - CANNOT_BE.get(domain, set())
    assert covered == expected
    assert check_goldens(domain) == ()


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_skill_is_in_a_valid_golden_or_is_only_ever_called_by_the_executor(domain: str) -> None:
    used = {
        step["skill"] for golden in goldens("valid") if golden.values[0] == domain for step in golden.values[1]["plan"]["steps"]
    }
    skills = get_domain(domain).skills
    called = {name for skill in skills.values() for name in (skill.undo, skill.fallback) if name is not None}
    assert set(skills) - used <= called


@pytest.mark.parametrize("domain", ["robot_cell", "phone_flow"])
def test_what_fails_for_good_ends_in_a_skill_that_asks_nothing(domain: str) -> None:
    """Whatever acts on the cell or the call has a fallback, and the chain of fallbacks needs neither facts nor arguments."""
    skills = get_domain(domain).skills
    last = {"robot_cell": "stop", "phone_flow": "hold_message"}[domain]
    for skill in skills.values():
        if skill.irreversible or skill.critical:
            name, chain = skill.fallback, []
            while name is not None:
                chain.append(name)
                name = skills[name].fallback
            assert chain, skill.name
            assert chain[-1] == last
            assert all(not skills[each].requires for each in chain)


def test_every_motion_of_the_cell_follows_a_route_that_a_check_gave() -> None:
    domain = get_domain("robot_cell")
    for name in ("move", "pick", "place", "discard"):
        assert domain.skills[name].arguments["route"].reference_only
        assert domain.data_edges[name] & {other for other in domain.skills if "route" in domain.skills[other].results} == {
            "precheck"
        }
        assert domain.skills[name].requires["route"] == {"clear"}
        assert domain.skills[name].requires["drive"] == {"running"}


def test_a_person_confirms_a_callback_and_a_restart_before_the_plan_runs() -> None:
    call = parse_text(
        's1=greet()\ns2=verify(method="pin") after s1\ns3=callback(number=s2.number,minutes=30)', domain="phone_flow"
    )
    assert decide(call, granted=LEVELS).decision == "confirm"
    assert decide(call, granted=LEVELS).steps == ("s3",)
    assert decide(call).decision == "block"
    assert decide(parse_text("s1=greet()", domain="phone_flow"), granted=LEVELS).decision == "allow"
    assert decide(parse_text("s1=stop()\ns2=resume() after s1", domain="robot_cell"), granted=LEVELS).steps == ("s2",)
