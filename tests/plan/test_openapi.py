"""Domains from OpenAPI files: what of a file becomes a skill, what is left out and how that is said, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import SchemaError
from builderbrain.plan.cli import main
from builderbrain.plan.openapi.document import read_document
from builderbrain.plan.openapi.domain_file import domain_source
from builderbrain.plan.openapi.operations import LeftOut, Operation, read_operations
from builderbrain.plan.openapi.write import open_document, write_domain
from builderbrain.plan.schema import parse_schema
from tests.plan.conftest import ROOT

SHIPPED = ROOT / "schemas" / "api_json" / "bookshop.openapi.yaml"
OK = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}


def document(operation: dict[str, Any], method: str = "get", path: str = "/things", version: str = "3.1.0", **more: Any) -> str:
    node = {"operationId": "doIt", "summary": "Does it.", "responses": OK, **operation}
    return json.dumps({"openapi": version, "info": {"title": "T", "version": "1"}, "paths": {path: {method: node}}, **more})


def read(
    operation: dict[str, Any], method: str = "get", path: str = "/things", **more: Any
) -> tuple[Operation, tuple[LeftOut, ...]]:
    (found,), left = read_operations(read_document(document(operation, method, path, **more)))
    return found, left


def query(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "value", "in": "query", "schema": schema, **more}]}


def test_the_shipped_domain_is_what_its_file_gives() -> None:
    origin = SHIPPED.relative_to(ROOT).as_posix()
    source, left = domain_source(open_document(SHIPPED), domain="api_json", version=1, origin=origin)
    assert source == (ROOT / "schemas" / "api_json.v1.yaml").read_text(encoding="utf-8")
    schema = parse_schema(source)
    assert len(schema.skills) == 11
    assert [one.pointer for one in left if one.whole] == ["/paths/~1books~1{bookId}~1cover/put"]


@pytest.mark.parametrize(
    ("schema", "entry", "loose"),
    [
        ({"type": "string"}, {"type": "string"}, ()),
        (
            {"type": "string", "minLength": 2, "maxLength": 9},
            {"type": "string", "min_length": 1, "max_length": 9},
            ("minLength",),
        ),
        ({"type": "string", "maxLength": 5000}, {"type": "text", "max_length": 5000}, ()),
        ({"type": "string", "enum": ["a", "no"]}, {"type": "string", "one_of": ["a", "no"]}, ()),
        ({"const": "a", "type": "string"}, {"type": "string", "one_of": ["a"]}, ()),
        ({"type": "string", "format": "date", "pattern": "^2"}, {"type": "string"}, ("pattern", "format")),
        ({"type": ["string", "null"], "default": "x"}, {"type": "string", "default": "x"}, ()),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer"}, ()),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 9}, {"type": "integer", "minimum": 1, "maximum": 9}, ()),
        ({"type": "integer", "default": "two"}, {"type": "integer"}, ("default",)),
        ({"type": "number", "minimum": 0.5, "default": 1}, {"type": "number", "default": 1.0}, ("minimum",)),
        ({"type": "number", "exclusiveMaximum": 2}, {"type": "number"}, ("exclusiveMaximum",)),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer"}, ("enum",)),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}}, {"type": "list of integer"}, ("minimum",)),
        ({"type": "boolean", "default": False}, {"type": "boolean", "default": False}, ()),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"type": "string", "max_length": 3}, ()),
    ],
)
def test_a_schema_is_an_argument_as_far_as_plans_can_say(
    schema: dict[str, Any], entry: dict[str, Any], loose: tuple[str, ...]
) -> None:
    operation, left = read(query(schema))
    assert {**operation.arguments["value"], "summary": ""} == {**entry, "summary": ""}
    assert tuple(one.pointer.rpartition("/")[2] for one in left) == loose
    source, _ = domain_source(read_document(document(query(schema))), domain="tried", version=1, origin="a")
    assert parse_schema(source).skills["do_it"].arguments["value"].type == entry["type"]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "object"}, "plans have no objects"),
        ({"type": "array", "items": {"type": "object"}}, "plans have no objects"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "no type of plans"),
        ({"type": ["string", "integer"]}, "expected one type, got string, integer"),
        ({}, "expected one type, got none"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "oneOf offers several types"),
    ],
)
def test_what_no_argument_can_say_is_left_out_or_takes_its_operation_with_it(schema: dict[str, Any], reason: str) -> None:
    operation, (left,) = read(query(schema))
    assert operation.arguments == {}
    assert left.pointer == "/paths/~1things/get/parameters/0/schema".removesuffix("/schema")
    assert reason in left.reason
    with pytest.raises(SchemaError, match="no operation of the file"):
        read(query(schema, required=True))


@pytest.mark.parametrize(
    ("operation", "method", "reason"),
    [
        (
            {"parameters": [{"name": "X-A", "in": "header", "required": True, "schema": {"type": "string"}}]},
            "get",
            "sets no headers",
        ),
        ({"parameters": [{"name": "a", "in": "query", "required": True}]}, "get", "it has no schema"),
        ({"requestBody": {"required": True, "content": {"text/csv": {}}}}, "post", "this takes text/csv"),
        (
            {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "array"}}}}},
            "post",
            "one JSON object",
        ),
        ({"responses": {"404": {"description": "no"}}}, "get", "no answer of success"),
        ({"responses": {"200": {"description": "a", "content": {"text/html": {}}}}}, "get", "only JSON is understood"),
        ({"x-results": {"first": "/items/0"}}, "get", "points at nothing"),
        ({"operationId": "ßß"}, "get", "no name of plans"),
    ],
)
def test_an_operation_that_cannot_be_said_is_named_with_the_reason(operation: dict[str, Any], method: str, reason: str) -> None:
    other = {"/other": {"get": {"operationId": "other", "responses": OK}}}
    loaded = json.loads(document(operation, method))
    loaded["paths"].update(other)
    found, left = read_operations(read_document(json.dumps(loaded)))
    assert [one.skill for one in found] == ["other"]
    assert [(one.pointer, one.whole) for one in left] == [(f"/paths/~1things/{method}", True)]
    assert reason in left[0].reason


def test_a_path_without_its_parameter_is_left_out() -> None:
    with pytest.raises(SchemaError, match="no operation"):
        read({}, path="/things/{id}")


@pytest.mark.parametrize(
    ("method", "more", "expected"),
    [
        ("get", {}, {"safety": "read_only", "retry": True}),
        ("get", {"x-cache-seconds": 60}, {"safety": "read_only", "cache_seconds": 60}),
        ("get", {}, {"cache_seconds": None}),
        ("post", {}, {"safety": "mutating", "irreversible": True, "idempotent": False, "retry": False}),
        ("put", {}, {"irreversible": True, "idempotent": True, "retry": True}),
        ("delete", {}, {"irreversible": True, "idempotent": True}),
        ("put", {"x-undo": "none"}, {"irreversible": False, "undo": "none"}),
        ("delete", {"x-undo": "none", "x-critical": True}, {"irreversible": False, "undo": "none", "critical": True}),
        ("patch", {"x-confirm": True, "x-timeout-seconds": 3}, {"irreversible": True, "confirm": True, "timeout_seconds": 3}),
    ],
)
def test_safety_follows_from_the_method_and_the_extensions(method: str, more: dict[str, Any], expected: dict[str, Any]) -> None:
    source, _ = domain_source(read_document(document(more, method)), domain="tried", version=1, origin="a")
    skill = parse_schema(source).skills["do_it"]
    assert {name: bool(skill.retry) if name == "retry" else getattr(skill, name) for name in expected} == expected
    assert skill.fallback == "explain_error"


def test_a_declared_key_makes_a_post_idempotent() -> None:
    key = {"parameters": [{"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}]}
    operation, left = read(key, "post")
    assert operation.idempotent
    assert operation.arguments == {}
    assert left == ()


def test_version_3_0_says_null_and_strict_bounds_its_own_way() -> None:
    schema = {"type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True}
    operation, _ = read(query(schema), version="3.0.3")
    assert operation.arguments["value"]["minimum"] == 1
    assert operation.places["value"].schema == {"type": ["integer", "null"], "exclusiveMinimum": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "at the top"),
        ("openapi: 2.0\npaths: {}", "OpenAPI 3.0 or 3.1"),
        ("openapi: 3.1.0", "expected paths"),
        ("openapi: 3.1.0\npaths: &a {}\nb: *a", "alias"),
        ("{", "YAML or JSON"),
        (document({"parameters": [{"$ref": "#/components/parameters/None"}]}), "points at nothing"),
        (document({"parameters": [{"$ref": "other.yaml#/a"}]}), "inside the file"),
        (document(query({"$ref": "#/a"}), a={"$ref": "#/b"}, b={"$ref": "#/a"}), "circle"),
        (document({"x-unod": "a"}), "x-unod is not understood"),
        (document({"x-cache-seconds": 60}, "post"), "POST has effects"),
        (document({"x-cache-seconds": "long"}), "cache_seconds"),
        (document({"x-undo": "nothing"}, "post"), "there is no skill nothing"),
        (document({}, **{"x-plan": {"steps": 3}}), "x-plan has no steps"),
        (document({"operationId": "explainError"}), "explain_error"),
        ("x" * (1024 * 1024 + 1), "at most"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        domain_source(read_document(text), domain="tried", version=1, origin="a")


def test_the_command_writes_the_file_and_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "schemas").mkdir()
    text = tmp_path / "a.json"
    text.write_text(document(query({"type": "string", "pattern": "a"})))
    first = write_domain(text, domain="tried", version=1, root=tmp_path)
    assert (first.path, first.changed) == ("schemas/tried.v1.yaml", True)
    assert not write_domain(text, domain="tried", version=1, root=tmp_path).changed
    (tmp_path / "schemas" / "released.json").write_text('{"tried.v1.yaml": "0"}')
    text.write_text(document({}))
    with pytest.raises(SchemaError, match="was released"):
        write_domain(text, domain="tried", version=1, root=tmp_path)
    assert main(["from-openapi", str(SHIPPED), "--domain", "api_json"]) == 0
    said = capsys.readouterr().out
    assert "no skill for /paths/~1books~1{bookId}~1cover/put" in said
    assert "schemas/api_json.v1.yaml was current" in said
    assert main(["from-openapi", str(tmp_path / "none.yaml"), "--domain", "api_json"]) == 2
