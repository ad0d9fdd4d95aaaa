"""Where in its schema a JSON output stands, as far as that decides which tokens may come next.

Two outputs of one schema have the same mask when what is still to be written is the same for both. What decides that is the
place: the open containers, which member or item each is at, and the value in progress. Values that are complete decide nothing
any more, as long as one subschema alone speaks of each value; where several do (alternatives of one kind, intersections), or a
keyword counts what is there, the place is unknown, and so is every place within it.

`strict_text.StrictJson` follows the places as it reads.
"""

from __future__ import annotations

import itertools
import json
import math
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple

from builderbrain.grammar.subschemas import resolve

UNKNOWN = -1
"""The number of a container in which places are unknown."""
MAX_CONTAINERS = 4096
"""Containers of one constraint that are told apart; within further ones places are unknown."""
FIRST, OTHER = -1, -2
"""Members of an object: none yet; one that the schema does not name."""
_NUMBERS = itertools.count()
"""Of containers. No two constraints of a process share one, so that their masks can share a store."""
_SILENT = frozenset(
    ("title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$schema", "$id")
) | {"$defs", "definitions"}
_STRING = frozenset(("minLength", "maxLength"))
_OBJECT = frozenset(("properties", "required", "additionalProperties"))
_ARRAY = frozenset(("items", "prefixItems", "minItems", "maxItems"))
_NUMBER = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))
_OTHERS = frozenset(("pattern", "format", "patternProperties", "minProperties", "maxProperties"))
"""Keywords about one kind of value that this module does not follow."""
_KNOWN = _SILENT | _STRING | _OBJECT | _ARRAY | _NUMBER | _OTHERS | {"type"}

Kind = Literal["string", "object", "array"]
Member = int | str
"""What a container is at: the number of an item, or a member's name, `FIRST` or `OTHER`."""


class Length(NamedTuple):
    """Bounds of a string of which nothing else is asked, in characters."""

    least: int
    most: float


class Places:
    """The places of one schema. Shared between threads."""

    def __init__(self, schema: dict[str, Any] | bool, *, longest: int) -> None:
        """The places of a schema that passed the admission limits.

        Args:
            longest: bytes of the longest token: bounds of a string above that many characters are all alike to a mask.
        """
        self._schema = schema
        self.longest = longest
        self._containers: dict[tuple[int, Member, bool], int] = {}
        self.root = Place(self, schema)
        self.number = next(_NUMBERS)
        """Of the text outside every container."""

    def container(self, outer: int, at: Member, *, is_object: bool) -> int:
        """The number of a container at member `at` of the container with the number `outer`."""
        key = (outer, at, is_object)
        if key not in self._containers and len(self._containers) >= MAX_CONTAINERS:
            return UNKNOWN
        return self._containers.setdefault(key, next(_NUMBERS))

    def alternatives(self, node: Any, kind: Kind, seen: set[int]) -> Iterator[dict[str, Any] | None]:
        """The subschemas of a node that speak of values of that kind, None for one that is not followed.

        Args:
            seen: nodes that were looked at; one that comes again is not followed, so that the work is linear in the schema.
        """
        if not isinstance(node, dict):
            yield from [{}] if node else []
            return
        said = node.keys() - _SILENT
        if id(node) in seen or "enum" in said or "const" in said:
            yield None
        elif said == {"$ref"}:
            seen.add(id(node))
            yield from self.alternatives(resolve(self._schema, node["$ref"]), kind, seen)
        elif said == {"anyOf"}:
            seen.add(id(node))
            for branch in node["anyOf"]:
                yield from self.alternatives(branch, kind, seen)
        elif not said <= _KNOWN:
            yield None
        elif "type" not in said or kind in (node["type"] if isinstance(node["type"], list) else [node["type"]]):
            yield node


class Place:
    """What a schema says about the values at one place, by their kind."""

    def __init__(self, places: Places, node: Any) -> None:
        self._places = places
        self._node = node
        self._known: dict[Kind, dict[str, Any] | None] = {}
        self._inner: dict[tuple[bool, Member], Place] = {}

    def _of(self, kind: Kind) -> dict[str, Any] | None:
        """The one subschema of values of that kind; None when there are several, or one that is not followed."""
        if kind not in self._known:
            found = list(itertools.islice(self._places.alternatives(self._node, kind, set()), 2))
            self._known[kind] = found[0] if len(found) == 1 else None
        return self._known[kind]

    def length(self) -> Length | None:
        """Of a string here; None when more is asked of it."""
        node = self._of("string")
        if node is None or "pattern" in node or "format" in node:
            return None
        return Length(node.get("minLength", 0), node.get("maxLength", math.inf))

    def opens(self, *, is_object: bool) -> bool:
        """Whether places within an object or array here are known."""
        node = self._of("object" if is_object else "array")
        return node is not None and not (is_object and node.keys() & {"patternProperties", "minProperties", "maxProperties"})

    def member(self, name: str) -> Member:
        """What an object here is at when it has come to that name. Names come in an order, so the last one decides."""
        node = self._of("object") or {}
        return name if name in node.get("properties", ()) or name in node.get("required", ()) else OTHER

    def may_be_named(self, begin: bytes) -> bool:
        """Whether a name that begins like this, inside its quotes, may be one that the schema has for an object here. All
        others are alike."""
        following = bisect_left(self._names, begin)
        return following < len(self._names) and self._names[following].startswith(begin)

    @cached_property
    def _names(self) -> list[bytes]:
        node = self._of("object") or {}
        names = {*node.get("properties", ()), *node.get("required", ())}
        return sorted(json.dumps(name, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass") for name in names)

    def next_item(self, item: int) -> int:
        """The item after this one; those beyond every count of the schema have one number."""
        node = self._of("array") or {}
        return min(item + 1, max(node.get("minItems", 0), node.get("maxItems", 0), len(node.get("prefixItems", ()))))

    def inner(self, at: Member, *, is_object: bool) -> Place:
        """The place of the value that an object or array here is at."""
        node = self._of("object" if is_object else "array") or {}
        named = node.get("properties", {}) if is_object else dict(enumerate(node.get("prefixItems", ())))
        key = (is_object, at if at in named else OTHER)
        if key not in self._inner:
            others = node.get("additionalProperties" if is_object else "items", {})
            self._inner[key] = Place(self._places, named.get(at, others))
        return self._inner[key]
