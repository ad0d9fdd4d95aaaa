"""What the gate does not pass any more is served no longer, whether a command, a report or another server said so.

Every second the age and size of the registry's audit log are looked at; only when they change is it read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from builderbrain.errors import BuilderBrainError, TamperedVersionError
from builderbrain.serve.repeated import Repeated

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class StandingWatch:
    """Runs beside the server, on a thread of its own.

    Args:
        mark: changes whenever the registry does.
        withdraw: ends the names whose versions may not be served any more.
        broken: is told when the registry's log or pointer is not as it was written.
        poll_seconds: how often the mark is looked at.
    """

    def __init__(
        self,
        *,
        mark: Callable[[], object],
        withdraw: Callable[[], Sequence[str]],
        broken: Callable[[str], None] = lambda said: None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._mark = mark
        self._withdraw = withdraw
        self._broken = broken
        self._seen: object = None
        self._doubted = False
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
                self._doubted = False
        except TamperedVersionError as error:
            if not self._doubted:  # read while it was written, perhaps: it is looked at once more
                self._doubted, self._seen = True, None
                return
            self._doubted = False
            logger.error("the registry cannot be believed, what is loaded stays: %s", error)
            self._broken(error.message)
        except (BuilderBrainError, OSError) as error:  # said once for each change of the log
            logger.error("the registry cannot be read, what is loaded stays: %s", error)
