"""The schema language and what is generated from it: strictness, currency, and a domain that nobody has seen before."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import SchemaError
from builderbrain.plan import Plan, Reference, Step
from builderbrain.plan.domain import Domain
from builderbrain.plan.generate import generated_files, stale_files, write_files
from builderbrain.plan.generate_checker import checker_source
from builderbrain.plan.generate_grammar import grammar_source
from builderbrain.plan.generate_reference import reference_page
from builderbrain.plan.graph import check_plan
from builderbrain.plan.schema import load_schema, parse_schema, schema_sha256
from tests.plan.conftest import ROOT, byte_acceptor

WORKSHOP = """
language: 1
domain: workshop
version: 3
summary: Drills and paints
limits: {max_steps: 4, max_depth: 3, max_width: 2}
edges:
  data: {measure: [drill], drill: any}
  condition: any
  sequence: none
skills:
  measure:
    summary: Measures a part
    safety: read_only
    timeout_seconds: 1.5
    arguments:
      part: {type: string, required: true, one_of: [door, "win\\u0022dow"]}
    results: {width: integer, weight: number, marks: list of integer}
  drill:
    summary: Drills holes
    safety: mutating
    timeout_seconds: 2
    arguments:
      slow: {type: boolean, default: false}
      depth: {type: integer, required: true, minimum: 1, maximum: 90}
      at: {type: list of integer}
      speed: {type: number, default: 1.5}
    results: {}
