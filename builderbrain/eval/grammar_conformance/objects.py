"""Cases of the keywords of objects. Members stand in the order of `properties`, which masks fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builderbrain.eval.grammar_conformance.case import Case, pair, schema_case

OBJECTS: tuple[Any, ...] = (
    *({}, {"a": 1}, {"a": "x"}, {"a": None}, {"b": 1}, {"b": "x"}, {"a": 1, "b": "x"}, {"a": 1, "b": 2}, {"a": "x", "b": "x"}),
    *({"c": 1}, {"a": 1, "c": 1}, {"a": 1, "b": "x", "c": True}, {"ab": 1}, {"x1": 5}, {"x1": "s"}, {"a": {"a": 1}}, {"a": []}),
    *({"é": 1}, {"": 1}, {"a b": 1}, {"a": 1, "b": "x", "c": 1, "d": 1}, {"A": 1}, {"x1": 1, "x2": 2}, {"foo": 1, "bar": 2}),
)
OTHERS: tuple[Any, ...] = ("a", 1, [], None)
INTEGER = {"type": "integer"}
STRING = {"type": "string"}
A_B = {"a": INTEGER, "b": STRING}


def object_cases() -> Iterator[Case]:
    """All of them."""
    yield from _named()
    yield from _counted()
    yield from _conditional()


def _named() -> Iterator[Case]:
    for properties in (
        {"a": INTEGER},
        A_B,
        {"a": True, "b": False},
        {"é": STRING},
        {"a b": STRING, "": STRING},
        {"a": {"properties": A_B}},
    ):
        yield schema_case("properties", {"type": "object", "properties": properties}, OBJECTS)
        yield schema_case("properties", {"properties": properties}, (*OBJECTS[::4], *OTHERS))
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        yield schema_case(pair("properties", "additionalProperties"), schema, OBJECTS)
    yield schema_case(
        "properties", {"type": "object"}, texts=('{"a":1,"a":1}', '{"a":1,}', "{a:1}", '{"a":1 }', '{ "a" : 1 }', '{"a"}')
    )
    yield schema_case(
        "properties", {"properties": {'q"': INTEGER, "b\\": STRING}}, ({'q"': 1}, {'q"': "x"}, {"b\\": "x"}, {"b\\": 1})
    )
    for required in (["a"], ["b"], ["a", "b"], ["c"], []):
        yield schema_case("required", {"type": "object", "required": required}, OBJECTS)
        yield schema_case("required", {"required": required}, (*OBJECTS[::4], *OTHERS))
        schema = {"type": "object", "properties": A_B, "required": required}
        yield schema_case(pair("properties", "required"), schema, OBJECTS)
        yield schema_case(pair("additionalProperties", "required"), schema | {"additionalProperties": False}, OBJECTS)
        yield schema_case(pair("additionalProperties", "required"), schema | {"additionalProperties": INTEGER}, OBJECTS)
    for rest in (INTEGER, STRING, {"minimum": 2}, True, False):
        yield schema_case("additionalProperties", {"type": "object", "additionalProperties": rest}, OBJECTS)
        yield schema_case("additionalProperties", {"additionalProperties": rest}, (*OBJECTS[::4], *OTHERS))
    for pattern in ("^x", "^[ab]$", "1$", "o"):
        yield schema_case("patternProperties", {"type": "object", "patternProperties": {pattern: INTEGER}}, OBJECTS)
        schema = {"type": "object", "patternProperties": {pattern: INTEGER}, "additionalProperties": False}
        yield schema_case(pair("additionalProperties", "patternProperties"), schema, OBJECTS)
        schema = {"type": "object", "properties": A_B, "patternProperties": {pattern: {"maximum": 1}}}
        yield schema_case(pair("patternProperties", "properties"), schema, OBJECTS)
    schema = {"type": "object", "patternProperties": {"^a": INTEGER, "b$": {"minimum": 1}}}
    yield schema_case("patternProperties", schema, (*OBJECTS, {"ab": 0}, {"ab": "x"}))
    for names in ({"maxLength": 1}, {"pattern": "^[a-c]+$"}, {"enum": ["a", "b"]}, {"minLength": 1}, {"const": "a"}):
        yield schema_case("propertyNames", {"type": "object", "propertyNames": names}, OBJECTS)
        yield schema_case("propertyNames", {"propertyNames": names}, (*OBJECTS[::4], *OTHERS))
        yield schema_case(
            pair("properties", "propertyNames"), {"type": "object", "properties": A_B, "propertyNames": names}, OBJECTS
        )


def _counted() -> Iterator[Case]:
    for count in (0, 1, 2, 3):
        for keyword in ("minProperties", "maxProperties"):
            yield schema_case(keyword, {"type": "object", keyword: count}, OBJECTS)
            yield schema_case(keyword, {keyword: count}, (*OBJECTS[::4], *OTHERS))
            schema = {"type": "object", "properties": A_B, keyword: count}
            yield schema_case(pair(keyword, "properties"), schema, OBJECTS)
            yield schema_case(pair(keyword, "required"), schema | {"required": ["a", "b"]}, OBJECTS)
            yield schema_case(pair(keyword, "additionalProperties"), schema | {"additionalProperties": False}, OBJECTS)


def _conditional() -> Iterator[Case]:
    needs: Any
    for needs in ({"a": ["b"]}, {"a": ["c", "b"]}, {"b": ["a"]}, {"c": []}):
        yield schema_case("dependentRequired", {"type": "object", "dependentRequired": needs}, OBJECTS)
        yield schema_case("dependentRequired", {"type": "object", "properties": A_B, "dependentRequired": needs}, OBJECTS)
    for then in ({"required": ["b"]}, {"properties": {"b": STRING}}, {"maxProperties": 1}, False):
        yield schema_case("dependentSchemas", {"type": "object", "dependentSchemas": {"a": then}}, OBJECTS)
    yield schema_case("unevaluatedProperties", {"type": "object", "properties": A_B, "unevaluatedProperties": False}, OBJECTS)
    yield schema_case("unevaluatedProperties", {"type": "object", "unevaluatedProperties": STRING}, OBJECTS)
    schema = {"allOf": [{"properties": {"a": True}}], "properties": {"b": True}, "unevaluatedProperties": False}
    yield schema_case("unevaluatedProperties", schema, OBJECTS)
