"""Golden plans and strings of the repository assistant with all its tools, and that version 1 stays the one in use."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from builderbrain.plan import (
    check,
    decide,
    get_domain,
    load_grammar,
    parse_text,
    plan_from_json,
    plan_to_json,
    print_text,
    version_in_use,
)
from builderbrain.plan.assets import schema_paths
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.faults import FAULT_CODES
from builderbrain.plan.goldens import check_goldens
from builderbrain.plan.schema import load_schema
from builderbrain.train.goals import REPO_ASSISTANT
from tests.plan.agreement import Source, compare, golden_plans
from tests.plan.conftest import ROOT, byte_acceptor

DOMAIN, VERSION = "repo_assistant", 2
GOLDENS = ROOT / "schemas" / "golden" / f"{DOMAIN}.v{VERSION}"
LEVELS = frozenset(SAFETY_LEVELS)
LEVEL_OF = {
    "read_only": {"search", "read", "list", "docs_lint", "memory_search", "talk"},
    "mutating": {"patch_dry_run", "memory_add", "fix_tests", "memory_forget", "undo_fix"},
    "meta": {"run_tests", "type_check", "prove_algebra", "prove_suite", "evaluate", "train"},
}
READING = {"malformed", "unknown_domain", "unknown_version", "duplicate_id", "bad_id", "bad_reference"}
"""Faults of reading a plan, which are the same in every domain."""


@cache
def grammar() -> Callable[[str], bool]:
    return byte_acceptor(load_grammar(DOMAIN, VERSION))


def goldens(kind: str) -> list[Any]:
    return [
        pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem)
        for path in sorted((GOLDENS / kind).glob("*.json"))
    ]


def strings(kind: str) -> list[str]:
    path = ROOT / "grammars" / "golden" / f"{DOMAIN}.v{VERSION}.{kind}.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["strings"])


def parsed(text: str) -> Any:
    return parse_text(text, domain=DOMAIN, version=VERSION)


@pytest.mark.parametrize("golden", goldens("valid"))
def test_a_valid_golden_is_accepted_and_converts_without_loss(golden: dict[str, Any]) -> None:
    verdict = check(golden["plan"], granted=LEVELS)
    assert verdict.faults == ()
    assert list(verdict.confirm) == golden.get("confirm", [])
    plan = plan_from_json(golden["plan"])
    assert plan_to_json(plan) == golden["plan"]
    assert print_text(plan) == golden["text"]
    assert parsed(golden["text"]) == plan
    assert grammar()(golden["text"])


@pytest.mark.parametrize("golden", goldens("invalid"))
def test_an_invalid_golden_is_refused_with_exactly_its_codes(golden: dict[str, Any]) -> None:
    verdict = check(golden["plan"], granted=frozenset(golden.get("granted", LEVELS)))
    assert sorted({fault.code for fault in verdict.faults}) == golden["codes"]
    assert all(fault.message and fault.remedy for fault in verdict.faults)


@pytest.mark.parametrize("text", strings("valid"))
def test_the_grammar_accepts_valid_strings(text: str) -> None:
    assert grammar()(text)
    assert print_text(parsed(text)) == text


@pytest.mark.parametrize("text", strings("invalid"))
def test_the_grammar_refuses_invalid_strings(text: str) -> None:
    assert not grammar()(text)


def test_every_fault_code_and_every_skill_has_a_golden() -> None:
    covered = {code for golden in goldens("invalid") for code in golden.values[0]["codes"]}
    assert covered == set(FAULT_CODES) - READING
    used = {step["skill"] for golden in goldens("valid") for step in golden.values[0]["plan"]["steps"]}
    assert used == set(get_domain(DOMAIN, VERSION).skills)
    assert check_goldens(DOMAIN, VERSION) == ()


def test_the_two_checkers_agree_on_plans_that_were_changed_at_random() -> None:
    schema = load_schema(next(path for path in schema_paths() if path.name == f"{DOMAIN}.v{VERSION}.yaml"))
    plans = [plan for plan in golden_plans(GOLDENS) if len(plan["steps"]) <= 4]  # the other one tries every run
    source = Source(schema, get_domain(DOMAIN, VERSION), lambda draw: draw.choice(plans), (0, 1, 1, 2))
    found = list(compare(source, seed=2, plans=400))
    assert [(plan, quick, slow) for plan, quick, slow in found if quick != slow] == []
    codes = {code for _, quick, _ in found for code, _ in quick}
    assert {"precondition", "lock_conflict", "other"} <= codes


def test_each_tool_has_its_level_and_only_what_changes_something_can_be_taken_back() -> None:
    skills = get_domain(DOMAIN, VERSION).skills
    assert {level: {name for name in skills if skills[name].safety == level} for level in LEVEL_OF} == LEVEL_OF
    assert {name: skills[name].undo for name in skills if skills[name].undo} == {
        "memory_add": "memory_forget",
        "memory_forget": "memory_add",
        "fix_tests": "undo_fix",
    }
    assert [name for name in skills if skills[name].irreversible] == ["train"]


def test_what_the_first_version_has_is_the_same_in_the_second() -> None:
    first, second = get_domain(DOMAIN, 1), get_domain(DOMAIN, 2)
    for name, skill in first.skills.items():
        assert (second.skills[name].arguments, second.skills[name].results) == (skill.arguments, skill.results)
        assert second.skills[name].safety == skill.safety
    for path in sorted((ROOT / "schemas" / "golden" / f"{DOMAIN}.v1" / "valid").glob("*.json")):
        plan = json.loads(path.read_text(encoding="utf-8"))["plan"]
        assert check({**plan, "version": 2}).accepted, path.stem


def test_version_1_is_meant_where_nobody_names_one() -> None:
    assert version_in_use(DOMAIN) == 1
    assert version_in_use("no_such_domain") is None
    assert get_domain(DOMAIN).version == parse_text("s1=list()").version == 1
    assert load_grammar(DOMAIN) == load_grammar(DOMAIN, 1) != load_grammar(DOMAIN, 2)
    assert set(REPO_ASSISTANT.actions) <= set(get_domain(DOMAIN, REPO_ASSISTANT.version).skills)
    assert not check(parse_text('s1=docs_lint(path="x")')).accepted


def test_a_person_confirms_training_and_the_levels_have_to_be_granted() -> None:
    plan = parsed('s1=train(output="runs/x")')
    assert decide(plan, granted=LEVELS).decision == "confirm"
    assert decide(plan).decision == "block"
    assert decide(parsed('s1=docs_lint()\ns2=talk(text="Done.",about=s1.text)')).decision == "allow"
