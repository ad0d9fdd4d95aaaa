"""The JSON form of a plan, the canonical one.

A string value `"${s1.first_path}"` is a reference. A literal that would read as one is written with one more dollar
(`"$${s1.first_path}"`), so that every string can be said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.faults import Fault, shown
from builderbrain.plan.model import Plan, Reference, Step
from builderbrain.plan.normal import normalised

MAX_PLAN_CHARACTERS = 256 * 1024
MAX_READ_STEPS = 256
"""Over this many steps a plan is refused without reading the steps."""
UNREAD_SKILL = ""
"""Stands in for a skill that was not a string; its `malformed` fault is already there."""

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,63})\.([a-z][a-z0-9_]{0,63})\}").fullmatch
_ESCAPED = re.compile(r"\$+\{.*\}", re.DOTALL).fullmatch
_PLAN_KEYS = ("domain", "version", "steps")
_STEP_KEYS = ("id", "skill", "args", "needs", "if")


def plan_from_json(source: str | bytes | Mapping[str, Any]) -> Plan:
    """A plan in normal form from JSON text or decoded JSON. The plan need not pass the checker.

    Raises:
        PlanSyntaxError: not JSON (duplicate keys and NaN are not), or not of the shape of a plan; `field` is a JSON pointer.
    """
    plan, faults = read_plan(load_json(source) if isinstance(source, str | bytes) else source)
    if plan is None or faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise PlanSyntaxError(f"{faults[0].message}; {faults[0].remedy}{more}", field=faults[0].message.split(" ", 1)[0])
    return plan


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Decoded canonical JSON of a plan; keys in a fixed order, empty `needs` and absent `if` left out."""
    return {"domain": plan.domain, "version": plan.version, "steps": [_step_to_json(step) for step in plan.steps]}


def _step_to_json(step: Step) -> dict[str, Any]:
    written: dict[str, Any] = {"id": step.id, "skill": step.skill}
    written["args"] = {name: _value_to_json(value) for name, value in step.args.items()}
    if step.needs:
        written["needs"] = list(step.needs)
    if step.condition is not None:
        written["if"] = step.condition
    return written


def _value_to_json(value: Any) -> Any:
    if type(value) is Reference:
        return f"${{{value}}}"
    if isinstance(value, str):
        return f"${value}" if _ESCAPED(value) else value
    return list(value) if isinstance(value, tuple) else value


def load_json(source: str | bytes) -> Any:
    """Strict JSON: UTF-8, no duplicate key, no NaN or Infinity, bounded in size.

    Raises:
        PlanSyntaxError: with the line and column.
    """
    if len(source) > MAX_PLAN_CHARACTERS:
        raise PlanSyntaxError(f"a plan has at most {MAX_PLAN_CHARACTERS} characters, got {len(source)}; split it", field="")
    try:
        text = source.decode("utf-8") if isinstance(source, bytes) else source
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise PlanSyntaxError(
            "a plan is nested at most 4 deep, this text is nested thousands deep; flatten it", field=""
        ) from None
    except ValueError as error:
        raise PlanSyntaxError(f"expected a plan in JSON, got text that is not JSON: {error}", field="") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice; keep one")
    return decoded


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def read_plan(source: object) -> tuple[Plan | None, list[Fault]]:
    """Read decoded JSON as far as it goes.

    Returns:
        the plan in normal form, or None when there is nothing to check, and one `malformed` or `bad_reference` fault
        for everything that is not of the shape of a plan; each message starts with a JSON pointer.
    """
    from builderbrain.plan.registry import find_domain  # the tables import this package's model

    faults: list[Fault] = []
    if not isinstance(source, Mapping):
        faults.append(_malformed("/", "must be an object", source, f"write {{{', '.join(_PLAN_KEYS)}}}"))
        return None, faults
    _unknown_keys("", source, _PLAN_KEYS, None, faults)
    domain, version, steps = source.get("domain"), source.get("version"), source.get("steps")
    if not isinstance(domain, str):
        faults.append(_malformed("/domain", "must be the name of a domain", domain, 'write "domain": "repo_assistant"'))
    if type(version) is not int:
        faults.append(_malformed("/version", "must be a whole number", version, 'write "version": 1'))
    if not isinstance(steps, list | tuple):
        faults.append(_malformed("/steps", "must be a list of steps", steps, 'write "steps": [{"id": "s1", ...}]'))
    elif len(steps) > MAX_READ_STEPS:
        message = f"/steps has {len(steps)} steps, more than any domain allows"
        faults.append(Fault("too_many_steps", None, message, f"give at most {MAX_READ_STEPS}; the domain's own limit is lower"))
    if not isinstance(domain, str) or type(version) is not int or not isinstance(steps, list | tuple):
        return None, faults
    if len(steps) > MAX_READ_STEPS:
        return None, faults
    read = [_read_step(step, position, faults) for position, step in enumerate(steps)]
    plan = Plan(domain, version, tuple(read))
    return normalised(plan, find_domain(domain, version)), faults


