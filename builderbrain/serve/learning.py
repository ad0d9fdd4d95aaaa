"""What a server offers to something that learns from its traffic, and what it tells it. Serving itself trains nothing.

A learner is attached by whoever starts the server (`compose`, `learner=`). It hears of every goal that was answered and of
every outcome that was told, brings routes and things that run beside the server, and works on the engine's thread through
`LearningSite.background` alone. `--learn` finds it as the installed entry point `builderbrain.learner`, since this room may
not import what trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from fastapi import APIRouter

from builderbrain.agent.goal import GoalResult
from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.serve.app import Lifetime
from builderbrain.serve.background import Background
from builderbrain.serve.live import LiveFollower
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings
from builderbrain.serve.version_store import VersionStore

ENTRY_POINTS = "builderbrain.learner"


@dataclass(frozen=True, kw_only=True)
class GoalAnswered:
    """A goal, what became of it, and who asked: a name that tells callers apart, by key or address."""

    goal: str
    result: GoalResult
    caller: str


@dataclass(frozen=True, kw_only=True)
class OutcomeTold:
    """How a request turned out. `identifier` is a trace's, or that of the `deferral` in the same reply."""

    identifier: str
    right: bool
    caller: str


class Learner(Protocol):
    """Something that learns from a server's traffic. `answered` and `told` are called on helper threads."""

    @property
    def routers(self) -> Sequence[APIRouter]:
        """Routes to serve."""
        ...

    @property
    def lifetimes(self) -> Sequence[Lifetime]:
        """What runs while the server does."""
        ...

    def answered(self, served: GoalAnswered) -> str | None:
        """Hear of a goal; returns the id of its trace, None where none was kept. Never raises."""
        ...

    def told(self, outcome: OutcomeTold) -> str | None:
        """Hear of an outcome; returns the domain of the request, None when it is not known here.

        Raises:
            OutputError: it could not be written down.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LearningSite:
    """What a learner gets. `follower` is None where the server does not follow its registry; then nothing is promoted."""

    settings: ServeSettings
    host: Host
    service: Service
    background: Background
    store: VersionStore
    follower: LiveFollower | None


def outcomes_of(learner: Learner | None) -> Callable[[str, bool, str], str | None] | None:
    """What `outcomes_router` tells of outcomes (id, right, caller)."""
    if learner is None:
        return None
    return lambda identifier, right, caller: learner.told(OutcomeTold(identifier=identifier, right=right, caller=caller))


LearnerFactory = Callable[[LearningSite], Learner]


def installed_learner() -> LearnerFactory:
    """The learner that is installed with the package.

    Raises:
        ConfigError: there is none.
    """
    found = next(iter(entry_points(group=ENTRY_POINTS)), None)
    if found is None:
        raise ConfigError(
            "expected an installed learner for --learn, got none; start with `python -m builderbrain.learn`, or install the "
            "package again",
            field="learn",
        )
    factory: LearnerFactory = found.load()
    return factory
