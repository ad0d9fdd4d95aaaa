"""Subjects that hold no model: what proves the harness (oracle, saboteur) and the floor every model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from builderbrain.errors import SubjectError
from builderbrain.eval.bench import BenchItem
from builderbrain.eval.compare import guess_of_plan, plans_equal
from builderbrain.eval.nearest_text import NearestText
from builderbrain.eval.subject import IntentGuess


class Oracle:
    """Knows the references; scores 1.0 on every suite, or the suite is wrong."""

    name = "oracle"

    def __init__(self, items: Sequence[BenchItem]) -> None:
        self._items = {item.goal: item for item in items}

    def plan(self, goal: str) -> str:
        """The reference plan."""
        return self._items[goal].plan

    def intent(self, goal: str) -> IntentGuess:
        """The reference guess."""
        item = self._items[goal]
        return IntentGuess(
            intent=item.intent,
            first_action=guess_of_plan(item.plan).first_action,
            pattern=item.pattern,
            path=item.path,
            pick=item.pick,
        )


class Saboteur:
    """Gives every goal the reference of another one that wants something else; scores 0, or the suite is lenient.

    The shuffle is a rotation by the least number of places at which no goal meets its own plan or its own guess.
    """

    name = "saboteur"

    def __init__(self, items: Sequence[BenchItem], domain: str = "repo_assistant", version: int | None = None) -> None:
        oracle = Oracle(items)
        guesses = [oracle.intent(item.goal) if item.intent else item.id for item in items]
        for shift in range(1, len(items)):
            rotated = [*range(shift, len(items)), *range(shift)]
            if not any(
                guesses[own] == guesses[other] or plans_equal(items[own].plan, items[other].plan, domain, version)
                for own, other in enumerate(rotated)
            ):
                break
        else:
            raise SubjectError(
                f"expected goals of which no plan fills half or more, got {len(items)} goals that cannot be shuffled wrong",
                field="subject",
            )
        self._swapped = {item.goal: items[other] for item, other in zip(items, rotated, strict=True)}
        self._oracle = oracle

    def plan(self, goal: str) -> str:
        """Another goal's plan."""
        return self._swapped[goal].plan

    def intent(self, goal: str) -> IntentGuess:
        """Another goal's guess."""
        return self._oracle.intent(self._swapped[goal].goal)


class Demonstration(Protocol):
    """A goal somebody planned before; a row of the training data."""

    @property
    def goal(self) -> str:
        """What was asked."""
        ...

    @property
    def plan(self) -> str:
        """The plan in text form."""
        ...


class NearestNeighbour:
    """Copies the plan of the most similar training goal: cosine of TF-IDF word vectors, ties to the earlier row.

    The dumb floor: it understands nothing and binds no slot, yet wins wherever a bench repeats its training data.
    """

    name = "nearest"

    def __init__(self, demonstrations: Sequence[Demonstration]) -> None:
        """Args: demonstrations: the training rows, at least one."""
        self._demonstrations = tuple(demonstrations)
        self._goals = NearestText([row.goal for row in demonstrations])

    def plan(self, goal: str) -> str:
        """The plan of the most similar training goal."""
        return self._demonstrations[self._goals.index(goal)].plan

    def intent(self, goal: str) -> IntentGuess:
        """A reading of the copied plan."""
        return guess_of_plan(self.plan(goal))
