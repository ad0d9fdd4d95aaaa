"""Work in the gaps: decoding comes first, a failure stays where it happened, and nothing is left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from builderbrain.decode.base import Step
from builderbrain.errors import NotReadyError
from builderbrain.serve.background import Background, LatencyBudget
from builderbrain.serve.engine import Engine
from tests.serve.test_engine import counting

Start = Callable[[Background], Engine]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Engine] = []

    def begin(background: Background) -> Engine:
        engine = Engine(max_running=4, max_waiting=4, deadline_seconds=30.0, background=background)
        engine.start()
        made.append(engine)
        return engine

    yield begin
    for engine in made:
        engine.stop()


def steps(count: int, log: list[str], name: str = "job") -> Callable[[], Generator[None, None, int]]:
    def make() -> Generator[None, None, int]:
        for _ in range(count):
            log.append(name)
            yield
        return count

    return make


def test_jobs_run_in_turn_on_the_engines_thread_while_nothing_is_decoded(start: Start) -> None:
    background, log = Background(), list[str]()
    start(background)
    seen: list[str] = []

    def where() -> Generator[None, None, None]:
        seen.append(threading.current_thread().name)
        yield

    first, second = background.submit(steps(3, log, "a")), background.submit(steps(2, log, "b"))
    assert (first.result(5), second.result(5)) == (3, 2)
    assert log == list("aaabb")
    background.run(where, timeout=5)
    assert seen == ["builderbrain-engine"]


def test_no_micro_step_stands_between_two_tokens(start: Start) -> None:
    background, log = Background(), list[str]()
    engine = start(background)
    begun = threading.Event()

    def on_step(index: int) -> None:
        if index == 0:
            begun.set()
        time.sleep(0.001)

    ticket = engine.submit(counting(30, log, "token", on_step))
    assert begun.wait(5)
    job = background.submit(steps(5, log))
    assert (ticket.future.result(10), job.result(10)) == (30, 5)
    assert log == ["token"] * 30 + ["job"] * 5


def test_an_output_that_arrives_waits_for_one_micro_step_and_not_for_the_job(start: Start) -> None:
    background = Background()
    engine = start(background)
    done = 0

    def long() -> Generator[None, None, None]:
        nonlocal done
        for _ in range(1000):
            time.sleep(0.005)
            done += 1
            yield

    job = background.submit(long)
    while not done:
        time.sleep(0.001)
    before = done
    assert engine.submit(counting(2)).future.result(5) == 2
    assert done - before <= 3
    job.cancel()


@pytest.mark.parametrize("place", ["make", "step", "close"])
def test_a_failure_ends_that_job_alone(start: Start, place: str) -> None:
    background, log = Background(), list[str]()
    engine = start(background)

    def fails() -> Generator[None, None, None]:
        try:
            yield
            if place == "step":
                raise RuntimeError(place)
            while True:
                yield
        finally:
            if place == "close":
                raise RuntimeError(place)

    def refuses() -> Generator[None, None, None]:
        raise RuntimeError(place)

    bad = background.submit(refuses if place == "make" else fails)
    good = background.submit(steps(2, log))
    if place == "close":
        time.sleep(0.02)
        assert bad.cancel()
        with pytest.raises(CancelledError):
            bad.result(5)
    else:
        with pytest.raises(RuntimeError, match=place):
            bad.result(5)
    assert good.result(5) == 2
    assert engine.submit(counting(3)).future.result(5) == 3


def test_a_pause_stops_jobs_too_and_a_shutdown_fails_them(start: Start) -> None:
    background = Background()
    engine = start(background)
    count = 0

    def endless() -> Generator[None, None, None]:
        nonlocal count
        while True:
            count += 1
            time.sleep(0.001)
            yield

    job = background.submit(endless)
    while not count:
        time.sleep(0.001)
    assert engine.pause("keep")
    still = count
    time.sleep(0.05)
    assert count == still
    engine.resume()
    while count == still:
        time.sleep(0.001)
    engine.stop()
    with pytest.raises(NotReadyError):
        job.result(5)
    with pytest.raises(NotReadyError):
        background.submit(endless)


def test_a_waiting_thread_that_gives_up_takes_its_job_along(start: Start) -> None:
    background = Background()
    start(background)

    def endless() -> Generator[None, None, None]:
        while True:
            time.sleep(0.001)
            yield

    with pytest.raises(TimeoutError):
        background.run(endless, timeout=0.05)
    assert background.run(steps(1, []), timeout=5) == 1


def test_under_load_without_a_pause_training_gets_what_the_99th_percentile_does_not_see() -> None:
    budget = LatencyBudget()
    budget.note_micro_step(0.02)
    for index in range(2000):
        budget.note_round(0.05 if index % 50 == 0 else 0.004)  # every fiftieth round runs a prompt
    granted = sum(budget.allows_between_rounds() for _ in range(2000))
    assert granted == 10, "half a percent of 2,000 rounds"
    even = LatencyBudget()
    even.note_micro_step(0.02)
    for _ in range(2000):
        even.note_round(0.004)
    assert not even.allows_between_rounds(), "a micro-step of five rounds would be the 99th percentile"


def test_the_share_between_rounds_is_really_taken(start: Start) -> None:
    background = Background(LatencyBudget(busy_share=0.5))
    engine = start(background)
    release = threading.Event()

    def output() -> Generator[Step | None, None, Any]:
        index = 0
        while not release.is_set():
            time.sleep(0.003 if index % 40 == 0 else 0.0002)
            index += 1
            yield Step(token=0, text="")
        return index

    ticket = engine.submit(output)
    background.budget.note_micro_step(0.0001)
    job = background.submit(steps(2, []))
    assert job.result(20) == 2, "an engine that never rests starves no job"
    assert background.counts.between_rounds >= 2
    release.set()
    assert ticket.future.result(5) > 200
