"""A schema that only an endless value would satisfy is refused; recursion with a way out is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.limits import admit_schema

NULL = {"type": "null"}
SELF = {"$ref": "#"}


def node(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"next": SELF, "name": {"type": "string"}}, **more}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (SELF, "/$ref"),
        (node(required=["next"]), "/properties/next"),
        (node(required=["name", "next"]), "/properties/next"),
        ({"type": "array", "items": SELF, "minItems": 1}, "/items"),
        ({"type": "array", "prefixItems": [{"type": "string"}, SELF], "minItems": 2}, "/prefixItems/1"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, ""),
        ({"anyOf": [SELF, {"type": "array", "items": SELF, "minItems": 1}]}, "/anyOf"),
    ],
)
def test_endless_schemas_are_refused_with_the_place(schema: dict[str, Any], field: str) -> None:
    with pytest.raises(GrammarRefusedError, match="finite value") as caught:
        admit_schema(json.dumps(schema))
    assert (caught.value.field or "").startswith(field.removesuffix("/$ref"))


@pytest.mark.parametrize(
    "schema",
    [
        node(),
        node(required=["name"]),
        node(properties={"next": {"anyOf": [SELF, NULL]}}, required=["next"]),
        {"type": "array", "items": SELF},
        {"type": "array", "items": SELF, "minItems": 0},
        {"type": ["object", "null"], "properties": {"next": SELF}, "required": ["next"]},
        {"anyOf": [NULL, {"type": "array", "items": SELF, "minItems": 1}]},
        {"type": "string"},
    ],
)
def test_recursion_with_a_way_out_passes(schema: dict[str, Any]) -> None:
    assert admit_schema(json.dumps(schema)) == schema
