"""A second checker, written from the rules and the schema file alone, slow and blunt: does a plan in JSON deserve acceptance?

It shares no code with `builderbrain.plan` but the schema loader and the judgement of path spellings. What steps do to one
another it finds by trying every run (`naive_runs.py`).
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from builderbrain.plan.paths import path_fault
from builderbrain.plan.schema import ArgumentSchema, DomainSchema

REFERENCE = re.compile(r"\$\{([A-Za-z_]\w{0,63})\.([a-z][a-z0-9_]{0,63})\}", re.ASCII)
BARE = re.compile(r"(not )?(s[1-9]\d*)\.(\w+)", re.ASCII)
COMPARED = re.compile(r'(s[1-9]\d*)\.(\w+) (==|!=|<|<=|>|>=) (0|-?[1-9]\d{0,17}|-0|"[^"\\\x00-\x1f]*")', re.ASCII)
PYTHON = {"string": str, "text": str, "path": str, "integer": int, "boolean": bool}
Edges = list[tuple[str, str, str]]


def accepts(schema: DomainSchema, plan: Any) -> bool:
    """Every rule but those about effects; those are `naive_runs.effect_faults`, for a plan that passes these."""
    return edges_of(schema, plan) is not None


def edges_of(schema: DomainSchema, plan: Any) -> Edges | None:
    """(needed, needing, kind) of a plan without a fault, None for any other."""
    if not isinstance(plan, dict) or set(plan) != {"domain", "version", "steps"}:
        return None
    if plan["domain"] != schema.domain or type(plan["version"]) is not int or plan["version"] != schema.version:
        return None
    steps = plan["steps"]
    if not isinstance(steps, list) or not 1 <= len(steps) <= schema.limits.max_steps:
        return None
    if not all(step_shape(step) and step["id"] == f"s{number}" for number, step in enumerate(steps, start=1)):
        return None
    if any(step["skill"] not in schema.skills for step in steps):
        return None
    edges: Edges = []
    for step in steps:
        found = step_edges(schema, steps, step)
        if found is None:
            return None
        edges += found
    skill_of = {step["id"]: step["skill"] for step in steps}
    for needed, needing, kind in edges:
        if needed not in skill_of or int(needed[1:]) >= int(needing[1:]):
            return None
        if (skill_of[needed], skill_of[needing]) not in schema.legal_edges(kind):
            return None
    levels = levels_of(steps, edges)
    width = max(len(list(group)) for _, group in itertools.groupby(sorted(levels.values())))
    return edges if max(levels.values()) <= schema.limits.max_depth and width <= schema.limits.max_width else None


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


def step_edges(schema: DomainSchema, steps: list[Any], step: Any) -> Edges | None:
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
        if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
            match = REFERENCE.fullmatch(value)
            if match is None or result_type(schema, steps, match[1], match[2]) != declared.type:
                return None
            data.add(match[1])
        elif not literal_fits(declared, value):
            return None
    asked = condition_steps(schema, steps, step.get("if"))
    if asked is None:
        return None
    return [
        *((needed, step["id"], "data") for needed in data),
        *((needed, step["id"], "condition") for needed in asked),
        *((needed, step["id"], "sequence") for needed in step.get("needs", []) if needed not in data | asked),
    ]


def literal_fits(declared: ArgumentSchema, value: Any) -> bool:
    if declared.reference_only:
        return False
    if declared.type.startswith("list of "):
        kind = declared.type.removeprefix("list of ")
        return isinstance(value, list) and all(scalar_fits(kind, item) for item in value)
    if not scalar_fits(declared.type, value):
        return False
    if isinstance(value, str):
        if re.fullmatch(r"\$+\{.*\}", value, re.DOTALL):
            value = value[1:]
        if not (declared.min_length or 0) <= len(value) <= (declared.max_length or 10**9):
            return False
        if declared.one_of is not None and value not in declared.one_of:
            return False
    if declared.minimum is not None and value < declared.minimum:
        return False
    return not (declared.maximum is not None and value > declared.maximum)


def scalar_fits(kind: str, value: Any) -> bool:
    if kind == "number":
        return type(value) in (int, float)
    if type(value) is not PYTHON[kind]:
        return False
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            return False
        if kind == "path" and path_fault(value[1:] if re.fullmatch(r"\$+\{.*\}", value, re.DOTALL) else value) is not None:
            return False
    return True


def terms_of(text: str) -> tuple[str, list[tuple[str, str, str, Any]]] | None:
    """`and` or `or`, and for each term: step, result, operator (`is`, `not`, or a comparison), literal."""
    if len(text) > 512:
        return None
    word = "or" if " or " in text else "and"
    terms: list[tuple[str, str, str, Any]] = []
    for term in text.split(f" {word} "):
        if match := BARE.fullmatch(term):
            terms.append((match[2], match[3], "not" if match[1] else "is", None))
        elif match := COMPARED.fullmatch(term):
            terms.append((match[1], match[2], match[3], json.loads(match[4])))
        else:
            return None
    return (word, terms) if len(terms) <= 8 else None


def condition_steps(schema: DomainSchema, steps: list[Any], text: str | None) -> set[str] | None:
    if text is None:
        return set()
    parsed = terms_of(text)
    if parsed is None:
        return None
    for step, result, operator, literal in parsed[1]:
        kind = result_type(schema, steps, step, result)
        if operator in ("is", "not"):
            fits = kind == "boolean"
        elif isinstance(literal, str):
            fits = kind in ("path", "string") and operator in ("==", "!=")
        else:
            fits = kind in ("integer", "number")
        if not fits:
            return None
    return {step for step, _, _, _ in parsed[1]}


def result_type(schema: DomainSchema, steps: list[Any], step: str, result: str) -> str | None:
    skill = next((other["skill"] for other in steps if other["id"] == step), None)
    if skill is None:
        return None
    if result == "ok":
        return "boolean"
    declared = schema.skills[skill].results.get(result)
    return declared.type if declared is not None else None


def levels_of(steps: list[Any], edges: Edges) -> dict[str, int]:
    levels: dict[str, int] = {}
    for step in steps:
        levels[step["id"]] = 1 + max((levels[needed] for needed, needing, _ in edges if needing == step["id"]), default=0)
    return levels
