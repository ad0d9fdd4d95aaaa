"""From the JSON Schema of one argument or result to a type and bounds of the language of domains.

All or nothing: a keyword that the checker cannot enforce refuses the value it is of, unless the configuration says that the
server alone enforces it. Narrower is fine: an optional value that may also be null is one that may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builderbrain.mcp.refusals import Inexpressible
from builderbrain.plan.schema import ArgumentSchema

MAX_CHOICES = 64
MAX_CHOICE_CHARACTERS = 128
MAX_STRING_LENGTH = 4096
"""A string that may be longer, or says nothing of its length, is a `text`."""
_MAX_REFERENCES = 8
_LARGEST = 10**17

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema", "$id"}
)
"""Keywords that allow and forbid nothing."""
_SCALARS = ("string", "integer", "number", "boolean")
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"enum", "const", "minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "array": frozenset({"items"}),
}


def argument_schema(schema: Any, *, required: bool, whole: Mapping[str, Any], ignore: Sequence[str] = ()) -> ArgumentSchema:
    """The argument that a property of an input schema is.

    Args:
        whole: the schema that it is part of, for references.
        ignore: keywords that are passed over.

    Raises:
        Inexpressible: names the keyword.
    """
    kind, stated = _typed(schema, whole, ignore)
    unknown = sorted(set(stated) - _KEYWORDS[kind])
    if unknown:
        raise Inexpressible(f"{ascii(unknown[0])[:40]} of a {kind} cannot be checked")
    if kind == "array":
        return ArgumentSchema(type=f"list of {_item_type(stated, whole, ignore)}", required=required)
    if kind == "string":
        return _string(stated, required=required)
    lowest, highest = _range(kind, stated)
    return ArgumentSchema(type=kind, required=required, minimum=lowest, maximum=highest)


def result_type(schema: Any, whole: Mapping[str, Any]) -> str:
    """Type of a result. Of a result nothing but its type is promised, so further keywords do not matter.

    Raises:
        Inexpressible: the language has no such type.
    """
    kind, stated = _typed(schema, whole, ())
    if kind == "array":
        items, inner = _typed(stated.get("items"), whole, ())
        if items == "array":
            raise Inexpressible("a list of lists has no type")
        return f"list of {_string_type(inner) if items == 'string' else items}"
    return _string_type(stated) if kind == "string" else kind


def _typed(schema: Any, whole: Mapping[str, Any], ignore: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The type and the keywords beside it, references followed, null left out."""
    for _ in range(_MAX_REFERENCES):
        stated = _stated(schema, ignore)
        reference = stated.pop("$ref", None)
        branches = stated.pop("anyOf", None) or stated.pop("oneOf", None)
        if reference is None and branches is None:
            return _kind(stated), stated
        if stated or (reference is not None and branches is not None):
            raise Inexpressible("keywords beside $ref, anyOf or oneOf cannot be checked")
        schema = _referred(reference, whole) if reference is not None else _without_null(branches)
    raise Inexpressible(f"more than {_MAX_REFERENCES} references lead from one to the next")


def _stated(schema: Any, ignore: Sequence[str]) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise Inexpressible("there is no schema that says its type")
    return {
        key: value
        for key, value in schema.items()
        if key not in ANNOTATIONS and not key.startswith("x-") and (key not in ignore or key in ("type", "$ref"))
    }


def _kind(stated: dict[str, Any]) -> str:
    kind = stated.pop("type", None)
    if isinstance(kind, list):
        several = [one for one in kind if one != "null"]
        kind = several[0] if len(several) == 1 else kind
    choices = stated.get("enum", [stated["const"]] if "const" in stated else None)
    if kind is None and isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices):
        return "string"
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        raise Inexpressible(f"its type is {ascii(kind)[:40]}, not one of {', '.join(_KEYWORDS)}" if kind else "it says no type")
    return kind


def _referred(reference: Any, whole: Mapping[str, Any]) -> Any:
    for place in ("$defs", "definitions"):
        start = f"#/{place}/"
        if isinstance(reference, str) and reference.startswith(start):
            table = whole.get(place)
            name = reference.removeprefix(start)
            if isinstance(table, Mapping) and name in table:
                return table[name]
    raise Inexpressible(f"the reference {ascii(reference)[:40]} leads nowhere inside the schema")


def _without_null(branches: Any) -> Any:
    others = [branch for branch in branches if branch != {"type": "null"}] if isinstance(branches, list) else []
    if len(others) != 1:
        raise Inexpressible("a choice between several schemas has no type")
    return others[0]


def _item_type(stated: Mapping[str, Any], whole: Mapping[str, Any], ignore: Sequence[str]) -> str:
    kind, inner = _typed(stated.get("items"), whole, ignore)
    if kind not in _SCALARS:
        raise Inexpressible(f"a list of {kind}s has no type")
    if inner:
        raise Inexpressible(f"{ascii(sorted(inner)[0])[:40]} of the items of a list cannot be checked")
    return "text" if kind == "string" else kind


def _string_type(stated: Mapping[str, Any]) -> str:
    longest = stated.get("maxLength")
    bounded = type(longest) is int and longest <= MAX_STRING_LENGTH
    return "string" if bounded or "enum" in stated or "const" in stated else "text"


def _string(stated: Mapping[str, Any], *, required: bool) -> ArgumentSchema:
    shortest, longest = stated.get("minLength"), stated.get("maxLength")
    choices = stated.get("enum", [stated["const"]] if "const" in stated else None)
    if choices is not None:
        if len(stated) > 1:
            raise Inexpressible("bounds beside a list of values cannot be checked")
        return ArgumentSchema(type="string", required=required, one_of=_choices(choices))
    if shortest is not None and (type(shortest) is not int or not 0 <= shortest <= 1):
        raise Inexpressible("a minLength above 1 cannot be checked")
    if longest is not None and (type(longest) is not int or not 1 <= longest <= _LARGEST):
        raise Inexpressible("a maxLength that is no whole number from 1 cannot be checked")
    return ArgumentSchema(type=_string_type(stated), required=required, min_length=shortest, max_length=longest)


def _choices(choices: Any) -> list[str]:
    if not isinstance(choices, list) or not 1 <= len(choices) <= MAX_CHOICES or len(set(map(str, choices))) != len(choices):
        raise Inexpressible(f"a list of values has 1 to {MAX_CHOICES} different ones")
    for choice in choices:
        plain = isinstance(choice, str) and 1 <= len(choice) <= MAX_CHOICE_CHARACTERS and choice.isprintable()
        if not plain or any(ord(character) > 0xFFFF for character in choice):
            raise Inexpressible(
                f"the value {ascii(choice)[:40]} is no text of 1 to {MAX_CHOICE_CHARACTERS} printable characters"
            )
    return choices


def _range(kind: str, stated: Mapping[str, Any]) -> tuple[int | None, int | None]:
    bounds = {name: _whole(name, value) for name, value in stated.items()}
    lowest = [bounds[name] + step for name, step in (("minimum", 0), ("exclusiveMinimum", 1)) if name in bounds]
    highest = [bounds[name] - step for name, step in (("maximum", 0), ("exclusiveMaximum", 1)) if name in bounds]
    least, most = max(lowest, default=None), min(highest, default=None)
    if least is not None and most is not None and least > most:
        raise Inexpressible(f"no {kind} is within its bounds")
    return least, most


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST or value != int(value):
        raise Inexpressible(f"the {name} {ascii(value)[:40]} is no whole number, so it cannot be checked")
    return int(value)
