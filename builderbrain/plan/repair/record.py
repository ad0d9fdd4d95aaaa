"""What repair did: every change that was tried, why, and whether it stayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builderbrain.plan.check import CheckedPlan
from builderbrain.plan.faults import Fault, Verdict
from builderbrain.plan.json_form import plan_to_json
from builderbrain.plan.model import Plan
from builderbrain.plan.repair.draft import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One change and the checker's word on it.

    Args:
        round: from 1; one change stays in a round.
        step: id before the change of the step it is about, None for the plan as a whole.
        why: the faults it was made for, those of the step where it has some.
        kept: whether it stayed.
        faults: how many faults the plan had with it; None when the checker was not asked.
        refused: why it did not stay; None when it did.
    """

    round: int
    stage: Stage
    step: str | None
    said: str
    why: str
    kept: bool
    faults: int | None
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For a reply."""
        return {
            "round": self.round,
            "stage": self.stage,
            "step": self.step,
            "said": self.said,
            "why": self.why,
            "kept": self.kept,
            "faults": self.faults,
            "refused": self.refused,
        }


@dataclass(frozen=True, kw_only=True)
class Repair:
    """The outcome: an accepted plan, or an honest refusal.

    Args:
        checked: the plan as the executor takes it; None when it was not repaired.
        plan: the plan with all changes that stayed; None when it could not be read.
        verdict: the checker's word on `plan`.
        before: its word on the plan as it came.
        tried: every change, in order.
        origins: for each step of `plan` its position in the refused plan.
        ended: why nothing more was tried, in words.
    """

    checked: CheckedPlan | None
    plan: Plan | None
    verdict: Verdict
    before: tuple[Fault, ...]
    tried: tuple[Tried, ...]
    origins: tuple[int, ...]
    ended: str

    @property
    def accepted(self) -> bool:
        """Whether the checker accepts the plan now."""
        return self.checked is not None

    @property
    def changes(self) -> tuple[Tried, ...]:
        """The changes that stayed."""
        return tuple(one for one in self.tried if one.kept)

    def to_json(self) -> dict[str, Any]:
        """For a reply: what was changed and why, what else was tried, and the checker's word."""
        return {
            "accepted": self.accepted,
            "plan": None if self.plan is None else plan_to_json(self.plan),
            "verdict": self.verdict.to_json(),
            "before": [fault.to_json() for fault in self.before],
            "tried": [one.to_json() for one in self.tried],
            "ended": self.ended,
        }
