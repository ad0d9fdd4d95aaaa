"""One worker thread that owns the model and advances every request by one token in turn.

A request is `Work`: a function that starts a generator, which yields a `Step` per token, or None to give way, and returns
the result. The worker knows nothing else of models, so each piece of work carries its own parameters, constraint and
weights, and scoring a prompt is work as well. Outputs do not depend on their neighbours because no state is shared.

What the worker promises: an exception in one piece of work ends that one alone; a cancelled or overdue one is dropped
before its next token; at most `max_running` are advanced and `max_waiting` wait, further ones are refused at the door.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from builderbrain.decode.base import Step
from builderbrain.errors import DeadlineError, NotReadyError, PausedError, QueueFullError
from builderbrain.serve.background import Background

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[], Generator[Step | None, None, Any]]
StepListener = Callable[[Step], None]
POLL_SECONDS = 0.5
PauseMode = Literal["abort", "wait", "keep"]
"""What becomes of outputs under way: they fail, they are finished first, or they stand still until `resume`."""


class EngineObserver(Protocol):
    """Hears of every token's time, for metrics. Called on the worker thread; must not raise."""

    def first_step(self, seconds: float) -> None:
        """Time from submission to the first token."""
        ...

    def next_step(self, seconds: float) -> None:
        """Time between two tokens of one output."""
        ...

    def ended(self, seconds: float, failure: BaseException | None) -> None:
        """A piece of work ended, with what it failed on."""
        ...


