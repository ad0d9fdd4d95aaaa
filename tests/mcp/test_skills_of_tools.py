"""From what a server lists to skills: types and bounds are taken over whole or refused, names are plain, prose stays out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builderbrain.mcp import names
from builderbrain.mcp.config import ServerSettings, ToolSettings
from builderbrain.mcp.skills import OfferedTool, offered_tools
from tests.mcp.servers.hostile import INJECTION


def offered(*tools: dict[str, Any], server: str = "desk", **settings: Any) -> tuple[OfferedTool, ...]:
    return offered_tools(server, ServerSettings(command="server", **settings), tools)


def tool(name: str = "look", properties: Any = None, required: Any = (), **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties or {}, "required": list(required)}
    return {"name": name, "inputSchema": schema, **more}


def test_only_results_of_a_tool_that_looks_are_kept() -> None:
    kept = ToolSettings(safety="read_only", cache_seconds=60)
    (one,) = offered(tool(), tools={"look": kept})
    assert one.schema is not None
    assert one.schema.cache_seconds == 60
    (refused,) = offered(tool(), tools={"look": ToolSettings(cache_seconds=60)})
    assert refused.schema is None
    assert "drop its cache_seconds" in refused.reason


def argument(schema: Any, **settings: Any) -> dict[str, Any] | str:
    """What becomes of a required argument: what is declared of it, or the reason why not."""
    (one,) = offered(tool(properties={"x": schema}, required=["x"]), tools={"look": ToolSettings(**settings)})
    if one.schema is None:
        return one.reason
    return one.schema.arguments["x"].model_dump(exclude_defaults=True, exclude={"required"})


@pytest.mark.parametrize(
    ("schema", "declared"),
    [
        ({"type": "string"}, {"type": "text"}),
        ({"type": "string", "maxLength": 80, "minLength": 1}, {"type": "string", "max_length": 80, "min_length": 1}),
        ({"type": "string", "maxLength": 10**6}, {"type": "text", "max_length": 10**6}),
        ({"enum": ["a", "größe"]}, {"type": "string", "one_of": ["a", "größe"]}),
        ({"const": "a", "title": "T", "description": INJECTION, "x-other": 1}, {"type": "string", "one_of": ["a"]}),
        ({"type": "integer", "minimum": -3, "exclusiveMaximum": 9}, {"type": "integer", "minimum": -3, "maximum": 8}),
        ({"type": "number", "minimum": 0.0, "maximum": 1, "default": 0.5}, {"type": "number", "minimum": 0, "maximum": 1}),
        ({"type": "boolean"}, {"type": "boolean"}),
        ({"type": "array", "items": {"type": "string"}}, {"type": "list of text"}),
        ({"type": "array", "items": {"type": "number"}}, {"type": "list of number"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, {"type": "integer"}),
        ({"type": ["boolean", "null"]}, {"type": "boolean"}),
    ],
)
def test_types_and_bounds_are_taken_over(schema: Any, declared: dict[str, Any]) -> None:
    assert argument(schema) == declared


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^(a+)+$"}, "'pattern' of a string cannot be checked"),
        ({"type": "string", "format": "uri"}, "'format' of a string cannot be checked"),
        ({"type": "string", "minLength": 2}, "minLength above 1"),
        ({"type": "string", "maxLength": 0}, "maxLength"),
        ({"type": "string", "enum": []}, "1 to 64 different"),
        ({"type": "string", "enum": [f"v{n}" for n in range(65)]}, "1 to 64 different"),
        ({"type": "string", "enum": ["a", "a"]}, "1 to 64 different"),
        ({"type": "string", "enum": ["a\nSystem:"]}, "printable"),
        ({"type": "string", "enum": ["\u202ea"]}, "printable"),
        ({"type": "string", "enum": ["x" * 129]}, "printable"),
        ({"type": "string", "enum": ["a", None]}, "printable"),
        ({"type": "integer", "multipleOf": 5}, "'multipleOf' of a integer"),
        ({"type": "integer", "enum": [1, 2]}, "'enum' of a integer"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no integer is within"),
        ({"type": "integer", "maximum": 10**30}, "no whole number"),
        ({"type": "number", "minimum": 0.5}, "no whole number"),
        ({"type": "number", "exclusiveMinimum": 0}, "'exclusiveMinimum' of a number"),
        ({"type": "array"}, "no schema that says its type"),
        ({"type": "array", "items": {"type": "string", "maxLength": 5}}, "'maxLength' of the items"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "'minItems' of a array"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "a list of arrays"),
        ({"type": "object"}, "its type is 'object'"),
        ({"type": "null"}, "its type is 'null'"),
        ({}, "it says no type"),
        (True, "no schema"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "a choice between"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "maxLength": 4}, "beside"),
        ({"not": {"type": "string"}, "type": "string"}, "'not' of a string"),
        ({"$ref": "https://example.org/schema"}, "leads nowhere"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
    ],
)
def test_what_cannot_be_checked_refuses_the_tool_by_name(schema: Any, reason: str) -> None:
    said = argument(schema)
    assert isinstance(said, str)
    assert said.startswith("argument 'x': ")
    assert reason in said


def test_a_keyword_is_left_to_the_server_where_the_configuration_says_so() -> None:
    assert argument({"type": "string", "format": "uri"}, ignore=("format",)) == {"type": "text"}
    assert "cannot be checked" in str(argument({"type": "string", "format": "uri", "pattern": "x"}, ignore=("format",)))


def test_references_are_followed_but_not_in_circles() -> None:
    one = tool(properties={"x": {"$ref": "#/$defs/a"}}, required=["x"])
    one["inputSchema"]["$defs"] = {"a": {"$ref": "#/$defs/b"}, "b": {"enum": ["red"], "type": "string"}}
    (found,) = offered(one)
    assert found.schema is not None
    assert found.schema.arguments["x"].one_of == ["red"]
    one["inputSchema"]["$defs"]["b"] = {"$ref": "#/$defs/a"}
    assert "references lead" in offered(one)[0].reason


def test_an_argument_that_may_be_left_out_is_and_a_note_says_so() -> None:
    (found,) = offered(
        tool(properties={"filter": {"type": "object"}, "b": {"type": "integer"}, "a": {"type": "integer"}}, required=["a"])
    )
    assert found.schema is not None
    assert list(found.schema.arguments) == ["a", "b"]
    assert "the argument 'filter' cannot be given: its type is 'object'" in found.notes[0]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (None, "not of type object"),
        ({"type": "string"}, "not of type object"),
        ({"type": "object", "oneOf": [{}]}, "'oneOf' of its arguments"),
        ({"type": "object", "required": ["x"]}, "requires 'x', which it does not declare"),
        ({"type": "object", "properties": []}, "no JSON Schema"),
        ({"type": "object", "properties": {f"a{n}": {"type": "integer"} for n in range(17)}}, "17 arguments, more than 16"),
        ({"type": "object", "properties": {"a\u202e": {"type": "integer"}}, "required": ["a\u202e"]}, "letters, digits"),
        (
            {
                "type": "object",
                "properties": {"aB": {"type": "integer"}, "a_b": {"type": "integer"}},
                "required": ["aB", "a_b"],
            },
            "two arguments",
        ),
    ],
)
def test_an_input_schema_is_expressed_whole_or_not(schema: Any, reason: str) -> None:
    (found,) = offered({"name": "look", "inputSchema": schema})
    assert found.skill is None
    assert reason in found.reason


@pytest.mark.parametrize(
    "name",
    ["../look", "a\nb", "\u0430dd", "l\u00f6ok", "ｌook", "x" * 10_000, "", "look\x1b[2J", "-look", "fix;rm", "a b", None, 5],
)
def test_names_of_other_than_plain_letters_are_refused_and_shown_escaped(name: Any) -> None:
    (found,) = offered({**tool(), "name": name})
    assert found.skill is None
    assert "letters, digits" in found.reason
    assert found.reason.isascii()
    assert found.reason.isprintable()
    assert len(found.reason) < 250


def test_names_bear_the_servers() -> None:
    skills = [one.skill for one in offered(tool("readNote"), tool("write-note"), tool("search"), tool("ok"))]
    assert skills == ["desk_read_note", "desk_write_note", "desk_search", "desk_ok"]


def test_the_name_of_a_shipped_skill_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_shipped_skills", lambda: frozenset({"desk_tests"}))
    assert "a skill of that name is there" in offered(tool("tests"))[0].reason


def test_two_tools_that_would_be_one_skill_are_both_none() -> None:
    found = offered(tool("look"), tool("Look"), tool("see"))
    assert [one.skill for one in found] == [None, None, "desk_see"]
    assert "two tools of the server would be called desk_look" in found[0].reason
    assert [one.skill for one in offered(tool(), tool())] == [None, None]


def test_a_tool_nobody_vouches_for_changes_things_for_good_and_asks() -> None:
    hinted = tool(annotations={"readOnlyHint": True, "idempotentHint": True, "destructiveHint": False})

    def facts(*, tool: dict[str, Any] = hinted, **settings: Any) -> tuple[Any, ...]:
        (found,) = offered(tool, **settings)
        assert found.schema is not None
        return found.schema.safety, found.schema.confirm, found.schema.irreversible, found.schema.idempotent

    assert facts() == ("mutating", True, True, False)
    assert facts(believe_hints=True) == ("read_only", False, False, False)
    assert facts(believe_hints=True, tool={**hinted, "annotations": {"readOnlyHint": "yes"}})[0] == "mutating"
    assert facts(safety="read_only") == ("read_only", False, False, False)
    assert facts(safety="meta") == ("meta", True, True, False)
    assert facts(tools={"look": ToolSettings(confirm=False)}) == ("mutating", False, True, False)
    assert facts(tools={"look": ToolSettings(idempotent=True)}) == ("mutating", True, False, True)
    assert facts(tools={"look": ToolSettings(safety="mutating")}, believe_hints=True)[0] == "mutating"


def test_nothing_that_a_server_says_in_prose_gets_into_a_skill() -> None:
    said = {"description": INJECTION, "title": INJECTION, "annotations": {"title": INJECTION}}
    properties = {"x": {"type": "string", "description": INJECTION, "title": INJECTION, "default": INJECTION}}
    (found,) = offered(tool(properties=properties, **said))
    assert found.schema is not None
    assert "ignore" not in json.dumps(found.schema.model_dump(mode="json"))


def test_results_have_the_types_of_the_output_schema() -> None:
    output = {
        "type": "object",
        "properties": {
            "sum": {"type": "integer"},
            "kind": {"enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "ok": {"type": "boolean"},
            "more": {"type": "object"},
            "\x1b": {"type": "string"},
        },
    }
    (found,) = offered(tool(outputSchema=output))
    assert found.schema is not None
    assert {name: result.type for name, result in found.schema.results.items()} == {
        "text": "text",
        "sum": "integer",
        "kind": "string",
        "tags": "list of text",
    }
    assert len(found.notes) == 3
    assert all(note.isascii() and note.isprintable() for note in found.notes)
