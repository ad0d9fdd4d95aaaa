"""JSON and text forms: what is refused says where and why; conditions; diagrams."""

from __future__ import annotations

from typing import Any

import pytest

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan import (
    Plan,
    Reference,
    Step,
    parse_text,
    plan_from_json,
    plan_to_json,
    print_text,
    to_graphviz,
    to_mermaid,
)
from builderbrain.plan.condition import holds, parse_condition


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("", "line 1, column 1", "a step such as s1=skill("),
        ("s1=list()\ns2", "line 2, column 1", "a step such as s2=skill("),
        ("s1=list() ", "line 1, column 10", "the end of the line"),
        ("s1=read(path=)", "line 1, column 14", "a reference"),
        ('s1=read(path="a)', "line 1, column 14", "a JSON string"),
        ('s1=read(path="\\ud800")', "line 1, column 14", "whole characters"),
        ('s1=read(path="a",path="b")', "line 1, column 18", "path once"),
        ('s1=read(path="a" )', "line 1, column 17", "',' or ')'"),
        ("s1=list() after 1", "line 1, column 10", "step ids"),
        ("s1=list() if s1.ok maybe", "line 1", "' and '"),
        ('s1=talk(text="a\tb")', "line 1, column 14", "a JSON string"),
        ("s1=list()\r", "line 1, column 10", "the end of the line"),
    ],
)
def test_text_that_is_no_plan_is_refused_with_line_and_column(text: str, place: str, expected: str) -> None:
    with pytest.raises(PlanSyntaxError) as refused:
        parse_text(text)
    assert place in refused.value.message
    assert expected in refused.value.message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"domain": "repo_assistant", "domain": "x"}', "'domain' is there twice"),
        ('{"version": NaN}', "NaN"),
        ("{", "not JSON"),
        (b"\xff", "not JSON"),
        ("[" * 100_000, "nested"),
        ('"' + "x" * 300_000 + '"', "at most"),
    ],
)
def test_json_that_is_no_plan_is_refused(source: str | bytes, expected: str) -> None:
    with pytest.raises(PlanSyntaxError, match=expected):
        plan_from_json(source)


def test_a_refused_shape_is_named_by_its_pointer() -> None:
    with pytest.raises(PlanSyntaxError) as refused:
        plan_from_json({"domain": "repo_assistant", "version": 1, "steps": [{"id": "s1", "skill": "list", "args": []}]})
    assert refused.value.field == "/steps/0/args"


def test_the_normal_form_adds_implied_needs_and_drops_defaults() -> None:
    source: dict[str, Any] = {"domain": "repo_assistant", "version": 1}
    source["steps"] = [
        {"id": "s1", "skill": "search", "args": {"path": ".", "pattern": "x"}},
        {"id": "s2", "skill": "read", "args": {"path": "${s1.first_path}"}},
        {"id": "s3", "skill": "talk", "args": {"text": "y"}, "needs": ["s2", "s1", "s2"], "if": "s1.ok"},
    ]
    plan = plan_from_json(source)
    assert print_text(plan) == 's1=search(pattern="x")\ns2=read(path=s1.first_path)\ns3=talk(text="y") after s2 if s1.ok'
    assert [step.needs for step in plan.steps] == [(), ("s1",), ("s1", "s2")]
    assert plan_to_json(plan)["steps"][0] == {"id": "s1", "skill": "search", "args": {"pattern": "x"}}


def test_arguments_of_a_step_cannot_be_changed() -> None:
    given = {"text": "x"}
    step = Step("s1", "talk", given)
    given["text"] = "y"
    assert step.args["text"] == "x"
    with pytest.raises(TypeError):
        step.args["text"] = "z"  # type: ignore[index]


@pytest.mark.parametrize(
    "step",
    [Step("first", "list"), Step("s1", "No Skill"), Step("s1", "list", {"path": None}), Step("s1", "list", {"a b": "x"})],
)
def test_what_has_no_spelling_in_the_text_form_is_refused(step: Step) -> None:
    with pytest.raises(PlanSyntaxError):
        print_text(Plan("repo_assistant", 1, (step,)))


RESULTS = {"s1.ok": True, "s1.count": 3, "s1.first_path": "a", "s2.ok": False}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s1.ok", True),
        ("not s1.ok", False),
        ("s2.ok", False),
        ("not s2.ok", True),
        ("s1.count == 3", True),
        ("s1.count != 3", False),
        ("s1.count < 4", True),
        ("s1.count <= 2", False),
        ("s1.count > 3", False),
        ("s1.count >= 3", True),
        ('s1.first_path == "a"', True),
        ('s1.first_path != "a"', False),
        ("s1.ok and s2.ok", False),
        ("s1.ok or s2.ok", True),
        ("s2.count > 0", False),
        ("s2.count != 0", False),
        ("s1.ok and not s2.ok and s1.count > 2", True),
    ],
)
def test_conditions_on_results(text: str, expected: bool) -> None:
    condition = parse_condition(text)
    assert str(condition) == text
    assert holds(condition, lambda reference: RESULTS.get(str(reference))) is expected


@pytest.mark.parametrize(
    "text", ["", "s1", "s1.ok and", "s1.ok and s1.ok or s1.ok", "not not s1.ok", "s1.count > 1e9", "s1.ok; x"]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(PlanSyntaxError, match="condition"):
        parse_condition(text)


def test_a_condition_of_hostile_length_is_refused_at_once() -> None:
    with pytest.raises(PlanSyntaxError, match="at most"):
        parse_condition("not " * 200_000)
    with pytest.raises(PlanSyntaxError, match="8 terms"):
        parse_condition(" and ".join(["s1.ok"] * 9))


def test_diagrams_show_every_step_and_edge_and_escape_what_is_in_them() -> None:
    plan = parse_text('s1=search(pattern="a\\"]b")\ns2=read(path=s1.first_path)\ns3=talk(text="x") after s2 if s1.ok')
    assert plan.steps[1].args["path"] == Reference("s1", "first_path")
    mermaid, graphviz = to_mermaid(plan), to_graphviz(plan)
    assert 'n1 -->|"first_path"| n2' in mermaid
    assert 'n1 -.->|"s1.ok"| n3' in mermaid
    assert "n2 --- n3" in mermaid
    assert '"]b' not in mermaid
    assert '"s1" -> "s2" [style=solid, label="first_path"];' in graphviz
    assert '\\"]b' in graphviz
