"""A request while it is made: the clauses so far, their plan, and the words of the values in the clause that is being made."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from builderbrain.train.goal import Goal
from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.draft import Draft
from builderbrain.train.spoken.goal import spoken_goal
from builderbrain.train.spoken.marks import mark
from builderbrain.train.spoken.templates import Templates


class Scene:
    """What the domains' own scenes go on from.

    Args:
        domain: of the plan.
        tables: wordings by kind of clause.
        slots: of the values that the heads of a rail point at.
        subjects: who may be told to do it.
        rng: of all draws.
        version: of the domain.
    """

    def __init__(
        self,
        domain: str,
        *,
        tables: Mapping[str, Templates],
        slots: Sequence[str],
        subjects: Sequence[str],
        rng: random.Random,
        version: int = 1,
    ) -> None:
        self.draft, self.rng = Draft(domain, version), rng
        self.clauses: list[Clause] = []
        self.words: dict[str, str] = {}
        self._tables, self._slots, self._subjects = tables, tuple(slots), subjects

    def begin(self, *, parallel: bool = False) -> None:
        """Begin a clause; no value of it has been said."""
        self.draft.begin(parallel=parallel)
        self.words = {}

    def value(self, slot: str, value: object) -> str:
        """The value as it stands in the text, marked when the heads point at it."""
        return mark(str(value), self._slots.index(slot)) if slot in self._slots else str(value)

    def quoted(self, slot: str, text: str) -> str:
        """The text in quotes that it does not hold itself, marked likewise."""
        quote = "'" if "'" not in text and self.rng.random() < 0.3 else '"'
        return f"{quote}{self.value(slot, text)}{quote}"

    def say(self, kind: str, *, parallel: bool = False, front: str = "", fillers: Mapping[str, str] | None = None) -> None:
        """Add the clause in words, behind what is said at its `front`, which takes no courtesy."""
        text, command = self._tables[kind].say(self.rng, self.words, fillers)
        self.clauses.append(Clause(kind=kind, text=front + text, command=command and not front, parallel=parallel))

    def goal(self) -> Goal:
        """What was asked for."""
        return spoken_goal(self.clauses, self.draft, self._slots, self.rng, subjects=self._subjects)
