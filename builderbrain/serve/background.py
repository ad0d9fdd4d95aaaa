"""Work in the gaps of decoding: short steps that the engine's thread takes while no output asks for the model.

A job is a generator; what it does between two `yield`s is one **micro-step**. Decoding comes first: a micro-step begins when no
output runs or waits, so that it delays the first token of an output that arrives meanwhile by its own length at most, and no
token between two others. Where outputs run without a pause, `LatencyBudget` says when a micro-step may still stand between two
rounds. Jobs are taken in the order of their arrival, one at a time; a failure ends that job alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from builderbrain.errors import NotReadyError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Job = Generator[None, None, T]

ROUNDS = 1024
"""Latest rounds that the budget looks at."""
_LEAST_ROUNDS = 200
_EVERY = 64
"""Rounds between two looks at their quantiles."""


@dataclass(kw_only=True)
class LatencyBudget:
    """How much of a round's time training may take.

    Args:
        micro_step_seconds: what a job should keep a micro-step under; it is what a first token may wait.
        stretch: how far the 99th percentile of the times between tokens may rise, 1.1 is a tenth.
        busy_share: of the rounds, before which a micro-step may stand where outputs run without a pause. A 99th percentile
            does not see half a percent of longer rounds as long as most of them stay under it, which `allows` asks for.
    """

    micro_step_seconds: float = 0.02
    stretch: float = 1.1
    busy_share: float = 0.005
    longest: float = 0.0
    _rounds: deque[float] = field(default_factory=lambda: deque(maxlen=ROUNDS))
    _seen: int = 0
    _spent: int = 0
    _allowance: float = 0.0

    def note_round(self, seconds: float) -> None:
        """A round of decoding took so long, without a micro-step before it."""
        self._rounds.append(seconds)
        self._seen += 1
        if self._seen % _EVERY == 0 and len(self._rounds) >= _LEAST_ROUNDS:
            ordered = sorted(self._rounds)
            middle, high = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
            self._allowance = max(0.0, self.stretch * high - middle)

    def note_micro_step(self, seconds: float) -> None:
        """A micro-step took so long; the longest of late is what the next one may take."""
        self.longest = max(seconds, 0.9 * self.longest)

    def allows_between_rounds(self) -> bool:
        """Whether a micro-step may stand between two rounds that follow on one another; counts it as spent when it may."""
        if not 0.0 < self.longest <= self._allowance or self._spent + 1 > self.busy_share * self._seen:
            return False
        self._spent += 1
        return True


@dataclass(kw_only=True)
class GapCounts:
    """Seconds of rounds with outputs, seconds of micro-steps, and how many micro-steps; `between_rounds` of them under load."""

    decoding_seconds: float = 0.0
    background_seconds: float = 0.0
    micro_steps: int = 0
    between_rounds: int = 0


@dataclass(eq=False, kw_only=True)
class _Submitted:
    make: Callable[[], Job[Any]]
    future: Future[Any]
    running: Job[Any] | None = None


class Background:
    """The jobs of one engine, which calls `round_done` and `step` on its thread; `submit` and `run` are for other threads."""

    def __init__(self, budget: LatencyBudget | None = None) -> None:
        self.budget = LatencyBudget() if budget is None else budget
        self.counts = GapCounts()
        self._jobs: deque[_Submitted] = deque()
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        self._closed = False

    def on_submit(self, wake: Callable[[], None]) -> None:
        """Call this when there is a job; the engine's own way to be woken."""
        self._wake = wake

    @property
    def pending(self) -> bool:
        """Whether there is a job."""
        return bool(self._jobs)

    @property
    def closed(self) -> bool:
        """Whether the engine has ended."""
        return self._closed

    def submit(self, make: Callable[[], Job[T]]) -> Future[T]:
        """Queue a job; `make` starts it on the engine's thread. Cancelling the future ends it before its next micro-step.

        Raises:
            NotReadyError: the engine has ended.
        """
        job = _Submitted(make=make, future=Future())
        with self._lock:
            if self._closed:
                raise NotReadyError("expected a server that runs, but it has shut down; start it again")
            self._jobs.append(job)
        self._wake()
        return job.future

    def run(self, make: Callable[[], Job[T]], *, timeout: float | None = None) -> T:
        """Queue a job and wait for its result; not from the engine's thread, which would wait for itself.

        Raises:
            NotReadyError: the server shut down before the end.
            TimeoutError: it is not done after `timeout` seconds.
        """
        future = self.submit(make)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def round_done(self, seconds: float) -> None:
        """A round of decoding has ended."""
        self.counts.decoding_seconds += seconds
        self.budget.note_round(seconds)

    def step(self, *, busy: bool) -> bool:
        """Perhaps one micro-step; `busy` says that outputs run or wait. Whether there was one."""
        job = self._first()
        if job is None or (busy and not self.budget.allows_between_rounds()):
            return False
        started = time.monotonic()
        self._advance(job)
        seconds = time.monotonic() - started
        self.budget.note_micro_step(seconds)
        self.counts.background_seconds += seconds
        self.counts.micro_steps += 1
        self.counts.between_rounds += int(busy)
        return True

    def close(self) -> None:
        """Take no more jobs and fail those there are."""
        with self._lock:
            self._closed = True
            left, self._jobs = list(self._jobs), deque()
        for job in left:
            self._finish(job)
            if not job.future.done():
                job.future.set_exception(NotReadyError("the server shut down before this was done"))

    def _first(self) -> _Submitted | None:
        while self._jobs:
            job = self._jobs[0]
            if not job.future.cancelled():
                return job
            self._finish(job)
            self._drop(job)
        return None

    def _advance(self, job: _Submitted) -> None:
        try:
            if job.running is None:
                job.running = job.make()
            next(job.running)
        except StopIteration as finished:
            self._end(job, finished.value, None)
        except Exception as error:  # noqa: BLE001  (the boundary: a job's failure must not reach the outputs)
            self._end(job, None, error)

    def _end(self, job: _Submitted, result: object, failure: Exception | None) -> None:
        self._drop(job)
        if not job.future.set_running_or_notify_cancel():
            return
        if failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(result)

    def _finish(self, job: _Submitted) -> None:
        try:
            if job.running is not None:
                job.running.close()
        except Exception as error:  # noqa: BLE001  (clean-up of one job must not end the worker)
            logger.error("closing background work failed with %s", type(error).__name__)

    def _drop(self, job: _Submitted) -> None:
        with self._lock:
            if self._jobs and self._jobs[0] is job:
                self._jobs.popleft()
