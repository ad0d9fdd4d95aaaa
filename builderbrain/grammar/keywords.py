"""The assertion keywords of JSON Schema, by the type they look at, and two questions about schemas that use them."""

from __future__ import annotations

from typing import Any

NUMBER_KEYWORDS: tuple[str, ...] = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
STRING_KEYWORDS: tuple[str, ...] = ("minLength", "maxLength", "pattern", "format")
ARRAY_KEYWORDS: tuple[str, ...] = ("items", "prefixItems", "minItems", "maxItems")
OBJECT_KEYWORDS: tuple[str, ...] = (
    *("properties", "required", "additionalProperties", "patternProperties"),
    *("propertyNames", "minProperties", "maxProperties"),
)
TYPE_KEYWORDS: dict[str, tuple[str, ...]] = {
    "string": STRING_KEYWORDS,
    "number": NUMBER_KEYWORDS,
    "integer": NUMBER_KEYWORDS,
    "array": ARRAY_KEYWORDS,
    "object": OBJECT_KEYWORDS,
    "boolean": (),
    "null": (),
}
NEVER_ENFORCED: tuple[str, ...] = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "unevaluatedItems"),
    *("unevaluatedProperties", "dependentRequired", "dependentSchemas", "dependencies", "additionalItems"),
)
"""What the mask engine ignores or reads wrongly; left to the validator."""
COMBINED: tuple[str, ...] = ("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf")
ASSERTIONS = frozenset((*NUMBER_KEYWORDS, *STRING_KEYWORDS, *ARRAY_KEYWORDS, *OBJECT_KEYWORDS, *NEVER_ENFORCED, *COMBINED))

_LARGEST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_SMALLEST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def as_list(value: Any) -> list[Any]:
    """`type` as a list."""
    return value if isinstance(value, list) else [value]


def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any] | None:
    """A schema that accepts what both accept, or None when that takes more than joining keywords."""
    merged = dict(left)
    for keyword, value in right.items():
        if keyword not in ASSERTIONS or merged.get(keyword, value) == value:
            merged.setdefault(keyword, value)
        elif keyword == "required":
            merged[keyword] = list(dict.fromkeys([*merged[keyword], *value]))
        elif keyword in _LARGEST:
            merged[keyword] = max(merged[keyword], value)
        elif keyword in _SMALLEST:
            merged[keyword] = min(merged[keyword], value)
        elif keyword == "properties" and not set(merged[keyword]) & set(value):
            merged[keyword] = merged[keyword] | value
        elif keyword == "type":
            types = [name for name in as_list(merged[keyword]) if name in as_list(value)]
            if not types or "integer" in [*as_list(merged[keyword]), *as_list(value)]:
                return None
            merged[keyword] = types
        else:
            return None
    for this, other in ((left, right), (right, left)):
        scoped = "additionalProperties" in this or "patternProperties" in this
        if scoped and set(other.get("properties", {})) - set(this.get("properties", {})):
            return None  # both keywords look at the properties beside them
        if "items" in this and "prefixItems" in other and "prefixItems" not in this:
            return None  # and items at the prefix beside it
    return merged


def disjoint(left: Any, right: Any) -> bool:
    """Whether types, literals or required discriminators show that no value satisfies both schemas."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        return left is False or right is False
    values = [[node["const"]] if "const" in node else node.get("enum") for node in (left, right)]
    if values[0] is not None and values[1] is not None:
        return not any(value in values[1] for value in values[0])
    if "type" in left and "type" in right:
        types = [set(as_list(node["type"])) for node in (left, right)]
        both_numbers = all(group & {"number", "integer"} for group in types)
        if not types[0] & types[1] and not both_numbers:
            return True
    shared = set(left.get("required", [])) & set(right.get("required", []))
    properties = [node.get("properties", {}) for node in (left, right)]
    return left.get("type") == right.get("type") == "object" and any(
        disjoint(properties[0].get(name, True), properties[1].get(name, True)) for name in shared
    )
