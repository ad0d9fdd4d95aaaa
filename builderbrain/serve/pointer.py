"""Moving what is served: the registry's own operations, then the server's models at once rather than at its next look."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from builderbrain.serve.live import LiveFollower
from builderbrain.serve.version_store import VersionStore


class VersionPointer:
    """Promotes and rolls back for what is attached to a server."""

    def __init__(self, store: VersionStore, follower: LiveFollower) -> None:
        self._store, self._follower = store, follower

    def live(self) -> str | None:
        """The live version."""
        return self._store.live()

    def promote(self, version: str, *, expected_live: str) -> float:
        """Make a version live on its recorded report and serve it; seconds from the request to the first output that can have
        it.

        Raises:
            GateRefusedError, RegistryBusyError, ConflictError: as `VersionStore.promote`.
        """
        started = time.monotonic()
        self._store.promote(version, expected_live=expected_live)
        self._follower.follow()
        return time.monotonic() - started

    def rollback(self, *, expected_live: str, evidence: Mapping[str, Any]) -> tuple[str, float]:
        """Serve the version before again: its name, and the seconds that took. `evidence` goes to the audit log.

        Raises:
            RegistryBusyError, VersionNotFoundError: as `VersionStore.rollback`.
        """
        started = time.monotonic()
        self._store.rollback(expected_live=expected_live, evidence=evidence)
        return self._follower.follow(), time.monotonic() - started
