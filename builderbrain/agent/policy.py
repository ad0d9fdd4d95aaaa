"""Allow, confirm or block: decided for every step of a checked plan before any of them runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from builderbrain.errors import NotConfirmedError, PolicyError
from builderbrain.plan import CheckedPlan, Reference, Step

Decision = Literal["allow", "confirm", "block"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What this deployment adds to the schema.

    Args:
        blocked: skills that never run here.
        confirmed: skills that a person must agree to, beside those whose schema says `confirm: true`.
        confirmed_levels: safety levels whose every step a person must agree to.
    """

    blocked: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    confirmed_levels: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class StepDecision:
    """The decision for one step and why."""

    step: str
    skill: str
    decision: Decision
    reason: str


@dataclass(frozen=True, kw_only=True)
class ConfirmationRequest:
    """What a person is asked: the steps that need a yes, with their arguments; a reference stands as `${s1.text}`."""

    execution: str
    steps: tuple[StepDecision, ...]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Confirm = Callable[[ConfirmationRequest], Awaitable[bool]]
"""Asks a person about a whole plan; True is yes. May take as long as people take."""


def decide(checked: CheckedPlan, policy: Policy) -> tuple[StepDecision, ...]:
    """The decision for every step, in the order of the plan. The strictest reason wins."""
    return tuple(_decide(step, checked, policy) for step in checked.plan.steps)


def _decide(step: Step, checked: CheckedPlan, policy: Policy) -> StepDecision:
    skill = checked.domain.skills[step.skill]

    def made(decision: Decision, reason: str) -> StepDecision:
        return StepDecision(step=step.id, skill=step.skill, decision=decision, reason=reason)

    if skill.safety not in checked.granted:
        return made("block", f"{step.skill} is {skill.safety}, which is not granted")
    if step.skill in policy.blocked:
        return made("block", f"{step.skill} is blocked here")
    if skill.confirm:
        return made("confirm", f"the schema of {checked.domain.name} asks for a person's yes before {step.skill}")
    if step.skill in policy.confirmed:
        return made("confirm", f"{step.skill} needs a person's yes here")
    if skill.safety in policy.confirmed_levels:
        return made("confirm", f"every {skill.safety} step needs a person's yes here")
    return made("allow", f"{skill.safety} is granted")


def refuse_blocked(decisions: tuple[StepDecision, ...]) -> None:
    """Refuse a plan with a blocked step.

    Raises:
        PolicyError: names the first blocked step and why.
    """
    blocked = [one for one in decisions if one.decision == "block"]
    if blocked:
        raise PolicyError(f"nothing was run: {blocked[0].step}: {blocked[0].reason}; leave the step out", field=blocked[0].step)


async def ask(checked: CheckedPlan, decisions: tuple[StepDecision, ...], execution: str, confirm: Confirm | None) -> bool:
    """Ask for what needs a yes. Returns whether a person was asked.

    Raises:
        NotConfirmedError: the answer was no, or nobody can answer here.
    """
    wanted = tuple(one for one in decisions if one.decision == "confirm")
    if not wanted:
        return False
    named = ", ".join(f"{one.step} ({one.skill})" for one in wanted)
    if confirm is None:
        raise NotConfirmedError(
            f"nothing was run: {named} needs a person's yes, and nobody can answer here; run the plan where one can",
            field=wanted[0].step,
        )
    arguments = {one.step: planned_arguments(step) for one in wanted for step in checked.plan.steps if step.id == one.step}
    if await confirm(ConfirmationRequest(execution=execution, steps=wanted, arguments=arguments)) is not True:
        raise NotConfirmedError(f"nothing was run: the answer about {named} was not yes", field=wanted[0].step)
    return True


def planned_arguments(step: Step) -> dict[str, Any]:
    """Arguments as planned, references as `${s1.text}`, lists as lists."""
    shown: dict[str, Any] = {}
    for name, value in step.args.items():
        shown[name] = f"${{{value}}}" if isinstance(value, Reference) else list(value) if isinstance(value, tuple) else value
    return shown