@dataclass(eq=False, kw_only=True)
class Ticket:
    """A submitted piece of work. `future` resolves on the worker thread; `cancel` takes effect before the next token."""

    work: Work
    listener: StepListener | None
    deadline: float
    submitted: float
    future: Future[Any] = field(default_factory=Future)
    last_step: float | None = None
    aborted: PausedError | None = None
    _cancelled: bool = False
    _running: Generator[Step | None, None, Any] | None = None

    def cancel(self) -> None:
        """Drop the work; its future raises CancelledError. Does nothing to finished work."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled


class Engine:
    """Runs work on one thread.

    Args:
        max_running: outputs that are advanced together.
        max_waiting: outputs that may wait for a place; more are refused with QueueFullError.
        deadline_seconds: longest life of one output, waiting included.
        observer: hears of times, or None.
        run_model: called before every round: runs the model for all outputs that wait for it.
        background: jobs for the gaps, taken up after a round; not while the engine is paused.
    """

    def __init__(
        self,
        *,
        max_running: int,
        max_waiting: int,
        deadline_seconds: float,
        observer: EngineObserver | None = None,
        run_model: Callable[[], None] = lambda: None,
        background: Background | None = None,
    ) -> None:
        self.max_running = max_running
        self.max_waiting = max_waiting
        self._deadline_seconds = deadline_seconds
        self._observer = observer
        self._run_model = run_model
        self._background = background
        self._condition = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._running: list[Ticket] = []
        self._accepting = False
        self._stopping = False
        self._paused: PauseMode | None = None
        self._still = False  # whether the worker rests in a pause
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._thread = threading.Thread(target=self._run, name="builderbrain-engine", daemon=True)
        if background is not None:
            background.on_submit(self._wake)

    def start(self) -> None:
        """Start the worker and take work."""
        self._accepting = True
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._thread.is_alive()

    @property
    def accepting(self) -> bool:
        """Whether work is taken: started, not draining, and the worker lives."""
        return self._accepting and self.alive

    @property
    def num_running(self) -> int:
        """Outputs being advanced."""
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        """Outputs waiting for a place."""
        return len(self._waiting)

    def submit(self, work: Work, listener: StepListener | None = None) -> Ticket:
        """Queue one piece of work; see `submit_all`."""
        return self.submit_all([work], [listener])[0]

    def submit_all(self, works: Sequence[Work], listeners: Sequence[StepListener | None]) -> list[Ticket]:
        """Queue several pieces of work, all or none. `listeners` hear each step on the worker thread.

        Raises:
            NotReadyError: not started, or draining.
            QueueFullError: no room for all of them.
        """
        now = time.monotonic()
        tickets = [
            Ticket(work=work, listener=listener, submitted=now, deadline=now + self._deadline_seconds)
            for work, listener in zip(works, listeners, strict=True)
        ]
        with self._condition:
            if not self.accepting:
                raise NotReadyError("expected a server that takes work, but it is starting or shutting down; retry soon")
            capacity = self.max_running + self.max_waiting
            taken = len(self._running) + len(self._waiting)
            if taken + len(tickets) > capacity:
                raise QueueFullError(
                    f"{taken} outputs run or wait, of at most {capacity} (--max-num-seqs {self.max_running} and a queue of "
                    f"{self.max_waiting}), and this request asks for {len(tickets)} more; retry later"
                )
            self._waiting.extend(tickets)
            self._condition.notify_all()
        return tickets

    @property
    def paused(self) -> PauseMode | None:
        """How the engine was paused; None while it runs."""
        return self._paused

    def pause(self, mode: PauseMode) -> bool:
        """Advance no output any more; new ones wait, as many as may and until their deadline.

        Blocks until the worker rests, so not on the event loop. With "wait" that takes until the outputs under way have ended.
        Returns whether it rests; False when somebody else resumed or paused otherwise meanwhile.

        Raises:
            NotReadyError: the worker does not run.
        """
        with self._condition:
            self._paused, self._still = mode, False
            if mode == "abort":
                for ticket in (*self._running, *self._waiting):
                    ticket.aborted = PausedError("an operator paused the server before this output was finished; send it again")
            self._condition.notify_all()
            while self._paused == mode and not self._still:
                if not self.alive:
                    self._paused = None
                    raise NotReadyError("the engine's worker does not run; restart the server")
                self._condition.wait(POLL_SECONDS)
            return self._still

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        with self._condition:
            self._paused, self._still = None, False
            self._condition.notify_all()

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Call a function on the worker between two rounds, paused or not: nobody else uses the model then."""
        future: Future[T] = Future()
        with self._condition:
            if not self.accepting:
                raise NotReadyError("expected a server that takes work, but it is starting or shutting down; retry soon")
            self._calls.append((work, future))
            self._condition.notify_all()
        return future

    def outstanding(self) -> tuple[Future[Any], ...]:
        """Of every output that runs or waits now."""
        with self._condition:
            return tuple(ticket.future for ticket in (*self._running, *self._waiting))

    def stop(self) -> None:
        """Refuse new work, fail what has not finished, and end the worker."""
        self._accepting = False
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while self._admit():
                self._answer_calls()
                frozen = self._paused == "keep"
                started = time.monotonic()
                running = tuple(self._running)
                if not frozen:
                    self._run_model()
                for ticket in running:
                    if not frozen or _over(ticket):
                        self._advance(ticket)
                if self._background is not None and self._paused is None:
                    if running:
                        self._background.round_done(time.monotonic() - started)
                    self._background.step(busy=bool(self._running or self._waiting))
        finally:
            self._accepting = False
            if self._background is not None:
                self._background.close()
            with self._condition:
                left = [*self._running, *self._waiting]
                self._running, self._waiting = [], deque()
                calls, self._calls = self._calls, deque()
                self._condition.notify_all()
            for _, future in calls:
                future.set_exception(NotReadyError("the server shut down before this was done"))
            for ticket in left:
                self._end(ticket, failure=NotReadyError("the server shut down before this output was finished"))

    def _admit(self) -> bool:
        """Wait for work and give free places to it. False when the worker should end."""
        with self._condition:
            while not self._stopping and self._nothing_to_do():
                if self._paused and not self._still:
                    self._still = True
                    self._condition.notify_all()
                self._condition.wait(POLL_SECONDS)
            waiting, self._waiting = self._waiting, deque()
            for ticket in waiting:
                # One that is to be dropped takes no place: it ends in this round.
                free = not self._paused and len(self._running) < self.max_running
                (self._running if free or _over(ticket) else self._waiting).append(ticket)
            return not self._stopping

    def _nothing_to_do(self) -> bool:
        if self._calls:
            return False
        if self._paused is None:
            idle = self._background is None or not self._background.pending
            return idle and not self._running and not self._waiting
        left = self._waiting if self._paused != "keep" else (*self._running, *self._waiting)
        return not any(map(_over, left)) and (self._paused == "keep" or not self._running)

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def _answer_calls(self) -> None:
        while self._calls:
            work, future = self._calls.popleft()
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001  (told to who asked; it must not end the worker)
                future.set_exception(error)

    def _advance(self, ticket: Ticket) -> None:
        """One token of one output, behind its own exception boundary."""
        now = time.monotonic()
        try:
            if ticket.cancelled:
                raise CancelledError
            if ticket.aborted is not None:
                raise ticket.aborted
            if now > ticket.deadline and self._paused:
                raise PausedError("the server is paused, and this output's time ran out; send it again later")
            if now > ticket.deadline:
                raise DeadlineError(
                    f"expected the output within {self._deadline_seconds:g} s, waiting included; ask for fewer tokens or "
                    "raise --request-timeout"
                )
            if ticket._running is None:
                ticket._running = ticket.work()
            step = next(ticket._running)
            if step is not None:
                self._observe_step(ticket)
                if ticket.listener is not None:
                    ticket.listener(step)
        except StopIteration as finished:
            self._remove(ticket)
            self._end(ticket, result=finished.value)
        except Exception as error:  # noqa: BLE001  (the boundary: a request's failure must not reach its neighbours)
            self._remove(ticket)
            self._end(ticket, failure=error)

    def _observe_step(self, ticket: Ticket) -> None:
        now = time.monotonic()
        if self._observer is not None:
            if ticket.last_step is None:
                self._observer.first_step(now - ticket.submitted)
            else:
                self._observer.next_step(now - ticket.last_step)
        ticket.last_step = now

    def _remove(self, ticket: Ticket) -> None:
        with self._condition:
            self._running.remove(ticket)

    def _end(self, ticket: Ticket, *, result: object = None, failure: BaseException | None = None) -> None:
        try:
            if ticket._running is not None:
                ticket._running.close()
        except Exception as error:  # noqa: BLE001  (clean-up of one request must not end the worker)
            logger.error("closing an output failed with %s", type(error).__name__)
        ticket._running = None
        if self._observer is not None:
            self._observer.ended(time.monotonic() - ticket.submitted, failure)
        if failure is not None:
            ticket.future.set_exception(failure)
        else:
            ticket.future.set_result(result)


def _over(ticket: Ticket) -> bool:
    """Whether a piece of work ends before its next token."""
    return ticket.cancelled or ticket.aborted is not None or time.monotonic() > ticket.deadline
