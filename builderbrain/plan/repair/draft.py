"""A plan while it is repaired: its steps, and which step of the refused plan each of them is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.condition import Condition, parse_condition
from builderbrain.plan.domain import Domain
from builderbrain.plan.graph import STEP_NAMES
from builderbrain.plan.model import Plan, Reference, Step
from builderbrain.plan.normal import implied_needs, normalised

Stage = Literal["arguments", "edges", "equivalent", "branch"]
"""Kinds of change, in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`origins` are the positions in the refused plan of the steps that are left."""

    plan: Plan
    domain: Domain
    origins: tuple[int, ...]

    def with_steps(self, steps: Sequence[Step]) -> Draft:
        """The same steps, changed."""
        return replace(self, plan=normalised(replace(self.plan, steps=tuple(steps)), self.domain))

    def with_step(self, place: int, step: Step) -> Draft:
        """One step changed."""
        steps = list(self.plan.steps)
        steps[place] = step
        return self.with_steps(steps)

    def in_order(self, places: Sequence[int]) -> Draft:
        """The steps at these places in this order, numbered anew; what names a step names it still. Only where `nameable`."""
        steps = self.plan.steps
        names = {steps[place].id: STEP_NAMES[at] for at, place in enumerate(places)}
        renamed = [renamed_step(steps[place], STEP_NAMES[at], names) for at, place in enumerate(places)]
        return replace(self.with_steps(renamed), origins=tuple(self.origins[place] for place in places))

    @property
    def nameable(self) -> bool:
        """Whether every id that is named is that of one step, so that numbering anew changes no meaning."""
        ids = [step.id for step in self.plan.steps]
        return len(set(ids)) == len(ids) and all(name in ids for step in self.plan.steps for name in needed_by(step))

    def only_looks(self, places: Sequence[int]) -> bool:
        """Whether the steps at these places have no effects; those of an unknown skill may have some."""
        skills = self.domain.skills
        return all(
            self.plan.steps[place].skill in skills and skills[self.plan.steps[place].skill].safety == "read_only"
            for place in places
        )

    def followers(self, place: int) -> list[int]:
        """The step at a place and all that wait for it, directly or not."""
        found = {self.plan.steps[place].id}
        grown = True
        while grown:
            more = {step.id for step in self.plan.steps if step.id not in found and found & set(needed_by(step))}
            grown = bool(more)
            found |= more
        return [other for other, step in enumerate(self.plan.steps) if step.id in found]

    def waits_for(self, place: int) -> set[str]:
        """Ids of the steps that a step waits for, directly or not."""
        needs = {step.id: needed_by(step) for step in self.plan.steps}
        reached: set[str] = set()
        waiting = list(needs[self.plan.steps[place].id])
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting.extend(needs.get(name, ()))
        return reached


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that may help: the draft with it, what it does to which step (id before it), in words."""

    stage: Stage
    step: str | None
    said: str
    draft: Draft


Changes = Iterator[Change]


def needed_by(step: Step) -> tuple[str, ...]:
    """Ids that a step waits for."""
    return tuple(dict.fromkeys((*step.needs, *implied_needs(step))))


def renamed_step(step: Step, name: str, names: Mapping[str, str]) -> Step:
    """A step under another id, with the ids that it names changed by a table."""
    args = {
        argument: Reference(names.get(value.step, value.step), value.result) if type(value) is Reference else value
        for argument, value in step.args.items()
    }
    needs = tuple(names.get(need, need) for need in step.needs)
    condition = None if step.condition is None else renamed_condition(step.condition, names)
    return Step(name, step.skill, args, needs, condition)


def renamed_condition(text: str, names: Mapping[str, str]) -> str:
    """A condition with the ids that it names changed; one that does not parse stays."""
    try:
        condition = parse_condition(text)
    except PlanSyntaxError:
        return text
    terms = tuple(
        replace(term, reference=Reference(names.get(term.reference.step, term.reference.step), term.reference.result))
        for term in condition.terms
    )
    return str(Condition(terms, condition.connective))
