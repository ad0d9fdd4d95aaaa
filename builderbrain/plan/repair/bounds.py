"""What repair may never do: make a plan ask for something that the refused plan did not ask for.

Each step that is left is a step of the refused plan: of the same skill or one that the schema calls its equivalent, with no
wider safety level, with every argument that was given as it was given, under the same condition. It waits for everything it
waited for, except where neither it nor what waits for it has effects. What is left out has no effects.
"""

from __future__ import annotations

from builderbrain.plan.domain import SAFETY_LEVELS, Domain
from builderbrain.plan.model import Plan, Reference, Step
from builderbrain.plan.repair.draft import Draft, needed_by, renamed_condition


def not_asked(original: Plan, draft: Draft) -> str | None:
    """Why a draft goes beyond the plan that it came from, or None when it does not."""
    ids = {step.id: original.steps[origin].id for step, origin in zip(draft.plan.steps, draft.origins, strict=True)}
    if len(set(draft.origins)) != len(draft.origins):
        return "a step is there twice"
    for place, (step, origin) in enumerate(zip(draft.plan.steps, draft.origins, strict=True)):
        asked = original.steps[origin]
        problem = _beyond(step, asked, ids, draft.domain)
        if problem is None and not draft.only_looks(draft.followers(place)):
            dropped = set(needed_by(asked)) - {ids.get(name, name) for name in needed_by(step)}
            problem = f"it does not wait for {', '.join(sorted(dropped))} any more" if dropped else None
        if problem is not None:
            return f"{asked.id}: {problem}"
    left = set(draft.origins)
    gone = [step for place, step in enumerate(original.steps) if place not in left]
    acting = next((step for step in gone if _has_effects(step, draft.domain)), None)
    return None if acting is None else f"{acting.id}: it is left out, and may have effects"


def _beyond(step: Step, asked: Step, ids: dict[str, str], domain: Domain) -> str | None:
    skills = domain.skills
    if step.skill != asked.skill:
        if asked.skill not in skills or step.skill not in skills[asked.skill].equivalent:
            return f"{step.skill} is no equivalent of {asked.skill}"
        if SAFETY_LEVELS.index(skills[step.skill].safety) > SAFETY_LEVELS.index(skills[asked.skill].safety):
            return f"{step.skill} is {skills[step.skill].safety}, {asked.skill} is {skills[asked.skill].safety}"
    for name, value in asked.args.items():
        if value is not None and not _same(step.args.get(name), value, ids):
            return f"its argument {name} is another one"
    if (step.condition is None) != (asked.condition is None):
        return "its condition is another one"
    if step.condition is not None and renamed_condition(step.condition, ids) != asked.condition:
        return "its condition is another one"
    return None


def _same(value: object, asked: object, ids: dict[str, str]) -> bool:
    if isinstance(value, Reference):
        return Reference(ids.get(value.step, value.step), value.result) == asked
    return type(value) is type(asked) and value == asked


def _has_effects(step: Step, domain: Domain) -> bool:
    return step.skill not in domain.skills or domain.skills[step.skill].safety != "read_only"
