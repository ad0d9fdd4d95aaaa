"""Cases of the keywords that combine schemas, and of references."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builderbrain.eval.grammar_conformance.arrays import ARRAYS
from builderbrain.eval.grammar_conformance.case import Case, pair, schema_case
from builderbrain.eval.grammar_conformance.objects import A_B, OBJECTS
from builderbrain.eval.grammar_conformance.scalars import ONE_OF_EACH

INTEGER = {"type": "integer"}
STRING = {"type": "string"}
NULL = {"type": "null"}
MIXED: tuple[Any, ...] = (
    *ONE_OF_EACH,
    1,
    3,
    5,
    7,
    "ab",
    "abc",
    "abcd",
    [1, 2],
    ["a"],
    {"a": "x"},
    {"b": "x"},
    {"a": 1, "b": "x"},
)
TAGGED = [
    {"properties": {"kind": {"const": kind}, "value": {"type": of}}, "required": ["kind", "value"], "type": "object"}
    for kind, of in (("text", "string"), ("count", "integer"), ("none", "null"))
]
TAGGED_VALUES: tuple[Any, ...] = (
    *(
        {"kind": "text", "value": "a"},
        {"kind": "text", "value": 1},
        {"kind": "count", "value": 1},
        {"kind": "count", "value": "a"},
    ),
    *(
        {"kind": "none", "value": None},
        {"kind": "other", "value": None},
        {"kind": "text"},
        {"value": 1},
        {},
        {"kind": "count", "value": 1, "x": 1},
    ),
)


def combining_cases() -> Iterator[Case]:
    """All of them."""
    yield from _alternatives()
    yield from _together()
    yield from _negative()
    yield from _references()


def _alternatives() -> Iterator[Case]:
    branches: tuple[list[Any], ...] = (
        *(
            [INTEGER, STRING],
            [STRING, NULL],
            [{"minimum": 3}, {"maxLength": 2}],
            [{"const": 1}, {"const": "a"}],
            [INTEGER, {"type": "number"}],
        ),
        *(
            [{"maxLength": 3}, {"minLength": 2}],
            [{"enum": [1, 3]}, {"enum": [3, 5]}],
            [{"required": ["a"]}, {"required": ["b"]}],
        ),
        *([True, False], [{"type": "array", "items": INTEGER}, {"type": "array", "items": STRING}], [False, STRING]),
    )
    for listed in branches:
        for keyword in ("anyOf", "oneOf"):
            yield schema_case(keyword, {keyword: listed}, MIXED)
    for keyword in ("anyOf", "oneOf"):
        yield schema_case(keyword, {keyword: TAGGED}, TAGGED_VALUES)
        yield schema_case(pair(keyword, "type"), {"type": "integer", keyword: [{"minimum": 5}, {"maximum": 1}]}, MIXED)
        yield schema_case(pair(keyword, "minimum"), {keyword: [INTEGER, STRING], "minimum": 3}, MIXED)
        schema = {"type": "object", "properties": A_B, keyword: [{"required": ["a"]}, {"required": ["b"]}]}
        yield schema_case(pair(keyword, "properties"), schema, OBJECTS)
        schema = {
            "type": "object",
            "properties": {"c": True},
            keyword: [{"properties": {"a": INTEGER}, "required": ["a"]}, {"required": ["b"]}],
        }
        yield schema_case(pair(keyword, "properties"), schema, OBJECTS)
    yield schema_case(pair("anyOf", "oneOf"), {"anyOf": [INTEGER, STRING], "oneOf": [{"minimum": 3}, {"maxLength": 1}]}, MIXED)


def _together() -> Iterator[Case]:
    schema: Any
    lists: tuple[list[Any], ...] = (
        *(
            [INTEGER, {"minimum": 3}],
            [{"minimum": 1}, {"maximum": 5}],
            [STRING, {"minLength": 1}, {"maxLength": 3}],
            [INTEGER],
            [True, STRING],
        ),
        *(
            [{"type": ["integer", "string"]}, {"type": ["string", "null"]}],
            [{"enum": [1, 3, "a"]}, {"enum": [3, "a", "b"]}],
            [INTEGER, STRING],
        ),
        *(
            [{"required": ["a"]}, {"properties": {"a": INTEGER}}],
            [{"pattern": "^a"}, {"pattern": "c$"}],
            [{"multipleOf": 3}, {"multipleOf": 5}],
        ),
        *(
            [{"anyOf": [INTEGER, STRING]}, {"anyOf": [STRING, NULL]}],
            [{"items": INTEGER}, {"maxItems": 1}],
            [{"properties": A_B}, {"required": ["b"]}],
        ),
    )
    for listed in lists:
        yield schema_case("allOf", {"allOf": listed}, (*MIXED, 15, 30, "abcc", {"a": 1, "b": 2}))
        yield schema_case(pair("allOf", "type"), {"type": ["integer", "string"], "allOf": listed}, (*MIXED, 15, 30))
    schema = {
        "type": "object",
        "properties": {"a": {"minimum": 0}},
        "allOf": [{"properties": {"a": INTEGER}}, {"required": ["a"]}],
    }
    yield schema_case(pair("allOf", "properties"), schema, OBJECTS)
    schema = {"allOf": [{"properties": {"a": True}}, {"properties": {"b": True}}], "additionalProperties": False}
    yield schema_case(pair("additionalProperties", "allOf"), schema, OBJECTS)
    yield schema_case(pair("allOf", "items"), {"items": INTEGER, "allOf": [{"minItems": 1}, {"items": {"minimum": 2}}]}, ARRAYS)


def _negative() -> Iterator[Case]:
    for refused in (
        INTEGER,
        STRING,
        {"enum": [1, "a"]},
        {"minimum": 3},
        {"required": ["a"]},
        {"type": ["string", "null"]},
        False,
    ):
        yield schema_case("not", {"not": refused}, MIXED)
        yield schema_case(pair("not", "type"), {"type": ["integer", "string"], "not": refused}, MIXED)
    for condition, then, otherwise in (
        (INTEGER, {"minimum": 3}, STRING),
        ({"required": ["a"]}, {"required": ["b"]}, True),
        ({"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": STRING}}, {"maxProperties": 1}),
        (True, STRING, INTEGER),
        (False, STRING, INTEGER),
    ):
        yield schema_case("if", {"if": condition, "then": then, "else": otherwise}, (*MIXED, *OBJECTS[::3]))
        yield schema_case("then", {"if": condition, "then": then}, (*MIXED, *OBJECTS[::3]))
        yield schema_case("else", {"if": condition, "else": otherwise}, (*MIXED, *OBJECTS[::3]))
        yield schema_case("then", {"then": then}, MIXED[::3])


def _references() -> Iterator[Case]:
    definitions = {"count": {"type": "integer", "minimum": 3}, "word": {"type": "string", "maxLength": 2}, "a/b~c": NULL}
    for name in ("count", "word", "a~1b~0c"):
        yield schema_case("$ref", {"$ref": f"#/$defs/{name}", "$defs": definitions}, MIXED)
        schema: dict[str, Any] = {"type": "array", "items": {"$ref": f"#/$defs/{name}"}, "$defs": definitions}
        yield schema_case("$ref", schema, (*ARRAYS, [5, 6], [None, None]))
        yield schema_case(
            pair("$ref", "type"), {"$ref": f"#/$defs/{name}", "type": ["integer", "null"], "$defs": definitions}, MIXED
        )
    yield schema_case(pair("$ref", "maximum"), {"$ref": "#/$defs/count", "maximum": 5, "$defs": definitions}, MIXED)
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"v": INTEGER, "n": {"anyOf": [{"$ref": "#"}, NULL]}},
        "required": ["v"],
        "additionalProperties": False,
    }
    values = (
        {"v": 1},
        {"v": 1, "n": None},
        {"v": 1, "n": {"v": 2}},
        {"v": 1, "n": {"n": None}},
        {"n": {"v": 1}},
        {"v": 1, "n": {"v": 2, "n": {"v": 3}}},
    )
    yield schema_case("$ref", tree, values)
    yield schema_case("$ref", {"type": "array", "items": {"$ref": "#"}}, ([], [[]], [[], [[]]], [1], {}, [[1]]))
    yield schema_case("$ref", {"properties": {"a": INTEGER, "b": {"$ref": "#/properties/a"}}}, OBJECTS)
    yield schema_case("anyOf", {"anyOf": [{"$ref": "#/$defs/count"}, {"$ref": "#/$defs/word"}], "$defs": definitions}, MIXED)
    yield schema_case("allOf", {"allOf": [{"$ref": "#/$defs/count"}, {"maximum": 5}], "$defs": definitions}, MIXED)
    yield schema_case("oneOf", {"oneOf": [{"$ref": "#/$defs/count"}, {"$ref": "#/$defs/word"}], "$defs": definitions}, MIXED)
