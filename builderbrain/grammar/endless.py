"""Schemas that no finite value satisfies: an object that requires itself, a list of at least one such list.

A mask over such a schema never lets an answer end. Whether a node has a finite value is a least fixed point: a leaf has one;
a reference has one when its target has; an alternative when any branch has; an object or array when every part that it
cannot do without has. Anything not understood here counts as finite, so that nothing sound is refused.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.subschemas import children, resolve


def check_finite(schema: dict[str, Any]) -> None:
    """Refuse a schema that only endless values would satisfy.

    Raises:
        GrammarRefusedError: with the pointer of the place that needs itself.
    """
    nodes = _nodes(schema)
    # Each node is looked at once, and again when one of its parts turns out finite: linear in the schema, also for a chain of
    # a thousand references.
    waiting: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for _, node in nodes:
        for part in _depends(schema, node):
            waiting[id(part)].append(node)
    finite: set[int] = set()
    pending = [node for _, node in nodes]
    while pending:
        node = pending.pop()
        if id(node) not in finite and _has_value(schema, node, finite):
            finite.add(id(node))
            pending += waiting[id(node)]
    if id(schema) in finite:
        return
    reachable = {id(node) for node in _needed(schema, finite)}
    pointer = next((at for at, node in nodes if id(node) in reachable and "$ref" in node), "")
    raise GrammarRefusedError(
        "expected a schema that some finite value satisfies, got one that needs itself without end; leave the recursive "
        'property out of required, or allow null: {"anyOf": [{"$ref": ...}, {"type": "null"}]}',
        field=pointer,
    )


def _nodes(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every object schema, and what local references name outside the usual places."""
    pending: list[tuple[str, Any]] = [("", schema)]
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    while pending:
        pointer, node = pending.pop()
        if isinstance(node, dict) and id(node) not in found:
            found[id(node)] = (pointer, node)
            pending.extend(children(node, pointer))
            if isinstance(reference := node.get("$ref"), str):
                pending.append((reference.removeprefix("#"), resolve(schema, reference)))
    return list(found.values())


def _has_value(root: dict[str, Any], node: dict[str, Any], finite: set[int]) -> bool:
    def known(part: Any) -> bool:
        return not isinstance(part, dict) or id(part) in finite

    if isinstance(reference := node.get("$ref"), str) and not known(resolve(root, reference)):
        return False
    for keyword in ("anyOf", "oneOf"):
        if isinstance(branches := node.get(keyword), list) and branches and not any(map(known, branches)):
            return False
    if isinstance(every := node.get("allOf"), list) and not all(map(known, every)):
        return False
    return all(map(known, _parts(node)))


def _parts(node: dict[str, Any]) -> list[Any]:
    """Schemas of what a value of this node cannot be without; empty when it may be neither object nor array."""
    kind = node.get("type")
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    if kind == "object":
        properties = node.get("properties")
        required = node.get("required")
        if isinstance(properties, dict) and isinstance(required, list):
            return [properties[name] for name in required if isinstance(name, str) and name in properties]
    if kind == "array":
        least = node.get("minItems")
        if isinstance(least, int) and least > 0:
            first = node.get("prefixItems")
            listed = first[:least] if isinstance(first, list) else []
            return [*listed, *([node["items"]] if len(listed) < least and isinstance(node.get("items"), dict) else [])]
    return []


def _depends(root: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas whose having a value decides whether this node has one."""
    parts = _parts(node)
    for keyword in ("allOf", "anyOf", "oneOf"):
        if isinstance(branches := node.get(keyword), list):
            parts += branches
    if isinstance(reference := node.get("$ref"), str):
        parts.append(resolve(root, reference))
    return [part for part in parts if isinstance(part, dict)]


def _needed(root: dict[str, Any], finite: set[int]) -> list[dict[str, Any]]:
    """The endless nodes that the root cannot do without."""
    pending, found = [root], dict[int, dict[str, Any]]()
    while pending:
        node = pending.pop()
        if id(node) not in found and id(node) not in finite:
            found[id(node)] = node
            pending += _depends(root, node)
    return list(found.values())
