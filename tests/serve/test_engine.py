"""The engine alone: fairness, limits, cancellation, and that a failure stays where it happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from builderbrain.decode.base import Step
from builderbrain.errors import DeadlineError, NotReadyError, QueueFullError
from builderbrain.serve.engine import Engine, Work


def counting(count: int, log: list[str] | None = None, name: str = "", on_step: Callable[[int], None] = lambda _: None) -> Work:
    """Work of `count` steps that returns `count`."""

    def work() -> Generator[Step | None, None, int]:
        for index in range(count):
            on_step(index)
            if log is not None:
                log.append(name)
            yield Step(token=index, text="")
        return count

    return work


@pytest.fixture
def make_engine() -> Iterator[Callable[..., Engine]]:
    """Starts engines and stops them."""
    made: list[Engine] = []

    def make(**options: Any) -> Engine:
        engine = Engine(**{"max_running": 4, "max_waiting": 4, "deadline_seconds": 30.0, **options})
        engine.start()
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.stop()


def test_works_advance_in_turn(make_engine: Callable[..., Engine]) -> None:
    log: list[str] = []
    started = threading.Event()

    def wait(index: int) -> None:
        started.wait(5)

    tickets = make_engine().submit_all([counting(5, log, name, wait) for name in "abc"], [None] * 3)
    started.set()
    assert [ticket.future.result(5) for ticket in tickets] == [5, 5, 5]
    assert log == list("abc" * 5)


def test_steps_are_heard_in_order_before_the_result(make_engine: Callable[..., Engine]) -> None:
    heard: list[int] = []
    assert make_engine().submit(counting(7), lambda step: heard.append(step.token)).future.result(5) == 7
    assert heard == list(range(7))


@pytest.mark.parametrize("stage", ["start", "step", "listener", "close"])
def test_a_failure_in_any_stage_ends_that_work_alone(make_engine: Callable[..., Engine], stage: str) -> None:
    engine = make_engine()

    def fail(*_: object) -> None:
        raise RuntimeError(stage)

    def failing_start() -> Generator[Step | None, None, int]:
        raise RuntimeError(stage)

    def failing_close() -> Generator[Step | None, None, int]:
        try:
            yield None
            raise RuntimeError(stage)
        finally:
            raise OSError(stage)

    work = {"start": failing_start, "step": counting(3, on_step=fail), "listener": counting(3), "close": failing_close}[stage]
    listener = fail if stage == "listener" else None
    tickets = engine.submit_all([counting(20), work, counting(20)], [None, listener, None])
    with pytest.raises((RuntimeError, OSError), match=stage):
        tickets[1].future.result(5)
    assert [tickets[0].future.result(5), tickets[2].future.result(5)] == [20, 20]
    assert engine.accepting


def test_a_cancelled_work_makes_no_further_step(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    steps: list[int] = []
    ticket = engine.submit(counting(10_000, on_step=steps.append), lambda step: ticket.cancel() if step.token == 3 else None)
    with pytest.raises(CancelledError):
        ticket.future.result(5)
    assert len(steps) <= 5
    assert engine.num_running == 0


def test_a_full_queue_refuses_all_or_nothing(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(max_running=1, max_waiting=2)
    release = threading.Event()
    held = engine.submit(counting(1, on_step=lambda _: release.wait(5) and None))
    engine.submit(counting(1))
    with pytest.raises(QueueFullError, match="--max-num-seqs 1"):
        engine.submit_all([counting(1)] * 2, [None] * 2)
    last = engine.submit(counting(1))
    release.set()
    assert [held.future.result(5), last.future.result(5)] == [1, 1]


def test_waiting_works_can_be_cancelled_and_make_room(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(max_running=1, max_waiting=1)
    release = threading.Event()
    held = engine.submit(counting(3, on_step=lambda _: release.wait(5) and None))
    waiting = engine.submit(counting(1))
    waiting.cancel()
    release.set()
    with pytest.raises(CancelledError):
        waiting.future.result(5)
    assert held.future.result(5) == 3


def test_an_overdue_work_is_ended(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(deadline_seconds=0.05)
    ticket = engine.submit(counting(10_000, on_step=lambda _: time.sleep(0.01)))
    with pytest.raises(DeadlineError, match="--request-timeout"):
        ticket.future.result(5)


def test_stopping_fails_what_is_left_and_refuses_more(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(max_running=1)
    tickets = engine.submit_all([counting(10_000, on_step=lambda _: time.sleep(0.01))] * 2, [None] * 2)
    engine.stop()
    for ticket in tickets:
        with pytest.raises(NotReadyError):
            ticket.future.result(5)
    with pytest.raises(NotReadyError):
        engine.submit(counting(1))
