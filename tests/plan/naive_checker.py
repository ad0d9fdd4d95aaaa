"""A second checker, written from the rules and the schema file alone, slow and blunt: does a plan in JSON deserve acceptance?

It shares no code with `builderbrain.plan` but the schema loader and the judgement of path spellings.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from builderbrain.plan.paths import path_fault
from builderbrain.plan.schema import DomainSchema

REFERENCE = re.compile(r"\$\{([A-Za-z_]\w{0,63})\.([a-z][a-z0-9_]{0,63})\}", re.ASCII)
BARE = re.compile(r"(not )?(s[1-9]\d*)\.(\w+)", re.ASCII)
COMPARED = re.compile(r'(s[1-9]\d*)\.(\w+) (==|!=|<|<=|>|>=) (0|-?[1-9]\d{0,17}|-0|"[^"\\\x00-\x1f]*")', re.ASCII)


def accepts(schema: DomainSchema, plan: Any) -> bool:
    if not isinstance(plan, dict) or set(plan) != {"domain", "version", "steps"}:
        return False
    if plan["domain"] != schema.domain or type(plan["version"]) is not int or plan["version"] != schema.version:
        return False
    steps = plan["steps"]
    if not isinstance(steps, list) or not 1 <= len(steps) <= schema.limits.max_steps:
        return False
    if not all(step_shape(step) and step["id"] == f"s{number}" for number, step in enumerate(steps, start=1)):
        return False
    if any(step["skill"] not in schema.skills for step in steps):
        return False
    edges: list[tuple[str, str, str]] = []
    for step in steps:
        found = step_edges(schema, steps, step)
        if found is None:
            return False
        edges += found
    skill_of = {step["id"]: step["skill"] for step in steps}
    for needed, needing, kind in edges:
        if needed not in skill_of or int(needed[1:]) >= int(needing[1:]):
            return False
        if (skill_of[needed], skill_of[needing]) not in schema.legal_edges(kind):
            return False
    levels = levels_of(steps, edges)
    width = max(len(list(group)) for _, group in itertools.groupby(sorted(levels.values())))
    return max(levels.values()) <= schema.limits.max_depth and width <= schema.limits.max_width


def step_shape(step: Any) -> bool:
    return (
        isinstance(step, dict)
        and set(step) <= {"id", "skill", "args", "needs", "if"}
        and isinstance(step.get("id"), str)
        and isinstance(step.get("skill"), str)
        and isinstance(step.get("args", {}), dict)
        and isinstance(step.get("needs", []), list)
        and all(isinstance(need, str) for need in step.get("needs", []))
        and (step.get("if") is None or isinstance(step["if"], str))
    )


def step_edges(schema: DomainSchema, steps: list[Any], step: Any) -> list[tuple[str, str, str]] | None:
    """Edges into a step, or None when its arguments or its condition are at fault."""
    skill, args = schema.skills[step["skill"]], step.get("args", {})
    if set(args) - set(skill.arguments):
        return None
    data: set[str] = set()
    for name, declared in skill.arguments.items():
        if name not in args:
            if declared.required:
                return None
            continue
        value = args[name]
        if not isinstance(value, str):
            return None  # this domain has strings, texts and paths only
        if value.startswith("${") and value.endswith("}"):
            match = REFERENCE.fullmatch(value)
            if match is None or result_type(schema, steps, match[1], match[2]) != declared.type:
                return None
            data.add(match[1])
            continue
        if re.fullmatch(r"\$+\{.*\}", value, re.DOTALL):
            value = value[1:]
        if not (declared.min_length or 0) <= len(value) <= (declared.max_length or 10**9):
            return None
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            return None
        if declared.type == "path" and path_fault(value) is not None:
            return None
    asked = condition_steps(schema, steps, step.get("if"))
    if asked is None:
        return None
    return [
        *((needed, step["id"], "data") for needed in data),
        *((needed, step["id"], "condition") for needed in asked),
        *((needed, step["id"], "sequence") for needed in step.get("needs", []) if needed not in data | asked),
    ]


def condition_steps(schema: DomainSchema, steps: list[Any], text: str | None) -> set[str] | None:
    if text is None:
        return set()
    if len(text) > 512:
        return None
    terms = text.split(" and ") if " or " not in text else text.split(" or ")
    if len(terms) > 8:
        return None
    asked = set()
    for term in terms:
        if match := BARE.fullmatch(term):
            asked.add(match[2])
            if result_type(schema, steps, match[2], match[3]) != "boolean":
                return None
        elif match := COMPARED.fullmatch(term):
            asked.add(match[1])
            kind = result_type(schema, steps, match[1], match[2])
            string = match[4].startswith('"')
            if not ((kind == "integer" and not string) or (kind == "path" and string and match[3] in ("==", "!="))):
                return None
        else:
            return None
    return asked


def result_type(schema: DomainSchema, steps: list[Any], step: str, result: str) -> str | None:
    skill = next((other["skill"] for other in steps if other["id"] == step), None)
    if skill is None:
        return None
    if result == "ok":
        return "boolean"
    declared = schema.skills[skill].results.get(result)
    return declared.type if declared is not None else None


def levels_of(steps: list[Any], edges: list[tuple[str, str, str]]) -> dict[str, int]:
    levels: dict[str, int] = {}
    for step in steps:
        levels[step["id"]] = 1 + max((levels[needed] for needed, needing, _ in edges if needing == step["id"]), default=0)
    return levels