"""
PATH = ROOT / "schemas" / "repo_assistant.v1.yaml"


def test_every_generated_file_is_current() -> None:
    assert stale_files() == ()


def test_a_generated_file_that_was_edited_is_found_and_mended(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    assert len(write_files(tmp_path)) == len(generated_files(tmp_path))
    assert stale_files(tmp_path) == ()
    edited = tmp_path / "grammars" / "repo_assistant.v1.ebnf"
    edited.write_text(edited.read_text() + "# edited\n")
    assert stale_files(tmp_path) == ("grammars/repo_assistant.v1.ebnf",)
    assert write_files(tmp_path) == ("grammars/repo_assistant.v1.ebnf",)


def test_a_released_schema_is_known_by_its_hash_and_may_not_change(tmp_path: Path) -> None:
    released = json.loads((ROOT / "schemas" / "released.json").read_text())
    assert released["repo_assistant.v1.yaml"] == schema_sha256(PATH)
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    changed = tmp_path / "schemas" / PATH.name
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(SchemaError, match="next version"):
        write_files(tmp_path)
    changed.unlink()
    with pytest.raises(SchemaError, match="gone"):
        write_files(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("max_steps: 4", "max_steps: 0", "limits.max_steps"),
        ("max_steps: 4", "most_steps: 4", "limits.max_steps"),
        ("safety: mutating", "safety: harmless", "skills.drill.safety"),
        ("type: integer, required: true", "type: int, required: true", "skills.drill.arguments.depth.type"),
        ("default: false", "default: 0", "skills.drill.arguments.slow"),
        ("default: false", "default: false, required: true", "skills.drill.arguments.slow"),
        ("minimum: 1", "min_length: 1", "skills.drill.arguments.depth"),
        ("width: integer", "ok: boolean", "skills.measure"),
        ("drill: any", "paint: any", "the file"),
        ("  sequence: none\n", "", "the file"),
        ("timeout_seconds: 2", "timeout_seconds: .inf", "skills.drill.timeout_seconds"),
        ("version: 3", 'version: "3"', "version"),
        ("language: 1", "language: 3", "language"),
        ("  measure:\n    summary", "  Measure!:\n    summary", "skills"),
        ("default: 1.5", "default: 1.5, reference_only: true", "skills.drill.arguments.speed"),
        ("type: boolean, default: false", "type: path, reference_only: true", "drill.slow takes references only"),
    ],
)
def test_a_schema_error_names_its_key(old: str, new: str, field: str) -> None:
    assert old in WORKSHOP
    with pytest.raises(SchemaError) as refused:
        parse_schema(WORKSHOP.replace(old, new, 1))
    assert field in refused.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("language: 1\nlanguage: 1\n", "twice"),
        ("a: &x [1]\nb: *x\n", "alias"),
        ("? [1]\n: 2\n", "expected a name"),
        ("!!python/object/apply:os.getcwd []", "YAML"),
        ("- 1", "at the top"),
        ("a: [", "YAML"),
        ("x: " + "y" * 70_000, "at most"),
        ("[" * 400, r"thousands|YAML"),
    ],
)
def test_yaml_that_is_no_schema_is_refused(text: str, expected: str) -> None:
    with pytest.raises(SchemaError, match=expected):
        parse_schema(text)


def test_a_schema_lies_under_its_own_name(tmp_path: Path) -> None:
    for name in ("workshop.v2.yaml", "workshop.yaml"):
        (tmp_path / name).write_text(WORKSHOP)
        with pytest.raises(SchemaError, match=r"file name|rename"):
            load_schema(tmp_path / name)
    (tmp_path / "workshop.v3.yaml").write_text(WORKSHOP)
    assert load_schema(tmp_path / "workshop.v3.yaml").domain == "workshop"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """The generated planchecker of the workshop, imported from a file."""
    path = tmp_path_factory.mktemp("generated") / "workshop_v3.py"
    path.write_text(checker_source(parse_schema(WORKSHOP), "0" * 64))
    spec = importlib.util.spec_from_file_location("workshop_v3", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["workshop_v3"] = module
    spec.loader.exec_module(module)
    return module.DOMAIN


MEASURE = Step("s1", "measure", {"part": "door"})
ALL = frozenset({"read_only", "mutating"})


@pytest.mark.parametrize(
    ("args", "codes"),
    [
        ({"depth": 5}, []),
        ({"depth": 5, "at": (1, 2), "slow": True, "speed": 2}, []),
        ({"depth": Reference("s1", "width"), "at": Reference("s1", "marks"), "speed": Reference("s1", "weight")}, []),
        ({"depth": 0}, ["bad_value"]),
        ({"depth": 91}, ["bad_value"]),
        ({"depth": True}, ["ill_typed_argument"]),
        ({"depth": 5.0}, ["ill_typed_argument"]),
        ({"depth": 5, "at": (1, "2")}, ["ill_typed_argument"]),
        ({"depth": 5, "slow": 1}, ["ill_typed_argument"]),
        ({"depth": Reference("s1", "weight")}, ["ill_typed_reference"]),
        ({}, ["missing_argument"]),
    ],
)
def test_a_generated_checker_of_another_domain(workshop: Domain, args: dict[str, Any], codes: list[str]) -> None:
    plan = Plan("workshop", 3, (MEASURE, Step("s2", "drill", args)))
    assert [fault.code for fault in check_plan(plan, workshop, ALL)] == codes


def test_grants_edges_and_limits_of_another_domain(workshop: Domain) -> None:
    drill = Step("s2", "drill", {"depth": 1})

    def codes(*steps: Step, granted: frozenset[str] = ALL) -> list[str]:
        return [fault.code for fault in check_plan(Plan("workshop", 3, steps), workshop, granted)]

    assert codes(MEASURE, drill, granted=frozenset({"read_only"})) == ["safety_not_granted"]
    assert codes(MEASURE, Step("s2", "drill", {"depth": 1}, ("s1",))) == ["illegal_edge"]
    assert codes(MEASURE, Step("s2", "drill", {"depth": 1}, (), "s1.width > 3")) == []
    assert codes(Step("s1", "measure", {"part": "wall"})) == ["bad_value"]
    assert codes(*(Step(f"s{number}", "measure", {"part": "door"}) for number in (1, 2, 3))) == ["too_wide"]


@pytest.fixture(scope="module")
def in_workshop() -> Callable[[str], bool]:
    return byte_acceptor(grammar_source(parse_schema(WORKSHOP)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('s1=measure(part="door")', True),
        ('s1=measure(part="win\\"dow")', True),
        ('s1=measure(part="wall")', False),
        ("s1=drill(depth=5)", True),
        ("s1=drill(slow=true,depth=5,at=[1,-2],speed=0.5)", True),
        ("s1=drill(slow=true,depth=5,at=[])", True),
        ("s1=drill(slow=true)", False),
        ("s1=drill(depth=5,slow=true)", False),
        ("s1=drill(,depth=5)", False),
        ("s1=drill(depth=05)", False),
        ('s1=measure(part="door")\ns2=drill(depth=s1.width,at=s1.marks,speed=s1.weight)', True),
        ('s1=measure(part="door")\ns2=drill(depth=s1.weight)', False),
        ('s1=measure(part="door")\ns2=drill(depth=1) if s1.weight <= 3', True),
        ('s1=measure(part="door")\ns2=drill(slow=s1.ok,depth=1)', True),
        ("\n".join(f"s{number}=drill(depth=5)" for number in range(1, 5)), True),
        ("\n".join(f"s{number}=drill(depth=5)" for number in range(1, 6)), False),
    ],
)
def test_a_generated_grammar_of_another_domain(in_workshop: Callable[[str], bool], text: str, expected: bool) -> None:
    assert in_workshop(text) is expected


@pytest.mark.parametrize("name", ["after", "step_2", "from_2_1", "string"])
def test_a_skill_is_not_named_as_a_rule_of_the_grammar(name: str) -> None:
    with pytest.raises(SchemaError, match=f"cannot be called {name}"):
        parse_schema(WORKSHOP.replace("measure", name))


REFERRING = WORKSHOP.replace("at: {type: list of integer}", "at: {type: list of integer, required: true, reference_only: true}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('s1=measure(part="door")\ns2=drill(depth=5,at=s1.marks)', True),
        ('s1=measure(part="door")\ns2=drill(depth=5,at=[1])', False),
        ("s1=drill(depth=5,at=[1])", False),
        ("s1=drill(depth=5,at=s1.marks)", False),
        ('s1=measure(part="door")\ns2=measure(part="door") after s1', False),
    ],
)
def test_where_only_references_go_the_grammar_writes_no_literal(text: str, expected: bool) -> None:
    assert byte_acceptor(grammar_source(parse_schema(REFERRING)))(text) is expected


def test_the_reference_page_names_every_skill_argument_and_result() -> None:
    page = reference_page(parse_schema(WORKSHOP))
    for word in (
        "`measure(part)`",
        "`drill(slow?, depth, at?, speed?)`",
        "list of integer",
        "mutating",
        "default `1.5`",
        "2 s",
    ):
        assert word in page
