"""Follow the registry: when another version goes live, new outputs use it; outputs in flight finish on theirs.

The registry's pointer is read every second, without a lock. A version that cannot be loaded is logged and the old one goes
on, so that a damaged file never takes the service down; asking for the reload by hand tells why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from builderbrain.decode.model import TokenModel
from builderbrain.errors import BuilderBrainError, ConflictError, TamperedVersionError, VersionNotFoundError
from builderbrain.serve.boundary import ADMIN_PREFIX
from builderbrain.serve.openapi import described
from builderbrain.serve.repeated import Repeated
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import ReloadReply

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class LiveFollower:
    """Keeps the served model on the live version.

    Args:
        current: the live version's id, None when nothing is live.
        load: loads a version.
        install: puts a loaded model in service.
        version: what is served now.
        poll_seconds: how often the pointer is read.
    """

    def __init__(
        self,
        *,
        current: Callable[[], str | None],
        load: Callable[[str], TokenModel],
        install: Callable[[TokenModel], None],
        version: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._current = current
        self._load = load
        self._install = install
        self._refused: str | None = None
        self._complained: str | None = None
        self._lock = threading.Lock()
        self._repeated = Repeated("live", self._look, seconds=poll_seconds)
        self.version = version
        """The version in service."""

    def start(self) -> None:
        """Start reading the pointer."""
        self._repeated.start()

    def stop(self) -> None:
        """Stop reading it."""
        self._repeated.stop()

    def follow(self) -> str:
        """Look once; gives the version then in service.

        Raises:
            BuilderBrainError: the pointer or the version cannot be used; what was served is served on.
        """
        with self._lock:
            version = self._current()
            if version is not None and version != self.version:
                self._refused = version
                self._install(self._load(version))
                self.version, self._refused = version, None
                logger.info("version %s is in service", version)
            return self.version

    def _look(self) -> None:
        try:
            if self._refused is None or self._current() != self._refused:
                self.follow()
            self._complained = None
        except BuilderBrainError as error:
            if self._complained != error.message:  # once, not every second
                logger.error("the live version cannot be used, %s goes on: %s", self.version, error.message)
            self._complained = error.message


def live_router(follower: LiveFollower) -> APIRouter:
    """`POST /v1/admin/reload`: follow the registry now, and say why not when that fails."""
    router = APIRouter()

    @router.post(f"{ADMIN_PREFIX}reload")
    @described(
        "Follow the registry now.", reply=ReloadReply, raises=(VersionNotFoundError, TamperedVersionError, ConflictError)
    )
    def reload() -> Response:
        return json_reply({"version": follower.follow()})

    return router
