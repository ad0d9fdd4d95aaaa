"""Whole steps: a skill is replaced by one that the schema calls its equivalent; optional branches are left out.

A branch is a step with an `if` and all that waits for it. It is optional where it only looks: a branch with effects may be the
one that makes the others safe.
"""

from __future__ import annotations

from collections.abc import Set

from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Step
from builderbrain.plan.repair.draft import Change, Changes, Draft

_OF_THE_SKILL = frozenset(
    {
        "illegal_edge",
        "safety_not_granted",
        "precondition",
        "lock_conflict",
        "over_budget",
        "irreversible_order",
        "missing_argument",
    }
)
"""Faults that another skill in the same place may not have."""


def equivalents(draft: Draft, faults: tuple[Fault, ...]) -> Changes:
    """Ways to replace the skill of a step at fault; of every step where the plan as a whole is."""
    at_fault = {fault.step for fault in faults if fault.code in _OF_THE_SKILL}
    for place, step in enumerate(draft.plan.steps):
        skill = draft.domain.skills.get(step.skill)
        if skill is None or not at_fault & {step.id, None}:
            continue
        for other in skill.equivalent:
            if set(step.args) <= set(draft.domain.skills[other].arguments):
                said = f"{step.id} calls {other}, which the schema of {draft.domain.name} calls equivalent to {step.skill}"
                changed = draft.with_step(place, Step(step.id, other, step.args, step.needs, step.condition))
                yield Change(stage="equivalent", step=step.id, said=said, draft=changed)


def dropped_branches(draft: Draft, faults: tuple[Fault, ...]) -> Changes:
    """Ways to leave out a branch that a fault lies in; any where the plan as a whole is at fault."""
    steps = draft.plan.steps
    if not draft.nameable:
        return
    at_fault: Set[str | None] = {fault.step for fault in faults}
    for place, step in enumerate(steps):
        if step.condition is None:
            continue
        branch = draft.followers(place)
        concerned = None in at_fault or any(steps[other].id in at_fault for other in branch)
        if concerned and len(branch) < len(steps) and draft.only_looks(branch):
            left = [other for other in range(len(steps)) if other not in branch]
            named = ", ".join(f"{steps[other].id} ({steps[other].skill})" for other in branch)
            said = f"the optional branch {named} is left out"
            yield Change(stage="branch", step=step.id, said=said, draft=draft.in_order(left))
