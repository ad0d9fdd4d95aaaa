"""The normal form of a plan, in which JSON and text say the same and nothing twice.

- `needs` holds every step that must finish first, those implied by a reference or a condition among them, each once, in
  the order of the plan (unknown ids last).
- arguments come in the order in which the skill declares them (unknown ones last); a value equal to the default is left out.
- a condition is spelled canonically.

What is at fault stays at fault: nothing is repaired or dropped that the checker would report.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.condition import parse_condition
from builderbrain.plan.domain import Domain, Skill
from builderbrain.plan.model import Plan, Reference, Step


def implied_needs(step: Step) -> tuple[str, ...]:
    """Ids that the references and the condition of a step name, in that order, each once."""
    named = [value.step for value in step.args.values() if type(value) is Reference]
    if step.condition is not None:
        with suppress(PlanSyntaxError):  # the checker reports it; a condition that does not parse implies nothing
            named.extend(term.reference.step for term in parse_condition(step.condition).terms)
    return tuple(dict.fromkeys(named))


def normalised(plan: Plan, domain: Domain | None) -> Plan:
    """The plan in normal form.

    Args:
        domain: tables of the plan's domain; None when it is unknown, then arguments stay as they are.
    """
    positions: dict[str, int] = {}
    for position, step in enumerate(plan.steps):
        positions.setdefault(step.id, position)
    steps = tuple(_normal_step(step, positions, domain) for step in plan.steps)
    return Plan(plan.domain, plan.version, steps)


def _normal_step(step: Step, positions: Mapping[str, int], domain: Domain | None) -> Step:
    last = len(positions)
    named = dict.fromkeys((*step.needs, *implied_needs(step)))
    needs = tuple(sorted(named, key=lambda name: positions.get(name, last)))
    skill = domain.skills.get(step.skill) if domain is not None else None
    args = _normal_args(step.args, skill) if skill is not None else step.args
    condition = step.condition
    if condition is not None:
        with suppress(PlanSyntaxError):  # else kept as written, for the checker's message
            condition = str(parse_condition(condition))
    return Step(step.id, step.skill, args, needs, condition)


def _normal_args(args: Mapping[str, Any], skill: Skill) -> dict[str, Any]:
    ordered: dict[str, Any] = {}
    for name, argument in skill.arguments.items():
        if name not in args:
            continue
        value = args[name]
        if argument.default is None or type(value) is not type(argument.default) or value != argument.default:
            ordered[name] = value
    ordered.update((name, value) for name, value in args.items() if name not in skill.arguments)
    return ordered
