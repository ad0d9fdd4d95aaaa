"""The domain file of an OpenAPI file: one skill an operation, and `explain_error`, which every one of them falls back to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from builderbrain.errors import SchemaError
from builderbrain.plan.openapi.document import Document
from builderbrain.plan.openapi.expression import InexpressibleError, plain_summary, snake_case
from builderbrain.plan.openapi.operations import LeftOut, Operation, read_operations
from builderbrain.plan.schema import parse_schema

EXPLAIN = "explain_error"
"""The skill that gives the error of a failed call as a problem object."""

_EXPLAIN: dict[str, Any] = {
    "summary": "Gives the error of a call that failed, with an explanation, as a problem object.",
    "safety": "read_only",
    "timeout_seconds": 10,
    "results": {
        "body": {"type": "text", "summary": "the problem object, as JSON (RFC 9457)"},
        "status": {"type": "integer", "summary": "status of the answer; null when there was none"},
        "code": {"type": "string", "summary": "what kind of error it is"},
    },
}
_KNOWN = frozenset({"undo", "idempotent", "confirm", "critical", "timeout-seconds", "costs", "results", "cache-seconds"})
_PLAN_KEYS = frozenset({"summary", "max_steps", "max_depth", "max_width", "capacity", "budgets"})
_LIMITS = {"max_steps": 12, "max_depth": 12, "max_width": 4}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*").fullmatch
_SENTENCE = re.compile(r"[A-Za-z][\w ,;.()'/-]*(?<! )").fullmatch
"""Text that YAML reads as it is outside of lists and tables."""
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})


def domain_source(document: Document, *, domain: str, version: int, origin: str) -> tuple[str, tuple[LeftOut, ...]]:
    """The text of `<domain>.v<version>.yaml`, and what of the file it leaves out.

    Args:
        origin: the name of the file, for the first line.

    Raises:
        SchemaError: no operation can be said, an `x-` key is wrong, or the result breaks the language of domains.
    """
    operations, left = read_operations(document)
    plan = document.root.get("x-plan", {})
    unknown = sorted(set(plan) - _PLAN_KEYS)
    if unknown:
        raise SchemaError(f"x-plan has no {unknown[0]}; it has {', '.join(sorted(_PLAN_KEYS))}", field=f"/x-plan/{unknown[0]}")
    if any(operation.skill == EXPLAIN for operation in operations):
        raise SchemaError(f"an operation cannot be called {EXPLAIN}, which every domain of an API has; rename it")
    skills = {operation.skill: _skill(operation) for operation in operations}
    information = document.root.get("info", {})
    summary = plain_summary(plan.get("summary") or information.get("summary") or information.get("title"))
    lines = [
        f"# Generated from {origin} by `python -m builderbrain.plan from-openapi`. Do not edit.",
        "language: 2",
        f"domain: {domain}",
        f"version: {version}",
        f"summary: {_scalar(summary, True)}",
        "mode: strict",
        "",
        "resources:",
        f"  server: {_flow({'order': 'any', 'capacity': plan.get('capacity', 4)})}",
        "",
    ]
    if plan.get("budgets"):
        lines += ["budgets:", *(f"  {name}: {_flow({'limit': limit})}" for name, limit in plan["budgets"].items()), ""]
    lines += ["limits:", *(f"  {key}: {plan.get(key, usual)}" for key, usual in _LIMITS.items()), ""]
    lines += ["edges:", "  data: any", "  condition: any", "  sequence: any", "", "skills:"]
    blocks = [list(_block(name, entry)) for name, entry in [*skills.items(), (EXPLAIN, _EXPLAIN)]]
    lines += [line for at, block in enumerate(blocks) for line in ([""] if at else []) + block]
    source = "\n".join(lines) + "\n"
    parse_schema(source)
    return source, left


def _skill(operation: Operation) -> dict[str, Any]:
    said = operation.extensions
    unknown = sorted(set(said) - _KNOWN)
    if unknown:
        known = ", ".join(f"x-{key}" for key in sorted(_KNOWN))
        raise SchemaError(
            f"x-{unknown[0]} is not understood; an operation has {known}", field=f"{operation.pointer}/x-{unknown[0]}"
        )
    idempotent = said.get("idempotent", operation.idempotent)
    entry: dict[str, Any] = {
        "summary": operation.summary,
        "safety": "read_only" if operation.reads_only else "mutating",
        "timeout_seconds": said.get("timeout-seconds", 10),
        "arguments": operation.arguments,
        "results": operation.answers.results,
        "uses": ["server"],
        "costs": said.get("costs", {}),
    }
    if idempotent:
        entry["retry"] = {"attempts": 3, "wait_seconds": 1}
    if "cache-seconds" in said:
        if not operation.reads_only:
            raise SchemaError(
                f"x-cache-seconds: {operation.method.upper()} has effects, so that each call counts; drop it",
                field=f"{operation.pointer}/x-cache-seconds",
            )
        entry["cache_seconds"] = said["cache-seconds"]
    if not operation.reads_only:
        entry["idempotent"] = idempotent
        undo = said.get("undo")
        entry |= {"undo": _skill_name(undo, operation)} if undo is not None else {"irreversible": True}
    entry |= {"critical": said.get("critical", False), "confirm": said.get("confirm", False), "fallback": EXPLAIN}
    return entry


def _skill_name(operation_id: object, operation: Operation) -> str:
    try:
        return snake_case(str(operation_id))
    except InexpressibleError as error:
        raise SchemaError(f"x-undo: {error}; name an operation, or none", field=f"{operation.pointer}/x-undo") from error


def _block(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {name}:"
    for key, value in entry.items():
        if value is False or value == {} or value == []:
            continue
        if key in ("arguments", "results"):
            yield f"    {key}:"
            yield from (f"      {inner}: {_flow(declared)}" for inner, declared in value.items())
        elif isinstance(value, Mapping):
            yield f"    {key}: {_flow(value)}"
        else:
            yield f"    {key}: {_scalar(value, key == 'summary')}"


def _flow(table: Mapping[str, Any]) -> str:
    """A table in one line; summaries in quotes, and none that is empty."""
    shown = (f"{key}: {_scalar(value)}" for key, value in table.items() if value != "" or key != "summary")
    return f"{{{', '.join(shown)}}}"


def _scalar(value: Any, sentence: bool = False) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    if isinstance(value, str):
        if _PLAIN(value) and value.lower() not in _YAML_WORDS:
            return value
        if value.startswith("list of ") or (sentence and _SENTENCE(value)):
            return value
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
