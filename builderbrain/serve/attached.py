"""Those that are attached to a server's traffic: a learner, and the watch over the live version. Serving itself trains nothing
and judges nothing; it tells them of every goal that was answered and of every outcome that was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter

from builderbrain.agent.goal import GoalResult
from builderbrain.serve.app import Lifetime


@dataclass(frozen=True, kw_only=True)
class GoalAnswered:
    """A goal of a domain and what became of it.

    Args:
        caller: who asked; a name that tells callers apart, by key or address.
        store: whether the caller lets it be written down.
    """

    goal: str
    result: GoalResult
    caller: str
    domain: str
    store: bool = True


@dataclass(frozen=True, kw_only=True)
class OutcomeTold:
    """How a request turned out. `identifier` is a trace's, or that of the `deferral` in the same reply."""

    identifier: str
    right: bool
    caller: str


class Attached(Protocol):
    """What both bring to a server."""

    @property
    def routers(self) -> Sequence[APIRouter]:
        """Routes to serve."""
        ...

    @property
    def lifetimes(self) -> Sequence[Lifetime]:
        """What runs while the server does."""
        ...


class Learner(Attached, Protocol):
    """Learns from the traffic. `answered` and `told` are called on helper threads."""

    def answered(self, served: GoalAnswered) -> str | None:
        """Hear of a goal; returns the id of its trace, None where none was kept. Never raises."""
        ...

    def told(self, outcome: OutcomeTold) -> str | None:
        """Hear of an outcome; returns the domain of the request, None when it is not known here.

        Raises:
            OutputError: it could not be written down.
        """
        ...


class Watch(Attached, Protocol):
    """Compares the live version with the one before and takes it back when it is worse. `answered` and `told` are called on
    helper threads and never raise."""

    def answered(self, served: GoalAnswered, trace: str | None) -> None:
        """Hear of a goal, and of the id of its trace where one was kept."""
        ...

    def told(self, outcome: OutcomeTold) -> None:
        """Hear of an outcome."""
        ...

    def readings(self, version: str) -> int:
        """Requests of the live version that were compared so far; 0 for any other."""
        ...


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Tells whoever is attached."""

    learner: Learner | None = None
    watch: Watch | None = None

    @property
    def attached(self) -> tuple[Attached, ...]:
        """Those there are."""
        return tuple(one for one in (self.watch, self.learner) if one is not None)

    def answered(self, served: GoalAnswered) -> str | None:
        """A goal was answered; the id of its trace, None where none was kept."""
        trace = self.learner.answered(served) if self.learner is not None and served.store else None
        if self.watch is not None:
            self.watch.answered(served, trace)
        return trace

    def told(self, identifier: str, right: bool, caller: str) -> str | None:
        """An outcome was told; the domain of the request where a learner knows it.

        Raises:
            OutputError: it could not be written down.
        """
        outcome = OutcomeTold(identifier=identifier, right=right, caller=caller)
        if self.watch is not None:
            self.watch.told(outcome)
        return None if self.learner is None else self.learner.told(outcome)
