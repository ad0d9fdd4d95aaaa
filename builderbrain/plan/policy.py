"""What may become of a plan before any of its steps runs: it is allowed, waits for a person's yes, or is blocked."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from builderbrain.plan.check import READ_ONLY, check
from builderbrain.plan.faults import quoted
from builderbrain.plan.model import Plan

Decision = Literal["allow", "confirm", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`steps` are the ids that the decision is about: those at fault, or those to confirm; `reason` is one sentence."""

    decision: Decision
    steps: tuple[str, ...]
    reason: str


def decide(plan: Plan, *, granted: Set[str] = READ_ONLY) -> Policy:
    """Judge a plan by its domain's schema and the levels that are granted.

    A plan with a fault, a level that is not granted among them, is blocked; one with a step whose skill says `confirm`
    waits for a person; any other is allowed.
    """
    verdict = check(plan, granted=granted)
    if verdict.faults:
        steps = tuple(dict.fromkeys(fault.step for fault in verdict.faults if fault.step is not None))
        return Policy(decision="block", steps=steps, reason=str(verdict.faults[0]))
    if verdict.confirm:
        skills = dict.fromkeys(step.skill for step in plan.steps if step.id in verdict.confirm)
        return Policy(
            decision="confirm", steps=verdict.confirm, reason=f"a person confirms {quoted(skills)} before the plan runs"
        )
    return Policy(decision="allow", steps=(), reason="every level is granted and no step asks for a person")
