"""The JSON Schemas of the `syntax` suite, written for this project: at least one per keyword that the mask enforces, the
keywords that it does not (declared, and left to the validator), and the shapes of everyday function arguments.

Fixed and in a fixed order: a schema's name is part of the suite's record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NamedSchema:
    """A schema's `source` is its JSON text."""

    name: str
    source: str


def closed(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object of these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def text(most: int, least: int = 0) -> Schema:
    """A string of `least` to `most` characters."""
    return {"type": "string", "minLength": least, "maxLength": most}


def array(items: Any, most: int, least: int = 0) -> Schema:
    """An array of `least` to `most` items."""
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def whole(least: int, most: int) -> Schema:
    """An integer within bounds, both included."""
    return {"type": "integer", "minimum": least, "maximum": most}


NULL: Schema = {"type": "null"}
BOOLEAN: Schema = {"type": "boolean"}
COLOURS: Schema = {"enum": ["red", "green", "blue"]}


def _scalars() -> Iterator[tuple[str, Any]]:
    for least, most in ((0, 0), (0, 1), (1, 1), (2, 5), (0, 12), (8, 16), (24, 24)):
        yield f"string-{least}-{most}", text(most, least)
    yield "string-least", {"type": "string", "minLength": 3}
    yield "string-any", {"type": "string"}
    patterns = {
        "code": "^[A-Z]{3}-[0-9]{4}$",
        "hexadecimal": "^#[0-9a-f]{6}$",
        "version": "^(0|[1-9][0-9]{0,2})\\.(0|[1-9][0-9]{0,2})$",
        "word": "^[a-z]+$",
        "time": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "choice": "^(north|south|east|west)$",
        "unanchored": "[xyz]{2}",
        "any-characters": "^.{1,4}$",
        "not-digits": "^[^0-9]{1,5}$",
        "non-ascii": "^[àéîõü]{1,3}$",
        "printable": "^[ -~]{0,8}$",
        "optional-sign": "^[+-]?[0-9]{1,3}%?$",
        "space": "^\\S+ \\S+$",
    }
    for name, pattern in patterns.items():
        yield f"pattern-{name}", {"type": "string", "pattern": pattern}
    bounds = [(0, 0), (0, 9), (-9, -1), (-5, 120), (10, 99), (1, 1_000_000), (-(10**12), 10**12), (95, 105)]
    for low, high in bounds:
        yield f"integer-{low}-{high}", whole(low, high)
    yield "integer-any", {"type": "integer"}
    yield "integer-least", {"type": "integer", "minimum": 18}
    yield "integer-most", {"type": "integer", "exclusiveMaximum": 0}
    yield "integer-fractional-bounds", {"type": "integer", "minimum": 1.5, "maximum": 7.5}
    yield "integer-step", {"type": "integer", "multipleOf": 5}
    yield "number-any", {"type": "number"}
    for index, (lowest, highest) in enumerate([(0, 1), (-1.5, 1.5), (0.25, 0.75), (-273.15, 1000), (99.5, 100)]):
        yield f"number-range-{index}", {"type": "number", "minimum": lowest, "maximum": highest}
    yield "number-open-range", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    yield "number-least", {"type": "number", "minimum": 0.01}
    yield "boolean", BOOLEAN
    yield "null", NULL
    yield "anything", {}
    yield "everything", True
    for name, literal in {
        "string": 'a "quoted"\n\\line\u0007 é',
        "number": 2.5,
        "small": -2.5e-7,
        "zero": 0,
        "true": True,
        "object": {"b": [1, {"c": None}], "a": ""},
    }.items():
        yield f"constant-{name}", {"const": literal}
    yield "enum-words", COLOURS
    yield "enum-mixed", {"enum": ["one", 1, 1.5, None, False, [1, 2], {"k": "v"}]}
    yield "enum-long", {"enum": [f"item-{index:03d}" for index in range(200)]}
    yield "enum-typed", {"type": "integer", "enum": ["1", 1, 2, 2.5]}
    yield "types-two", {"type": ["string", "null"], "maxLength": 6}
    yield "types-ranged", {"type": ["integer", "string", "null"], "minimum": 3, "maximum": 30, "maxLength": 4}


def _arrays() -> Iterator[tuple[str, Any]]:
    yield "array-empty", array(True, 0)
    yield "array-integers", array(whole(0, 99), 6)
    yield "array-exact", array(BOOLEAN, 4, 4)
    yield "array-least", {"type": "array", "items": NULL, "minItems": 2}
    yield "array-strings", array(text(5), 4, 1)
    yield "array-enum", array(COLOURS, 5, 1)
    yield "array-matrix", array(array(whole(-9, 9), 3, 3), 3, 3)
    yield "array-objects", array(closed({"x": whole(0, 9), "y": whole(0, 9)}), 3, 1)
    yield "array-untyped-items", {"items": {"type": "integer"}, "type": "array", "maxItems": 5}
    yield "tuple-closed", {"type": "array", "prefixItems": [whole(0, 9), text(4), BOOLEAN], "items": False}
    yield "tuple-open", {"type": "array", "prefixItems": [text(4)], "items": whole(0, 9), "minItems": 1, "maxItems": 4}
    yield "array-either", array({"anyOf": [whole(0, 9), text(3)]}, 4)
    yield "array-different", {**array(whole(0, 999), 3), "uniqueItems": True}


def _objects() -> Iterator[tuple[str, Any]]:
    yield "object-empty", closed({})
    yield "object-one", closed({"name": text(10)})
    yield "object-optional", closed({"a": NULL, "b": BOOLEAN, "c": whole(0, 9)}, optional=("a", "c"))
    yield "object-all-optional", closed({"a": NULL, "b": BOOLEAN}, optional=("a", "b"))
    yield "object-required-only", {"type": "object", "required": ["id", "kind"], "additionalProperties": whole(0, 9)}
    yield "object-map", {"type": "object", "additionalProperties": whole(0, 9), "maxProperties": 3}
    yield "object-map-least", {"type": "object", "additionalProperties": NULL, "minProperties": 1, "maxProperties": 2}
    yield "object-open", {"type": "object", "properties": {"a": BOOLEAN}, "required": ["a"], "maxProperties": 2}
    yield "object-names", {"type": "object", "propertyNames": {"pattern": "^[a-z]{4}$"}, "additionalProperties": NULL}
    yield "object-patterned", {"type": "object", "patternProperties": {"^x[0-9]{4}$": NULL}, "additionalProperties": False}
    yield "object-odd-names", closed({'a"b': NULL, "é": BOOLEAN, "x y": whole(0, 9), "back\\slash": NULL, "": NULL})
    yield "object-counted", {**closed({"a": NULL, "b": NULL, "c": NULL}, optional=("a", "b", "c")), "minProperties": 2}
    nested: Schema = whole(0, 9)
    for depth in range(1, 7):
        nested = closed({f"level{depth}": nested, "flag": BOOLEAN}, optional=("flag",))
        yield f"object-nested-{depth}", nested
    for count in (5, 12, 30):
        yield f"object-wide-{count}", closed({f"field_{index}": whole(0, 9) for index in range(count)})
    yield (
        "object-untyped",
        {"properties": {"a": whole(0, 9)}, "required": ["a"], "additionalProperties": False, "type": "object"},
    )


def _combined() -> Iterator[tuple[str, Any]]:
    yield "any-of-types", {"anyOf": [whole(0, 9), text(4), NULL, array(BOOLEAN, 2)]}
    yield "any-of-objects", {"anyOf": [closed({"cat": text(5)}), closed({"dog": whole(0, 9)})]}
    yield "any-of-beside-type", {"type": "integer", "anyOf": [{"maximum": 3}, {"minimum": 30}], "minimum": 0}
    required: Schema = closed({"mail": text(6), "phone": text(6)}, optional=("mail", "phone"))
    yield "any-of-required", {**required, "anyOf": [{"required": ["mail"]}, {"required": ["phone"]}]}
    circle = closed({"kind": {"const": "circle"}, "radius": whole(1, 9)})
    square = closed({"kind": {"const": "square"}, "side": whole(1, 9)})
    yield "one-of-tagged", {"oneOf": [circle, square]}
    yield (
        "one-of-references",
        {
            "oneOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/square"}],
            "$defs": {"circle": circle, "square": square},
        },
    )
    yield "all-of-one", {"allOf": [whole(0, 9)]}
    yield "all-of-ranges", {"allOf": [{"type": "integer", "minimum": 0}, {"maximum": 9}]}
    part = {"type": "object", "properties": {"a": NULL}, "required": ["a"]}
    yield "all-of-objects", {"allOf": [part, {"properties": {"b": BOOLEAN}, "required": ["b"], "maxProperties": 2}]}
    yield "reference", {"$ref": "#/$defs/name", "$defs": {"name": text(8, 1)}}
    yield (
        "reference-shared",
        {
            **closed({"from": {"$ref": "#/$defs/place"}, "to": {"$ref": "#/$defs/place"}}),
            "$defs": {"place": closed({"row": whole(0, 9), "column": whole(0, 9)})},
        },
    )
    tree = closed({"value": whole(0, 9), "next": {"anyOf": [{"$ref": "#/$defs/node"}, NULL]}})
    yield "reference-list", {"$ref": "#/$defs/node", "$defs": {"node": tree}}
    branch = closed({"leaf": BOOLEAN, "children": array({"$ref": "#"}, 2)}, optional=("children",))
    yield "reference-tree", branch
    yield (
        "reference-definitions",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"amount": whole(1, 100)},
            **array({"$ref": "#/definitions/amount"}, 3, 1),
        },
    )
    yield "nullable", closed({"note": {"anyOf": [text(6), NULL]}})
    yield "implicit-types", {"minimum": 3, "maxLength": 5, "maxItems": 0, "maxProperties": 0}


