"""Rewrites a JSON Schema into one that the mask engine enforces, and declares what it still does not.

The engine (xgrammar 0.2.8) reads keywords only beside a `type` that they apply to, and drops siblings of `anyOf`, `enum`
and `$ref`, several `allOf` branches, and required names without a property, mostly without a word. Rewriting keeps the
meaning: it only spells out what the schema already says (a mask may be stricter than the schema, never looser). What
cannot be spelled out is left to the validator and its JSON pointer goes into `declared`.

References keep working because `$defs`, `definitions` and `properties` stay where they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from builderbrain.errors import GrammarLimitError
from builderbrain.grammar.keywords import ASSERTIONS, NEVER_ENFORCED, TYPE_KEYWORDS, as_list, disjoint, merge
from builderbrain.grammar.patterns import read_pattern
from builderbrain.grammar.subschemas import pointer_of, resolve
from builderbrain.grammar.validate import validator_for

Schema = dict[str, Any] | bool

MAX_VISITS = 5_000
"""Subschemas of the lowered form: keywords pushed into nested alternatives multiply."""


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """`schema` for the engine and the pointers, into the original, of what it does not enforce."""

    schema: Schema
    declared: tuple[str, ...]


def lower(schema: Schema) -> Lowered:
    """Lower a schema that passed the admission limits and is valid against its meta-schema."""
    lowering = _Lowering(schema)
    lowered = lowering.visit(schema, "")
    return Lowered(schema=lowered, declared=tuple(dict.fromkeys(lowering.declared)))


def _without(rules: dict[str, Any], *keywords: str) -> dict[str, Any]:
    return {keyword: value for keyword, value in rules.items() if keyword not in keywords}


def _has_reference(value: Any) -> bool:
    return '"$ref"' in json.dumps(value)


class _Lowering:
    def __init__(self, root: Schema) -> None:
        self.declared: list[str] = []
        self._root = root
        self._visits = 0
        self._types: dict[str, Callable[[dict[str, Any], str], dict[str, Any] | None]] = {
            "string": self._string,
            "number": self._number,
            "integer": self._integer,
            "array": self._array,
            "object": self._object,
            "boolean": lambda own, pointer: own,
            "null": lambda own, pointer: own,
        }

    def declare(self, pointer: str, rules: dict[str, Any], *keywords: str) -> None:
        self.declared += [pointer_of(pointer, keyword) for keyword in keywords if keyword in rules]

    def visit(self, node: Any, pointer: str) -> Schema:
        """The lowered form of the schema at `pointer`; False when nothing can satisfy it."""
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise GrammarLimitError(
                f"expanded size: expected at most {MAX_VISITS} subschemas with alternatives spelled out, got more; "
                "use fewer nested alternatives",
                field=pointer,
            )
        if not isinstance(node, dict):
            return bool(node)
        kept: dict[str, Any] = {}
        for keyword in ("$defs", "definitions"):
            if isinstance(group := node.get(keyword), dict):
                kept[keyword] = {name: self.visit(value, pointer_of(pointer, keyword, name)) for name, value in group.items()}
        rules = {keyword: value for keyword, value in node.items() if keyword in ASSERTIONS}
        self.declare(pointer, rules, *NEVER_ENFORCED)
        lowered = self._combined(_without(rules, *NEVER_ENFORCED), pointer)
        return kept | lowered if isinstance(lowered, dict) else lowered

    def _combined(self, rules: dict[str, Any], pointer: str) -> Schema:
        """Resolve, in this order, the keywords that the engine reads alone: allOf, enum, const, $ref, anyOf, oneOf."""
        if "allOf" in rules:
            rules = self._all_of(rules, pointer)
        if "enum" in rules or "const" in rules:
            return self._values(rules, pointer)
        if "$ref" in rules:
            others = _without(rules, "$ref")
            self.declare(pointer, others, *others)
            return {"$ref": rules["$ref"]}
        for keyword in ("anyOf", "oneOf"):
            if keyword in rules:
                return self._alternatives(rules, keyword, pointer)
        return self._typed(rules, pointer)

    def _all_of(self, rules: dict[str, Any], pointer: str) -> dict[str, Any]:
        """Join the branches when that is possible; else keep the rest, or the first branch when there is no rest."""
        rest = _without(rules, "allOf")
        merged: dict[str, Any] | None = rest
        for branch in rules["allOf"]:
            simple = isinstance(branch, dict) and not any(keyword in branch for keyword in (*NEVER_ENFORCED, "$defs"))
            merged = merge(merged, branch) if simple and merged is not None else None
        if merged is not None:
            return {keyword: value for keyword, value in merged.items() if keyword in ASSERTIONS}
        self.declare(pointer, rules, "allOf")
        first = rules["allOf"][0]
        if rest or not isinstance(first, dict) or "allOf" in first:
            return rest
        return {keyword: value for keyword, value in first.items() if keyword in ASSERTIONS and keyword not in NEVER_ENFORCED}

    def _values(self, rules: dict[str, Any], pointer: str) -> Schema:
        """Literals that satisfy every sibling; the engine would ignore the siblings."""
        values = rules["enum"] if "enum" in rules else [rules["const"]]
        others = _without(rules, "enum") if "enum" in rules else _without(rules, "const")
        if _has_reference(others):
            self.declare(pointer, others, *others)
        elif others:
            check = validator_for(others)
            values = [value for value in values if check.is_valid(value)]
        return {"enum": values} if values else False

    def _alternatives(self, rules: dict[str, Any], keyword: str, pointer: str) -> Schema:
        branches = rules[keyword]
        if keyword == "oneOf":
            targets = [self._target(branch) for branch in branches]
            if not all(disjoint(left, right) for left, right in combinations(targets, 2)):
                self.declare(pointer, rules, "oneOf")
        siblings = _without(rules, keyword)
        joined: list[Schema] = []
        for index, branch in enumerate(branches):
            if siblings and branch is True:
                branch = siblings
            elif siblings and isinstance(branch, dict):
                simple = not any(key in branch for key in ("$ref", "anyOf", "oneOf", "allOf")) and "$ref" not in siblings
                merged = merge(branch, siblings) if simple else None
                if merged is None:
                    self.declare(pointer, siblings, *siblings)
                branch = branch if merged is None else merged
            lowered = self.visit(branch, pointer_of(pointer, keyword, index))
            if lowered is not False:
                joined.append(lowered)
        return {"anyOf": joined} if joined else False

    def _target(self, branch: Any) -> Any:
        """A branch, or what it refers to when it is a reference and no more."""
        if isinstance(branch, dict) and set(branch) == {"$ref"}:
            return resolve(self._root, branch["$ref"])
        return branch

    def _typed(self, rules: dict[str, Any], pointer: str) -> Schema:
        """One alternative per type, each with the keywords of that type."""
        if not rules:
            return {}
        names = as_list(rules.get("type", ["string", "number", "array", "object", "boolean", "null"]))
        alternatives: list[dict[str, Any]] = []
        for name in names:
            own = {key: value for key, value in rules.items() if key in TYPE_KEYWORDS[name]}
            lowered = self._types[name](own, pointer)
            if lowered is not None:
                alternatives.append({"type": name} | lowered)
        if len(alternatives) == 1:
            return alternatives[0]
        return {"anyOf": alternatives} if alternatives else False

    def _string(self, own: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        if own.get("minLength", 0) > own.get("maxLength", math.inf):
            return None
        if "format" in own:
            self.declare(pointer, own, *own)  # the mask knows a shape, not leap days or registries
            return {"format": own["format"]}
        if "pattern" in own:
            facts = read_pattern(own["pattern"], field=pointer_of(pointer, "pattern"))
            if own.get("minLength", 0) > facts.shortest:
                self.declare(pointer, own, "minLength")
            if own.get("maxLength", math.inf) < facts.longest:
                self.declare(pointer, own, "maxLength")
            return {"pattern": own["pattern"]}
        return own

    def _number(self, own: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        self.declare(pointer, own, "multipleOf")
        return _without(own, "multipleOf")

    def _integer(self, own: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        least = max(math.ceil(own.get("minimum", -(10**16))), math.floor(own.get("exclusiveMinimum", -(10**16) - 1)) + 1)
        most = min(math.floor(own.get("maximum", 10**16)), math.ceil(own.get("exclusiveMaximum", 10**16 + 1)) - 1)
        if least > most:
            return None
        bounds = {} if least == -(10**16) else {"minimum": least}
        bounds |= {} if most == 10**16 else {"maximum": most}
        step = own.get("multipleOf")
        if step is None:
            return bounds
        if bounds or step != int(step):
            self.declare(pointer, own, "multipleOf")
            return bounds
        return {"multipleOf": int(step)}

    def _array(self, own: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        if own.get("minItems", 0) > own.get("maxItems", math.inf):
            return None
        lowered = dict(own)
        if "items" in own:
            lowered["items"] = self.visit(own["items"], pointer_of(pointer, "items"))
        if "prefixItems" in own:
            lowered["prefixItems"] = [
                self.visit(item, pointer_of(pointer, "prefixItems", index)) for index, item in enumerate(own["prefixItems"])
            ]
        return lowered

    def _object(self, own: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        if own.get("minProperties", 0) > own.get("maxProperties", math.inf):
            return None
        lowered = _without(own, "properties", "patternProperties")
        for keyword in ("additionalProperties", "propertyNames"):
            if keyword in own:
                lowered[keyword] = self.visit(own[keyword], pointer_of(pointer, keyword))
        open_ended = lowered.get("additionalProperties", True) is not False
        if "patternProperties" in own:
            lowered["patternProperties"] = {
                pattern: self.visit(value, pointer_of(pointer, "patternProperties", pattern))
                for pattern, value in own["patternProperties"].items()
            }
            if open_ended or "properties" in own or len(own["patternProperties"]) > 1:
                self.declare(pointer, own, "patternProperties")
        if "propertyNames" in own and ("properties" in own or "required" in own or set(own["propertyNames"]) != {"pattern"}):
            self.declare(pointer, own, "propertyNames")
        properties = self._properties(own, pointer, open_ended=open_ended)
        if properties is None:
            return None
        for name in own.get("required", []):
            if name not in properties:
                if not open_ended and "patternProperties" not in own:
                    return None
                properties[name] = lowered.get("additionalProperties", True) if open_ended else True
        return lowered | ({"properties": properties} if properties else {})

    def _properties(self, own: dict[str, Any], pointer: str, *, open_ended: bool) -> dict[str, Schema] | None:
        """Lowered properties; those that nothing satisfies are left out. None when a required one is such."""
        properties: dict[str, Schema] = {}
        for name, value in own.get("properties", {}).items():
            at = pointer_of(pointer, "properties", name)
            lowered = self.visit(value, at)
            if lowered is not False:
                properties[name] = lowered
            elif name in own.get("required", []):
                return None
            # Left out, or written with an escape, the name may come again as an additional property with any value.
            if open_ended and (lowered is False or json.dumps(name)[1:-1] != name):
                self.declared.append(at)
        return properties
