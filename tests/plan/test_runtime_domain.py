"""A domain made at run time: judged as its generated twin, there while somebody says so, decoded under its grammar."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from builderbrain.errors import PlanRejectedError, SchemaError
from builderbrain.plan import added_domain, check, checked, get_domain, load_grammar, parse_text, print_text
from builderbrain.plan.assets import schema_paths
from builderbrain.plan.check import judge
from builderbrain.plan.generate_grammar import grammar_source
from builderbrain.plan.registry import domain_names, find_domain
from builderbrain.plan.runtime_domain import runtime_domain
from builderbrain.plan.schema import load_schema, parse_schema
from tests.plan.agreement import BAKERY, LEVELS, mutate, random_bakery
from tests.plan.conftest import ROOT, byte_acceptor, generated_domain

SHELF = """
language: 2
domain: shelf
version: 1
summary: Every type and every bound.
limits: {max_steps: 4, max_depth: 4, max_width: 4}
edges: {data: any, condition: any, sequence: any}
skills:
  put:
    summary: Puts.
    safety: read_only
    timeout_seconds: 1
    arguments:
      name: {type: string, required: true, min_length: 1, max_length: 5}
      note: {type: text}
      word: {type: string, min_length: 1}
      place: {type: path, max_length: 9}
      kind: {type: string, one_of: [red, green]}
      count: {type: integer, minimum: -2, maximum: 9}
      weight: {type: number, minimum: 0, maximum: 3}
      open: {type: boolean}
      names: {type: list of string}
      places: {type: list of path}
      counts: {type: list of integer}
      weights: {type: list of number}
      flags: {type: list of boolean}
      report: {type: text, reference_only: true}
    results: {said: text, total: integer}
"""
VALUES: list[Any] = [
    "", "a", "abcdef", "red", "rde", "a\0", "\ud800", "../x", "a/b", "/etc", 0, -3, 10, 2.5, -0.5, 4.0, True, False, None,
    [], ["a"], ["\0"], ["../x", "/y"], [1], [1, 2.5], [True], [1, "a"], {},
    "${s1.said}", "${s1.total}", "${s1.none}", "${s9.said}",
]  # fmt: skip


def shelf_plan(draw: random.Random) -> dict[str, Any]:
    names = [
        "name",
        "note",
        "word",
        "place",
        "kind",
        "count",
        "weight",
        "open",
        "names",
        "places",
        "counts",
        "weights",
        "flags",
    ]
    names += ["report", "other"]
    steps = []
    for number in (1, 2):
        args = {name: draw.choice(VALUES) for name in draw.sample(names, draw.randint(0, 5))}
        steps.append({"id": f"s{number}", "skill": "put", "args": args if draw.random() < 0.3 else {"name": "a", **args}})
    return {"domain": "shelf", "version": 1, "steps": steps}


def test_every_argument_is_judged_as_by_generated_code_fault_by_fault() -> None:
    schema = parse_schema(SHELF)
    generated, made = generated_domain(schema), runtime_domain(schema, "0" * 64)
    draw = random.Random(0)
    accepted = 0
    for _ in range(3000):
        plan = shelf_plan(draw)
        expected = judge(plan, generated, LEVELS)
        assert judge(plan, made, LEVELS) == expected, plan
        accepted += expected.accepted
    assert accepted > 50


@pytest.mark.parametrize("path", [*schema_paths(), BAKERY], ids=lambda path: path.stem)
def test_tables_are_those_that_were_generated_and_verdicts_agree(path: Any) -> None:
    schema = load_schema(path)
    shipped = find_domain(schema.domain, schema.version) or generated_domain(schema)
    made = runtime_domain(schema, shipped.schema_sha256)
    for name in (field for field in made.__dataclass_fields__ if field != "skills"):
        assert getattr(made, name) == getattr(shipped, name), name
    for skill, declared in made.skills.items():
        for name in (field for field in declared.__dataclass_fields__ if field != "check"):
            assert getattr(declared, name) == getattr(shipped.skills[skill], name), (skill, name)
    folder = (ROOT / "tests/plan/golden" if path == BAKERY else ROOT / "schemas" / "golden") / f"{schema.domain}.v1"
    goldens = [json.loads(golden.read_text(encoding="utf-8"))["plan"] for golden in sorted(folder.rglob("*.json"))]
    draw = random.Random(1)
    plans = goldens + [mutate(json.loads(json.dumps(draw.choice(goldens))), draw) for _ in range(150)]
    plans += [random_bakery(draw) for _ in range(100)] if path == BAKERY else []
    for plan in plans:
        assert judge(plan, made, LEVELS) == judge(plan, shipped, LEVELS), plan


def test_an_added_domain_is_there_until_its_last_user_is_done() -> None:
    schema = parse_schema(SHELF)
    domain, grammar = runtime_domain(schema, "a" * 64), grammar_source(schema)
    plan = {"domain": "shelf", "version": 1, "steps": [{"id": "s1", "skill": "put", "args": {"name": "a"}}]}
    assert check(plan).faults[0].code == "unknown_domain"
    with added_domain(domain, grammar), added_domain(runtime_domain(schema, "a" * 64), grammar) as again:
        assert again is domain
        assert "shelf" in domain_names()
        assert checked(plan).domain is domain
        assert load_grammar("shelf") == grammar
        parsed = parse_text('s1=put(name="a",counts=[1,2])\ns2=put(name="b",note=s1.said)', domain="shelf")
        assert check(parsed).accepted
        assert byte_acceptor(grammar)(print_text(parsed))
    assert find_domain("shelf", 1) is None
    with pytest.raises(PlanRejectedError):
        checked(plan)
    with pytest.raises(SchemaError):
        get_domain("shelf")


def test_an_added_domain_takes_nobodys_place() -> None:
    schema = parse_schema(SHELF)
    shipped = runtime_domain(
        parse_schema(SHELF.replace("domain: shelf", "domain: scan").replace("version: 1", "version: 7")), "a"
    )
    with pytest.raises(SchemaError, match="scan is a shipped domain"), added_domain(shipped, ""):
        pass
    with (
        added_domain(runtime_domain(schema, "a"), ""),
        pytest.raises(SchemaError, match="another schema; raise its version"),
        added_domain(runtime_domain(schema, "b"), ""),
    ):
        pass
    assert find_domain("shelf", 1) is None
