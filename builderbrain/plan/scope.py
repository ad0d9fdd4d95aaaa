"""What a step may refer to while a plan is checked: the other steps, and the types of their results."""

from __future__ import annotations

from collections.abc import Mapping

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Domain
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step

ABSENT = object()
"""What the generated checks read for an argument that is not there."""


class Scope:
    """The steps of one plan by id, and the edges found so far. Used by one check, then dropped.

    `data` collects the ids that the arguments of the current step refer to; the graph check takes and clears it.
    `results` are the result types by step id, empty for a step whose skill is unknown.
    """

    __slots__ = ("data", "domain", "results", "steps")

    def __init__(self, domain: Domain, steps: Mapping[str, Step]) -> None:
        self.domain = domain
        self.steps = steps
        skills = domain.skills
        self.results = {name: skills[step.skill].results if step.skill in skills else {} for name, step in steps.items()}
        self.data: list[str] = []

    def reference(self, step: Step, name: str, wanted: str, value: Reference, faults: list[Fault]) -> None:
        """Check a reference in the argument `name` of `step`, whose type is `wanted`, and note its edge."""
        results = self.results.get(value.step)
        if results is not None and results.get(value.result) == wanted:
            self.data.append(value.step)
            return
        kind = self.result_type(step, name, value, faults)
        if kind is not None:
            self.data.append(value.step)
            legal = [f"{value.step}.{result}" for result, other in self.results[value.step].items() if other == wanted]
            faults.append(fault.ill_typed_reference(step.id, name, value, wanted, kind, legal))

    def result_type(self, step: Step, where: str, value: Reference, faults: list[Fault]) -> str | None:
        """Type of a referred result; None when there is none, then the fault is noted."""
        results = self.results.get(value.step)
        if results is None:
            others = [name for name in self.steps if name != step.id]
            faults.append(fault.dangling_reference(step.id, where, value, others))
            return None
        kind = results.get(value.result)
        if kind is None and results:  # without results the other step has its own fault, an unknown skill
            faults.append(fault.unknown_result(step.id, where, value, self.steps[value.step].skill, results))
        return kind
