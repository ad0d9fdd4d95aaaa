"""What the language of domains can say of a JSON schema: type, bounds, default. What it cannot is named: the call checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builderbrain.plan.openapi.document import Document

LONG_TEXT = 1000
"""A string that may be longer than this is a `text`."""
SCALARS = ("string", "integer", "number", "boolean")
_PYTHON_TYPES: dict[str, type] = {"string": str, "text": str, "integer": int, "number": float, "boolean": bool}
_CHECKED_AT_THE_CALL = ("pattern", "format", "multipleOf", "minItems", "maxItems", "uniqueItems", "not", "contentEncoding")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch


class InexpressibleError(Exception):
    """No type of plans fits; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Expressed:
    """An argument or a result as a domain declares it. `loose` are the keywords that only the call checks."""

    entry: Mapping[str, Any]
    loose: tuple[str, ...] = field(default=())


def snake_case(name: str) -> str:
    """A name of plans from one of HTTP: `bookId` and `book-id` are `book_id`.

    Raises:
        InexpressibleError: nothing that plans could call it is left.
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    made = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    if not _NAME(made):
        raise InexpressibleError(f"no name of plans can be made of {name!r}")
    return made


def plain_summary(text: object, longest: int = 90) -> str:
    """A summary within the bounds of the domain language."""
    words = " ".join(str(text or "").split()).replace('"', "'").replace("|", "/").replace("\\", "/")
    return words if len(words) <= longest else f"{words[: longest - 3].rstrip()}..."


def argument(document: Document, schema: Mapping[str, Any], pointer: str, *, required: bool, summary: str) -> Expressed:
    """An argument of this schema.

    Raises:
        InexpressibleError: it is neither a scalar nor a list of scalars.
    """
    kind, narrowed = type_of(document, schema, pointer)
    loose = [keyword for keyword in _CHECKED_AT_THE_CALL if keyword in narrowed]
    entry: dict[str, Any] = {"type": kind}
    default = _default(narrowed.get("default"), kind)
    if default is not None:
        entry["default"] = default
    elif required:
        entry["required"] = True
    if "default" in narrowed and default is None and narrowed["default"] is not None:
        loose.append("default")
    if kind in ("string", "text"):
        loose += _lengths(narrowed, entry)
    elif kind in ("integer", "number"):
        loose += _range(narrowed, entry, kind)
    elif kind.startswith("list of "):
        loose += [
            keyword for keyword in document.schema(narrowed["items"], pointer) if keyword in ("enum", "minimum", "maximum")
        ]
    if kind not in ("string", "text") and "enum" in narrowed:
        loose.append("enum")
    entry["summary"] = plain_summary(summary or narrowed.get("description"))
    return Expressed(entry=entry, loose=tuple(loose))


def type_of(document: Document, schema: Mapping[str, Any], pointer: str) -> tuple[str, Mapping[str, Any]]:
    """The type of plans, and the schema it stands for (of two alternatives one of which is null, the other).

    Raises:
        InexpressibleError: as `argument`.
    """
    found = document.schema(schema, pointer)
    for choice in ("oneOf", "anyOf"):
        if choice in found:
            others = [one for one in found[choice] if document.schema(one, pointer).get("type") != "null"]
            if len(others) != 1 or len(others) == len(found[choice]):
                raise InexpressibleError(f"{choice} offers several types, and an argument or result has one")
            rest = {key: value for key, value in found.items() if key != choice}
            return type_of(document, {**document.schema(others[0], pointer), **rest}, pointer)
    types = found.get("type", "string" if _all_text(found.get("enum")) else None)
    named = [one for one in (types if isinstance(types, list) else [types]) if one != "null"]
    if len(named) != 1 or named[0] is None:
        raise InexpressibleError(f"expected one type, got {', '.join(map(str, filter(None, named))) or 'none'}")
    if named[0] == "array":
        kind, _ = type_of(document, found.get("items", {}), f"{pointer}/items")
        if kind not in SCALARS:
            raise InexpressibleError(f"a list of {kind} is no type of plans; only lists of scalars are")
        return f"list of {kind}", found
    if named[0] not in SCALARS:
        raise InexpressibleError(f"plans have no {named[0]}s")
    longest = found.get("maxLength")
    return ("text" if named[0] == "string" and type(longest) is int and longest > LONG_TEXT else named[0]), found


def _default(value: Any, kind: str) -> Any:
    """The default when plans can state it, else None."""
    if kind == "number" and type(value) is int:
        return float(value)
    return value if type(value) is _PYTHON_TYPES.get(kind) else None


def _all_text(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values if value is not None) and bool(values)


def _lengths(schema: Mapping[str, Any], entry: dict[str, Any]) -> list[str]:
    loose = []
    shortest = schema.get("minLength", 0)
    if shortest:
        entry["min_length"] = 1
        loose += ["minLength"] if shortest > 1 else []
    if type(schema.get("maxLength")) is int and schema["maxLength"] > 0:
        entry["max_length"] = schema["maxLength"]
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        plain = [value for value in values if value is not None]
        if entry["type"] == "string" and _all_text(plain) and all(value and '"' not in value for value in plain):
            entry["one_of"] = plain
        else:
            loose.append("enum")
    return loose


def _range(schema: Mapping[str, Any], entry: dict[str, Any], kind: str) -> list[str]:
    loose = []
    for bound, step in (("minimum", 1), ("maximum", -1)):
        limits = [schema[bound]] if bound in schema else []
        strict = schema.get(f"exclusive{bound.capitalize()}")
        if strict is not None and kind == "integer" and strict == int(strict):
            limits.append(int(strict) + step)
        elif strict is not None:
            loose.append(f"exclusive{bound.capitalize()}")
        whole = [int(limit) for limit in limits if limit == int(limit)]
        if len(whole) != len(limits):
            loose.append(bound)
        if whole:
            entry[bound] = max(whole) if bound == "minimum" else min(whole)
    return loose
