"""The story of an execution: an append-only list of what happened, one JSON object a line, readable by a person.

Every attempt, wait, undo and fallback is an event with its input, output, time and verdict. `said` tells it in words. The
ledger decides what may still run; the journal is what a person reads afterwards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from builderbrain.agent.clock import Clock

EventKind = Literal[
    "started",  # the plan was allowed; what follows runs
    "resumed",  # an execution that was cut off goes on
    "confirmed",  # a person said yes
    "refused",  # policy or a person said no; nothing ran
    "attempt",  # a tool was called
    "cached",  # a result of an earlier or equal call was taken, and no tool called
    "wait",  # for a resource, or before the next attempt
    "held_back",  # a step did not run: skipped, blocked, cancelled
    "precondition_lost",  # a step failed before it started, because the world changed by itself
    "settled",  # a claim that was cut off: done, to be run again, or unknown
    "fallback",  # what is done instead of a step that failed for good
    "stopped",  # a critical step failed
    "undo",  # a step was taken back, could not be, or cannot be
    "breaker",  # a circuit breaker changed its state
    "ended",  # the execution is over
]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    Args:
        time: seconds since 1970.
        elapsed: seconds since the execution began (or was resumed).
        kind: what it was.
        step: id of the step, None for the plan as a whole.
        said: the event in words.
        details: what belongs to the kind: `skill`, `attempt`, `input`, `output`, `seconds`, `verdict`, `error`, ...
    """

    time: float
    elapsed: float
    kind: EventKind
    step: str | None
    said: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One line of the journal."""
        stamp = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        head = {"time": stamp, "elapsed": round(self.elapsed, 4), "event": self.kind, "step": self.step, "said": self.said}
        return {**head, **self.details}


class Journal:
    """Events of one execution, in memory and, with a path, appended to a file as they happen.

    Args:
        path: file to append to; made with access for its owner alone.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._path = path
        self.events: list[Event] = []

    def note(self, kind: EventKind, step: str | None, said: str, **details: Any) -> None:
        """Append an event. Details must be JSON."""
        elapsed = self._clock.monotonic() - self._began
        event = Event(time=self._clock.now(), elapsed=elapsed, kind=kind, step=step, said=said, details=details)
        self.events.append(event)
        if self._path is not None:
            line = json.dumps(event.to_json(), ensure_ascii=False) + "\n"
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(handle, line.encode("utf-8", errors="backslashreplace"))
            finally:
                os.close(handle)
