"""A circuit breaker: closed until something is wrong too often, open while it cools down, half-open while it is tried again.

    closed --trip--> open --cool-down is over--> half_open --a trial fails--> open, for twice as long
                                                           --enough trials succeed--> closed

Half-open recovery is gradual: one trial at a time, after each success one more. Every change of state is emitted as a record.
A breaker only reports and refuses; it changes no weights and no multipliers, a learner may read its records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from builderbrain.agent.clock import Clock

State = Literal["closed", "open", "half_open"]
Action = Literal["fallback", "constrained", "review", "cool_down"]
"""What an open breaker asks for: answer by the fallback, decode constrained, have a person review, leave the tool alone."""


@dataclass(frozen=True, kw_only=True)
class BreakerRecord:
    """One change of state. `time` is in seconds since 1970, `cool_down_seconds` that of the coming or last opening."""

    time: float
    name: str
    action: Action
    before: State
    after: State
    reason: str
    cool_down_seconds: float

    def to_json(self) -> dict[str, Any]:
        """One line of a log."""
        return {
            "time": self.time,
            "breaker": self.name,
            "action": self.action,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "cool_down_seconds": self.cool_down_seconds,
        }


Emit = Callable[[BreakerRecord], None]


class Breaker:
    """One breaker; may be used from any thread.

    Args:
        name: what it guards, such as `tool/search` or `domain/api_json/violations`.
        cool_down_seconds: first stay in `open`; doubles with every failed recovery, up to `longest_seconds`.
        trials: successes that close it again.
        emit: is told every change of state.
    """

    def __init__(
        self,
        name: str,
        action: Action,
        *,
        clock: Clock,
        emit: Emit,
        cool_down_seconds: float = 30.0,
        longest_seconds: float = 600.0,
        trials: int = 3,
    ) -> None:
        self.name = name
        self.action = action
        self._clock = clock
        self._emit = emit
        self._first = cool_down_seconds
        self._longest = longest_seconds
        self._wanted = trials
        self._mutex = threading.RLock()
        self._state: State = "closed"
        self._cool_down = cool_down_seconds
        self._opened = 0.0
        self._successes = 0
        self._in_trial = 0

    @property
    def state(self) -> State:
        """The state now; an open breaker whose cool-down is over becomes half-open."""
        with self._mutex:
            if self._state == "open" and self.seconds_left() <= 0:
                self._successes = self._in_trial = 0
                self._change("half_open", f"{self._cool_down:g} s of cool-down are over; it is tried again")
            return self._state

    def seconds_left(self) -> float:
        """What is left of the cool-down; 0 or less when it is over or the breaker is not open."""
        with self._mutex:
            return self._opened + self._cool_down - self._clock.monotonic() if self._state == "open" else 0.0

    def admit(self) -> bool:
        """Whether one more may pass now. In `half_open` that is a trial, which `succeeded`, `failed` or `release` must end."""
        with self._mutex:
            state = self.state
            if state != "half_open":
                return state == "closed"
            if self._in_trial > self._successes:
                return False
            self._in_trial += 1
            return True

    def release(self) -> None:
        """End a trial that said nothing (it was cancelled)."""
        with self._mutex:
            self._in_trial = max(0, self._in_trial - 1)

    def succeeded(self) -> None:
        """One that passed was good."""
        with self._mutex:
            self.release()
            if self._state == "half_open":
                self._successes += 1
                if self._successes >= self._wanted:
                    self._cool_down = self._first
                    self._change("closed", f"{self._successes} trials in a row were good")

    def failed(self, reason: str) -> None:
        """One that passed was bad. Only in `half_open` that alone opens the breaker; see `trip`."""
        with self._mutex:
            self.release()
            if self._state == "half_open":
                self._cool_down = min(self._longest, self._cool_down * 2)
                self._open(f"the trial failed: {reason}")

    def trip(self, reason: str) -> None:
        """Too much was wrong: open, when it is closed."""
        with self._mutex:
            if self._state == "closed":
                self._open(reason)

    def _open(self, reason: str) -> None:
        self._opened = self._clock.monotonic()
        self._change("open", reason)

    def _change(self, after: State, reason: str) -> None:
        before, self._state = self._state, after
        self._emit(
            BreakerRecord(
                time=self._clock.now(),
                name=self.name,
                action=self.action,
                before=before,
                after=after,
                reason=reason,
                cool_down_seconds=self._cool_down,
            )
        )
