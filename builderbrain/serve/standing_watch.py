"""What the gate does not pass any more is served no longer, whether a command, a report or another server said so.

Every second the age and size of the registry's audit log are looked at; only when they change is it read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from builderbrain.errors import BuilderBrainError
from builderbrain.serve.repeated import Repeated

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class StandingWatch:
    """Runs beside the server, on a thread of its own.

    Args:
        mark: changes whenever the registry does.
        withdraw: ends the names whose versions may not be served any more.
        poll_seconds: how often the mark is looked at.
    """

    def __init__(
        self, *, mark: Callable[[], object], withdraw: Callable[[], Sequence[str]], poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._mark = mark
        self._withdraw = withdraw
        self._seen: object = None
        self._repeated = Repeated("standing", self._look, seconds=poll_seconds)

    def start(self) -> None:
        """Start looking."""
        self._repeated.start()

    def stop(self) -> None:
        """Stop looking."""
        self._repeated.stop()

    def _look(self) -> None:
        try:
            found = self._mark()
            if found != self._seen:
                self._seen = found  # before reading, so that what is written meanwhile is read again
                self._withdraw()
        except (BuilderBrainError, OSError) as error:  # said once for each change of the log
            logger.error("the registry cannot be read, what is loaded stays: %s", error)
