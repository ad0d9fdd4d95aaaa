"""Where schemas are nested in a JSON Schema, in one place for limits, lowering and declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = (
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
)


def pointer_of(parent: str, *parts: str | int) -> str:
    """A JSON pointer (RFC 6901) below `parent`."""
    return parent + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def children(schema: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Pointer and value of each direct subschema."""
    if not isinstance(schema, dict):
        return
    for keyword in NAMED:
        if isinstance(group := schema.get(keyword), dict):
            for name, value in group.items():
                yield pointer_of(pointer, keyword, name), value
    for keyword in LISTED:
        if isinstance(listed := schema.get(keyword), list):
            for index, value in enumerate(listed):
                yield pointer_of(pointer, keyword, index), value
    for keyword in SINGLE:
        if isinstance(schema.get(keyword), dict | bool):
            yield pointer_of(pointer, keyword), schema[keyword]


def walk(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pointer and value of every object schema, the root first, without recursion."""
    pending: list[tuple[str, Any]] = [("", schema)]
    while pending:
        pointer, node = pending.pop()
        if isinstance(node, dict):
            yield pointer, node
            pending.extend(children(node, pointer))


def resolve(root: Any, reference: str) -> Any | None:
    """The value that a local reference (`#`, `#/$defs/x`) names, or None."""
    node = root
    for part in reference.removeprefix("#").split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node
