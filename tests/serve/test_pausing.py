"""Pausing: what becomes of outputs under way and of new ones, and that nothing hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from builderbrain.decode.model import TokenState
from builderbrain.decode.pages import PagePool
from builderbrain.serve.boundary import Keys
from builderbrain.serve.engine import Engine
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.pausing import forget_prefixes, pausing_router
from builderbrain.serve.service import Service
from tests.serve.running import make_service, running_server
from tests.serve.scripted import scripted_service

BOSS = {"Authorization": "Bearer boss"}
TEXT = {"prompt": "the gate", "max_tokens": 6, "seed": 1}


@contextmanager
def served(service: Service) -> Iterator[httpx.Client]:
    """A client of a server that can be paused."""
    backend = service.backend
    assert isinstance(backend, ModelBackend)
    router = pausing_router(service.engine, lambda: forget_prefixes(backend))
    with (
        running_server(service, routers=(router,), keys=Keys(administrator="boss")) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=30) as http,
    ):
        yield http


class Stepper:
    """A scripted output that takes a token each time the test lets it."""

    def __init__(self, service: Service) -> None:
        backend = service.backend
        assert isinstance(backend, ModelBackend)
        self.begun, self.allowed = threading.Event(), threading.Semaphore(0)
        self.taken = 0
        model = backend._models["script"]
        start = model.start

        def held(prompt: Sequence[int]) -> TokenState:
            state = start(prompt)
            logits = state.logits

            def counted() -> Any:
                self.begun.set()
                assert self.allowed.acquire(timeout=30)
                self.taken += 1
                return logits()

            state.logits = counted  # type: ignore[method-assign]
            return state

        model.start = held  # type: ignore[method-assign]

    def let(self, tokens: int) -> None:
        self.allowed.release(tokens)


def pause(http: httpx.Client, mode: str) -> httpx.Response:
    return http.post("/pause", params={"mode": mode}, headers=BOSS)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_new_requests_wait_for_the_end_of_a_pause() -> None:
    with served(make_service()) as http, ThreadPoolExecutor(1) as pool:
        wanted = http.post("/v1/completions", json=TEXT).json()["choices"]
        assert pause(http, "abort").json() == {"status": "paused", "mode": "abort", "waiting": 0}
        assert http.get("/is_paused").json() == {"is_paused": True, "mode": "abort"}
        unready = http.get("/ready")
        assert (unready.status_code, unready.json()["error"]["code"]) == (503, "paused")
        assert http.get("/health").status_code == 200
        held = pool.submit(http.post, "/v1/completions", json=TEXT)
        time.sleep(0.2)
        assert not held.done()
        assert http.post("/resume", headers=BOSS).json() == {"status": "resumed"}
        assert held.result().json()["choices"] == wanted
        assert http.get("/is_paused").json() == {"is_paused": False, "mode": None}
        assert http.get("/ready").status_code == 200


def test_abort_fails_what_is_under_way_and_says_when_to_come_again() -> None:
    service = scripted_service("the gate" * 20, ends=False)
    stepper = Stepper(service)
    with served(service) as http, ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(http.post, "/v1/completions", json={**TEXT, "max_tokens": 200})
        assert stepper.begun.wait(10)
        pausing = pool.submit(pause, http, "abort")
        until(lambda: service.engine.paused == "abort")
        stepper.let(1)
        assert pausing.result().status_code == 200
        reply = under_way.result()
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "paused")
        assert int(reply.headers["Retry-After"]) > 0


def test_a_stream_that_a_pause_aborts_ends_with_an_error_and_not_in_silence() -> None:
    service = scripted_service("the gate" * 20, ends=False)
    stepper = Stepper(service)
    with served(service) as http, ThreadPoolExecutor(1) as pool:
        body = {**TEXT, "max_tokens": 200, "stream": True}
        stepper.let(2)
        with http.stream("POST", "/v1/completions", json=body) as stream:
            until(lambda: stepper.taken == 2)
            pausing = pool.submit(pause, http, "abort")
            until(lambda: service.engine.paused == "abort")
            stepper.let(1)
            lines = [line for line in stream.iter_lines() if line]
        assert pausing.result().status_code == 200
        assert '"code":"paused"' in lines[-1] or '"code":"paused"' in lines[-2]


def test_wait_finishes_what_is_under_way_and_begins_nothing() -> None:
    service = scripted_service("the gate")
    stepper = Stepper(service)
    with served(service) as http, ThreadPoolExecutor(3) as pool:
        under_way = pool.submit(http.post, "/v1/completions", json=TEXT)
        assert stepper.begun.wait(10)
        pausing = pool.submit(pause, http, "wait")
        until(lambda: service.engine.paused == "wait")
        late = pool.submit(http.post, "/v1/completions", json=TEXT)
        until(lambda: service.engine.num_waiting == 1)
        assert not pausing.done()
        stepper.let(1000)
        assert under_way.result().status_code == 200
        assert pausing.result().json() == {"status": "paused", "mode": "wait", "waiting": 1}
        assert not late.done()
        http.post("/resume", headers=BOSS)
        assert late.result().json()["choices"][0]["text"] == under_way.result().json()["choices"][0]["text"]


def test_keep_freezes_what_is_under_way_and_loses_no_token() -> None:
    service = scripted_service("the gate")
    stepper = Stepper(service)
    with served(service) as http, ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(http.post, "/v1/completions", json=TEXT)
        assert stepper.begun.wait(10)
        pausing = pool.submit(pause, http, "keep")
        until(lambda: service.engine.paused == "keep")
        stepper.let(1000)
        assert pausing.result().json()["waiting"] == 1
        taken = stepper.taken
        time.sleep(0.2)
        assert stepper.taken == taken
        assert not under_way.done()
        http.post("/resume", headers=BOSS)
        reply, again = under_way.result().json(), http.post("/v1/completions", json=TEXT).json()
        assert reply["choices"] == again["choices"]
        assert reply["usage"]["completion_tokens"] > taken


@pytest.mark.parametrize("mode", ["wait", "keep"])
def test_what_waits_longer_than_it_may_is_told_so(mode: str) -> None:
    with served(make_service(deadline_seconds=0.3)) as http:
        assert pause(http, mode).status_code == 200
        reply = http.post("/v1/completions", json=TEXT)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "paused")
        assert "Retry-After" in reply.headers
        http.post("/resume", headers=BOSS)


def test_only_so_many_may_wait() -> None:
    with served(make_service(max_running=1, max_waiting=0)) as http, ThreadPoolExecutor(1) as pool:
        pause(http, "keep")
        held = pool.submit(http.post, "/v1/completions", json=TEXT)
        until(lambda: http.get("/metrics").text.count('vllm:num_requests_waiting{model_name="tiny"} 1.0') == 1)
        assert http.post("/v1/completions", json=TEXT).status_code == 429
        http.post("/resume", headers=BOSS)
        assert held.result().status_code == 200


def test_a_client_that_leaves_a_paused_server_gives_its_place_back() -> None:
    service = make_service(max_running=1, max_waiting=0)
    with served(service) as http:
        pause(http, "keep")
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/completions", json=TEXT, timeout=0.2)
        until(lambda: service.engine.num_waiting + service.engine.num_running == 0)
        http.post("/resume", headers=BOSS)
        assert http.post("/v1/completions", json=TEXT).status_code == 200


def test_a_pause_that_is_resumed_before_it_is_complete_is_a_conflict() -> None:
    service = scripted_service("the gate")
    stepper = Stepper(service)
    with served(service) as http, ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(http.post, "/v1/completions", json=TEXT)
        assert stepper.begun.wait(10)
        pausing = pool.submit(pause, http, "wait")
        until(lambda: service.engine.paused == "wait")
        http.post("/resume", headers=BOSS)
        assert pausing.result().status_code == 409
        stepper.let(1000)
        assert under_way.result().status_code == 200


def test_a_server_that_stops_while_paused_stops() -> None:
    engine = Engine(max_running=1, max_waiting=1, deadline_seconds=60)
    engine.start()
    assert engine.pause("keep")
    ticket = engine.submit(lambda: iter(()))  # type: ignore[arg-type,return-value]
    start = time.monotonic()
    engine.stop()
    assert time.monotonic() - start < 5
    assert ticket.future.exception() is not None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"params": {"mode": "sleep"}}, "mode"),
        ({"params": {"mod": "keep"}}, "mod"),
        ({"params": {"wait_for_inflight_requests": "true"}}, "wait_for_inflight_requests"),
        ({"params": {"clear_cache": "maybe"}}, "clear_cache"),
        ({"params": {"mode": "keep"}, "json": {"mode": "wait"}}, "mode"),
        ({"json": {"mode": 3}}, "mode"),
    ],
)
def test_a_wrong_mode_is_refused_by_name_and_pauses_nothing(
    options: dict[str, Any], field: str, pausable: httpx.Client
) -> None:
    reply = pausable.post("/pause", headers=BOSS, **options)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)
    assert pausable.get("/is_paused").json()["is_paused"] is False


@pytest.mark.parametrize("path", ["/pause", "/resume", "/reset_prefix_cache"])
def test_only_the_administrator_pauses(path: str, pausable: httpx.Client) -> None:
    assert pausable.post(path).status_code == 403
    assert pausable.post(path, headers={"Authorization": "Bearer other"}).status_code == 403


def test_a_reset_makes_the_next_prompt_cold_and_changes_no_text(pausable: httpx.Client) -> None:
    body = {**TEXT, "prompt": "search for the promotion gate and then open it, list the files of this folder. " * 2}

    def ask() -> tuple[str, int]:
        reply = pausable.post("/v1/completions", json=body).json()
        return reply["choices"][0]["text"], reply["usage"]["prompt_tokens_details"]["cached_tokens"]

    ask()
    text, warm = ask()
    assert warm > 0
    assert pausable.post("/reset_prefix_cache", headers=BOSS).json()["pages"] > 0
    assert ask() == (text, 0)
    assert pausable.post("/pause", json={"mode": "wait", "clear_cache": True}, headers=BOSS).status_code == 200
    pausable.post("/resume", headers=BOSS)
    assert ask() == (text, 0)
    assert ask() == (text, warm)


def test_forgetting_all_pages_frees_kept_ones_and_leaves_held_ones_to_their_holders() -> None:
    forgotten: list[int] = []
    pool = PagePool(3, 2, forgotten.append)
    keys = pool.keys([1, 2, 3, 4])
    held, kept = pool.take(), pool.take()
    assert held is not None
    assert kept is not None
    pool.name(held, keys[0])
    pool.name(kept, keys[1])
    pool.let_go(kept)
    assert pool.available == 2
    assert pool.forget_all() == 2
    assert sorted(forgotten) == sorted([held, kept])
    assert [pool.find(key) for key in keys] == [None, None]
    assert pool.available == 2
    pool.let_go(held)
    assert sorted(page for _ in range(3) if (page := pool.take()) is not None) == [0, 1, 2]
    assert pool.take() is None


@pytest.fixture(scope="module")
def pausable() -> Iterator[httpx.Client]:
    """A client of a server that can be paused."""
    with served(make_service()) as http:
        yield http
