"""A plan while its goal is put together: which step waits for which.

A clause's first step waits for the last steps of the clause before it. A parallel clause waits for what that clause waited for,
and whatever comes next waits for both. Within a clause each step waits for the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builderbrain.plan import Plan, Reference, Step, print_text


class Draft:
    """Steps of a plan of a version of `domain`, numbered s1, s2, ... as they are added."""

    def __init__(self, domain: str, version: int = 1) -> None:
        self.domain, self.version = domain, version
        self.steps: list[Step] = []
        self.parts: list[int] = []
        """Per step the number of the clause that it was added in, from 0."""
        self._clause = -1
        self._before: tuple[str, ...] = ()
        self._last: tuple[str, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._previous: tuple[str, ...] = ()

    def begin(self, *, parallel: bool = False) -> None:
        """Begin a clause."""
        self._clause += 1
        if parallel:
            self._kept = self._last
        else:
            self._kept, self._before = (), self._last
        self._previous = self._before

    def step(self, skill: str, *, condition: str | None = None, needs: Sequence[str] | None = None, **arguments: Any) -> str:
        """Add a step and return its id; `needs` in place of the step before it in the clause."""
        identifier = f"s{len(self.steps) + 1}"
        waits = self._previous if needs is None else tuple(needs)
        self.steps.append(Step(identifier, skill, arguments, waits, condition))
        self.parts.append(self._clause)
        self._previous = (identifier,)
        self._last = (*self._kept, identifier)
        return identifier

    def branch(self, step: str | None = None) -> None:
        """What comes next in the clause waits, like its first step, for the clause before, or for a step of the plan."""
        self._kept = self._last
        self._previous = self._before if step is None or step in self._before else (step,)

    def first(self, skill: str) -> str | None:
        """Id of the first step of a skill, None without one."""
        return next((step.id for step in self.steps if step.skill == skill), None)

    def text(self) -> str:
        """The plan's text form."""
        return print_text(Plan(self.domain, self.version, tuple(self.steps)))


def result(step: str, name: str) -> Reference:
    """A step's result as an argument."""
    return Reference(step, name)
