"""Prepares a JSON Schema for llguidance, which refuses a whole schema for one keyword that it does not implement.

Such keywords are taken out, so that the mask enforces all the others, and their JSON pointers are declared: the validator
enforces them on the finished text. `oneOf` becomes `anyOf`, exactly where the branches cannot overlap, else declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from builderbrain.grammar.keywords import disjoint
from builderbrain.grammar.subschemas import LISTED, NAMED, SINGLE, pointer_of, resolve

UNIMPLEMENTED: tuple[str, ...] = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "unevaluatedItems"),
    *("unevaluatedProperties", "dependentRequired", "dependentSchemas", "dependencies", "propertyNames"),
)
"""What llguidance 1.9 answers with "Unimplemented keys"."""
FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
)
"""The formats that llguidance knows."""


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """`schema` for llguidance, and the pointers, into the original, of what it does not enforce."""

    schema: dict[str, Any] | bool
    declared: tuple[str, ...]


def relax(schema: dict[str, Any] | bool) -> Relaxed:
    """Relax a schema that passed the admission limits and is valid against its meta-schema."""
    relaxing = _Relaxing(schema)
    relaxed = relaxing.visit(schema, "")
    return Relaxed(schema=relaxed, declared=tuple(dict.fromkeys(relaxing.declared)))


class _Relaxing:
    def __init__(self, root: dict[str, Any] | bool) -> None:
        self.declared: list[str] = []
        self._root = root

    def visit(self, node: Any, pointer: str) -> Any:
        """The relaxed form of the schema at `pointer`."""
        if not isinstance(node, dict):
            return node
        kept: dict[str, Any] = {}
        for keyword, value in node.items():
            at = pointer_of(pointer, keyword)
            if keyword in UNIMPLEMENTED or (keyword == "format" and value not in FORMATS):
                if value is not False or keyword != "uniqueItems":
                    self.declared.append(at)
            elif keyword in NAMED and isinstance(value, dict):
                kept[keyword] = {name: self.visit(part, pointer_of(at, name)) for name, part in value.items()}
            elif keyword in LISTED and isinstance(value, list):
                kept[keyword] = [self.visit(part, pointer_of(at, index)) for index, part in enumerate(value)]
            else:
                kept[keyword] = self.visit(value, at) if keyword in SINGLE else value
        if "oneOf" in kept:
            self._one_of(node, kept, pointer)
        return kept

    def _one_of(self, node: dict[str, Any], kept: dict[str, Any], pointer: str) -> None:
        if not all(disjoint(left, right) for left, right in combinations(map(self._target, node["oneOf"]), 2)):
            self.declared.append(pointer_of(pointer, "oneOf"))
        branches = {"anyOf": kept.pop("oneOf")}
        if "anyOf" in kept:
            kept["allOf"] = [*kept.get("allOf", []), branches]
        else:
            kept.update(branches)

    def _target(self, branch: Any) -> Any:
        """A branch, or what it refers to when it is a reference and no more."""
        if isinstance(branch, dict) and set(branch) == {"$ref"}:
            return resolve(self._root, branch["$ref"])
        return branch