def _read_step(source: object, position: int, faults: list[Fault]) -> Step:
    pointer = f"/steps/{position}"
    if not isinstance(source, Mapping):
        faults.append(
            _malformed(pointer, "must be an object", source, "write {id, skill, args, needs, if}", f"s{position + 1}")
        )
        return Step(f"s{position + 1}", UNREAD_SKILL)
    name = source.get("id")
    step = name if isinstance(name, str) else f"s{position + 1}"
    _unknown_keys(pointer, source, _STEP_KEYS, step, faults)
    if not isinstance(name, str):
        faults.append(_malformed(f"{pointer}/id", "must be a string", name, f'write "id": "s{position + 1}"', step))
    skill, args, needs, condition = source.get("skill"), source.get("args", {}), source.get("needs", ()), source.get("if")
    if not isinstance(skill, str):
        faults.append(_malformed(f"{pointer}/skill", "must be the name of a skill", skill, "write it as a string", step))
        skill = UNREAD_SKILL
    if not isinstance(args, Mapping):
        faults.append(_malformed(f"{pointer}/args", "must be an object", args, "write arguments by name", step))
        args = {}
    if not isinstance(needs, list | tuple) or not all(isinstance(need, str) for need in needs):
        faults.append(_malformed(f"{pointer}/needs", "must be a list of step ids", needs, 'write "needs": ["s1"]', step))
        needs = ()
    if condition is not None and not isinstance(condition, str):
        faults.append(_malformed(f"{pointer}/if", "must be a string", condition, 'write "if": "s1.ok"', step))
        condition = None
    read = {str(key): _read_value(value, f"{pointer}/args/{key}", step, faults) for key, value in args.items()}
    return Step(step, skill, read, tuple(needs), condition)


def _read_value(value: object, pointer: str, step: str, faults: list[Fault]) -> object:
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str):
        return value
    if value.startswith("${") and value.endswith("}"):
        match = _REFERENCE(value)
        if match is not None:
            return Reference(match[1], match[2])
        message = f"{pointer} {shown(value)} is not a reference"
        faults.append(Fault("bad_reference", step, message, 'write "${s1.first_path}", or "$${...}" for the literal text'))
        return value
    return value[1:] if _ESCAPED(value) else value


def _unknown_keys(
    pointer: str, source: Mapping[Any, Any], legal: tuple[str, ...], step: str | None, faults: list[Fault]
) -> None:
    for key in source:
        if key not in legal:
            faults.append(_malformed(f"{pointer}/{key}", "is not a known key", source[key], f"use {', '.join(legal)}", step))


def _malformed(pointer: str, problem: str, got: object, remedy: str, step: str | None = None) -> Fault:
    return Fault("malformed", step, f"{pointer} {problem}, got {shown(got)}", remedy)