def _left_to_the_validator() -> Iterator[tuple[str, Any]]:
    yield "declared-not", {"type": "string", "maxLength": 4, "not": {"const": "no"}}
    yield "declared-overlap", {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "minimum": 1000}]}
    yield "declared-if", {**whole(0, 99), "if": {"minimum": 90}, "then": {"multipleOf": 2}}
    yield "declared-contains", {**array(whole(0, 3), 4, 3), "contains": {"const": 0}}
    yield "declared-pattern-length", {"type": "string", "pattern": "^[ab]+$", "maxLength": 6}
    yield "declared-reference-sibling", {"$ref": "#/$defs/n", "minimum": 1, "$defs": {"n": whole(-1, 50)}}
    yield "declared-dependent", {**closed({"a": NULL, "b": NULL}, optional=("a", "b")), "dependentRequired": {"a": ["b"]}}
    for name in ("date", "time", "uuid", "ipv4"):
        yield f"format-{name}", {"type": "string", "format": name}


def _everyday() -> Iterator[tuple[str, Any]]:
    yield "call-search", closed({"pattern": text(16, 1), "path": text(12), "limit": whole(1, 50)}, optional=("path", "limit"))
    yield "call-weather", closed({"city": text(10, 2), "unit": {"enum": ["celsius", "fahrenheit"]}, "days": whole(1, 7)})
    yield "call-transfer", closed({"amount": {"type": "number", "minimum": 0.01, "maximum": 5000}, "to": text(8, 4)})
    person = closed({"name": text(10, 1), "age": whole(0, 150), "tags": array(text(5, 1), 3)}, optional=("tags",))
    yield "record-person", person
    yield "record-team", closed({"team": text(8), "members": array(person, 2, 1)})
    item = closed({"code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}$"}, "count": whole(1, 9)})
    yield "record-order", closed({"items": array(item, 3, 1), "paid": BOOLEAN, "note": text(8)}, optional=("note",))
    yield "record-settings", closed({"mode": {"enum": ["fast", "safe"]}, "retries": whole(0, 5), "ratio": {"const": 0.5}})
    step = closed({"id": {"type": "string", "pattern": "^s[1-9]$"}, "skill": COLOURS, "needs": array(text(2), 2)})
    yield "record-steps", closed({"version": {"const": 1}, "steps": array(step, 2, 1)})
    yield "record-error", closed({"error": closed({"code": whole(400, 599), "message": text(12)})})
    point = {"type": "array", "prefixItems": [{"type": "number", "minimum": -180, "maximum": 180}] * 2, "items": False}
    yield "record-route", closed({"points": array({**point, "minItems": 2}, 3, 2), "closed": BOOLEAN})


def schema_corpus() -> tuple[NamedSchema, ...]:
    """All schemas, in their order."""
    families = (_scalars, _arrays, _objects, _combined, _left_to_the_validator, _everyday)
    return tuple(
        NamedSchema(name=name, source=json.dumps(schema, ensure_ascii=False))
        for family in families
        for name, schema in family()
    )
