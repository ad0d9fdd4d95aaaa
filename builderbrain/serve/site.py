"""What a server offers to those that are attached to it, and where it finds them: as installed entry points, since this room
may import neither what trains (`builderbrain.learner`, with --learn) nor what judges (`builderbrain.watch`, unless
--no-canary). They work on the engine's thread through `ServerSite.background` alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.serve.attached import Learner, Watch
from builderbrain.serve.background import Background
from builderbrain.serve.incidents import Incidents
from builderbrain.serve.live import LiveFollower
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings
from builderbrain.serve.version_store import VersionStore


@dataclass(frozen=True, kw_only=True)
class ServerSite:
    """`follower` is None where the server does not follow its registry; then nothing is promoted and nothing is watched.
    `watch` is the one over the live version, for a learner."""

    settings: ServeSettings
    host: Host
    service: Service
    background: Background
    store: VersionStore
    follower: LiveFollower | None
    incidents: Incidents
    watch: Watch | None = None


LearnerFactory = Callable[[ServerSite], Learner]
WatchFactory = Callable[[ServerSite], Watch | None]
"""Gives None where nothing can be compared, after saying why."""


def installed_learner() -> LearnerFactory:
    """The learner that is installed with the package.

    Raises:
        ConfigError: there is none.
    """
    factory: LearnerFactory = _installed("learner", "learner for --learn", "start with `python -m builderbrain.learn`")
    return factory


def installed_watch() -> WatchFactory:
    """The watch over the live version that is installed with the package.

    Raises:
        ConfigError: there is none.
    """
    factory: WatchFactory = _installed("watch", "watch over the live version", "start with --no-canary")
    return factory


def _installed(name: str, what: str, otherwise: str) -> Any:
    found = next(iter(entry_points(group=f"builderbrain.{name}")), None)
    if found is None:
        raise ConfigError(f"expected an installed {what}, got none; install the package again, or {otherwise}", field=name)
    return found.load()
