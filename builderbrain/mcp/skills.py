"""One tool of a server as a skill of a domain, or the reason why it is none.

Nothing that a server says in prose (title, description, instructions) goes into a skill: names and types do, and what the
configuration says. Its hints count only where the configuration believes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builderbrain.agent.tool_call import McpDeclaredResult
from builderbrain.mcp.config import Safety, ServerSettings, ToolSettings
from builderbrain.mcp.json_types import ANNOTATIONS, argument_schema, result_type
from builderbrain.mcp.names import plain_name, skill_name
from builderbrain.mcp.refusals import Inexpressible
from builderbrain.plan.consistency import NOTHING_TO_UNDO
from builderbrain.plan.domain import OK_RESULT
from builderbrain.plan.schema import ArgumentSchema, SkillSchema

MAX_ARGUMENTS = 16
MAX_RESULTS = 16
TEXT = "text"
"""Result with the text of an answer."""

_TOP = ANNOTATIONS | {"type", "properties", "required", "additionalProperties", "$defs", "definitions"}


@dataclass(frozen=True, kw_only=True)
class OfferedTool:
    """What became of one tool of a list.

    Args:
        tool: name at the server, as it came.
        skill: name in plans; None when it is none.
        schema: the skill; None when it is none.
        reason: why it is none; empty when it is one.
        arguments: names at the server by names in plans.
        results: structured results.
        notes: what of it cannot be used: arguments that may be left out, and results.
    """

    tool: str
    skill: str | None = None
    schema: SkillSchema | None = None
    reason: str = ""
    arguments: Mapping[str, str] | None = None
    results: Mapping[str, McpDeclaredResult] | None = None
    notes: tuple[str, ...] = ()


def offered_tools(server: str, settings: ServerSettings, definitions: Sequence[Mapping[str, Any]]) -> tuple[OfferedTool, ...]:
    """Every tool of a server's list, each as a skill or with the reason why not. Two that would be one skill are both none."""
    judged = [_offered(server, settings, definition) for definition in definitions]
    names = [one.skill for one in judged if one.skill is not None]
    return tuple(
        OfferedTool(tool=one.tool, reason=f"two tools of the server would be called {one.skill}")
        if one.skill is not None and names.count(one.skill) > 1
        else one
        for one in judged
    )


def _offered(server: str, settings: ServerSettings, definition: Mapping[str, Any]) -> OfferedTool:
    tool = definition.get("name")
    name = tool if isinstance(tool, str) else ""
    wanted = settings.settings(name)
    if wanted is None:
        return OfferedTool(tool=name, reason="the configuration does not name it")
    notes: list[str] = []
    try:
        skill = skill_name(server, tool)
        arguments, wire = _arguments(definition.get("inputSchema"), wanted, notes)
        results = _results(definition.get("outputSchema"), notes)
        schema = _skill(server, settings, wanted, definition, arguments, results)
    except Inexpressible as reason:
        return OfferedTool(tool=name, reason=str(reason))
    return OfferedTool(tool=name, skill=skill, schema=schema, arguments=wire, results=results, notes=tuple(notes))


def _arguments(schema: Any, settings: ToolSettings, notes: list[str]) -> tuple[dict[str, ArgumentSchema], dict[str, str]]:
    properties, required = _properties(schema, settings.ignore)
    arguments: dict[str, ArgumentSchema] = {}
    wire: dict[str, str] = {}
    for name in sorted(properties, key=lambda name: name not in required):  # the text form has required ones first
        try:
            plain = plain_name(name)
            if plain in arguments:
                raise Inexpressible(f"two arguments would be called {plain}")
            arguments[plain] = argument_schema(
                properties[name], required=name in required, whole=schema, ignore=settings.ignore
            )
            wire[plain] = name
        except Inexpressible as reason:
            if name in required:
                raise Inexpressible(f"argument {ascii(name)[:40]}: {reason}") from None
            notes.append(f"the argument {ascii(name)[:40]} cannot be given: {reason}")
    if len(arguments) > MAX_ARGUMENTS:
        raise Inexpressible(f"it has {len(arguments)} arguments, more than {MAX_ARGUMENTS}")
    return arguments, wire


def _properties(schema: Any, ignore: Sequence[str]) -> tuple[Mapping[str, Any], frozenset[str]]:
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise Inexpressible("its input schema is not of type object")
    unknown = sorted(key for key in schema if key not in _TOP and not key.startswith("x-") and key not in ignore)
    if unknown:
        raise Inexpressible(f"{ascii(unknown[0])[:40]} of its arguments cannot be checked")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list) or not all(isinstance(n, str) for n in required):
        raise Inexpressible("its input schema is no JSON Schema")
    absent = sorted(set(required) - set(properties))
    if absent:
        raise Inexpressible(f"it requires {ascii(absent[0])[:40]}, which it does not declare")
    return properties, frozenset(required)


def _results(schema: Any, notes: list[str]) -> dict[str, McpDeclaredResult]:
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) and schema.get("type") == "object" else {}
    results: dict[str, McpDeclaredResult] = {}
    for name, declared in properties.items() if isinstance(properties, Mapping) else ():
        try:
            plain = plain_name(name)
            if plain == OK_RESULT or plain in results:
                raise Inexpressible(f"there is a result {plain} already")
            if len(results) == MAX_RESULTS:
                raise Inexpressible(f"it is one above {MAX_RESULTS} results")
            results[plain] = McpDeclaredResult(property=name, type=result_type(declared, schema))
        except Inexpressible as reason:
            notes.append(f"the result {ascii(name)[:40]} cannot be referred to: {reason}")
    return results


def _skill(
    server: str,
    settings: ServerSettings,
    wanted: ToolSettings,
    definition: Mapping[str, Any],
    arguments: Mapping[str, ArgumentSchema],
    results: Mapping[str, McpDeclaredResult],
) -> SkillSchema:
    safety = _safety(settings, wanted, definition)
    changes = safety != "read_only"
    undo = skill_name(server, wanted.undo) if wanted.undo is not None else NOTHING_TO_UNDO if wanted.idempotent else None
    if not changes and (wanted.idempotent or wanted.undo is not None):
        raise Inexpressible("it is read_only, so drop its idempotent and undo from the configuration")
    if changes and wanted.cache_seconds is not None:
        raise Inexpressible(f"it is {safety}, so that each call counts; drop its cache_seconds from the configuration")
    return SkillSchema.model_validate(
        {
            "summary": f"A tool of the server {server}.",
            "safety": safety,
            "timeout_seconds": wanted.timeout_seconds or settings.timeout_seconds,
            "arguments": dict(arguments),
            "results": {TEXT: {"type": "text"}, **{name: {"type": result.type} for name, result in results.items()}},
            "idempotent": wanted.idempotent,
            "undo": undo,
            "irreversible": changes and undo is None,
            "critical": wanted.critical,
            "confirm": changes if wanted.confirm is None else wanted.confirm,
            "cache_seconds": wanted.cache_seconds,
        }
    )


def _safety(settings: ServerSettings, wanted: ToolSettings, definition: Mapping[str, Any]) -> Safety:
    if wanted.safety is not None:
        return wanted.safety
    hints = definition.get("annotations")
    if settings.believe_hints and isinstance(hints, Mapping) and hints.get("readOnlyHint") is True:
        return "read_only"
    return settings.safety
