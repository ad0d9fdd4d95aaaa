"""What a suite evaluates: anything that turns a goal into a plan and a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class IntentGuess:
    """What a subject understood of a goal before it planned: policy heads, or a reading of its plan.

    `first_action` is a skill name. A slot the goal does not have is None; `pick` is `first`, `last` or None.
    """

    intent: str
    first_action: str
    pattern: str | None
    path: str | None
    pick: str | None


class PlanSubject(Protocol):
    """A subject answers every goal by itself; nothing is carried from one goal to the next."""

    name: str

    def plan(self, goal: str) -> str:
        """The plan in text form, as it was decoded. May be cut off or wrong, the suite decides."""
        ...

    def intent(self, goal: str) -> IntentGuess:
        """The guess about the goal."""
        ...
