"""Limits for each key: what is refused, when it may come again, and that a refused request is not read."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from builderbrain.decode.model import TokenState
from builderbrain.errors import RateLimitError
from builderbrain.serve import rate_limits
from builderbrain.serve.boundary import Keys
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.rate_limits import RateLimits
from tests.serve.running import make_service, running_server
from tests.serve.scripted import scripted_service


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ask(limits: RateLimits, caller: str | None = "a") -> None:
    with limits.place(caller):
        pass


def test_a_minute_of_requests_may_come_at_once_and_then_one_at_a_time() -> None:
    clock = Clock()
    limits = RateLimits(requests_per_minute=6, clock=clock)
    for _ in range(6):
        ask(limits)
    with pytest.raises(RateLimitError) as refused:
        ask(limits)
    assert refused.value.retry_after == pytest.approx(10.0)
    clock.now += 9.9
    with pytest.raises(RateLimitError):
        ask(limits)
    clock.now += 0.2
    ask(limits)
    with pytest.raises(RateLimitError):
        ask(limits)


def test_what_was_saved_up_ends_at_a_minutes_worth() -> None:
    clock = Clock()
    limits = RateLimits(requests_per_minute=2, clock=clock)
    clock.now += 3600
    ask(limits)
    ask(limits)
    with pytest.raises(RateLimitError):
        ask(limits)


def test_callers_do_not_share_and_nobody_limits_the_administrator() -> None:
    limits = RateLimits(requests_per_minute=1, clock=Clock())
    ask(limits, "a")
    ask(limits, "b")
    for _ in range(3):
        ask(limits, None)
    with pytest.raises(RateLimitError):
        ask(limits, "a")


def test_requests_under_way_are_counted_until_they_end_even_by_failing() -> None:
    limits = RateLimits(concurrent_requests=1, clock=Clock())
    with limits.place("a"):
        with pytest.raises(RateLimitError, match="under way"):
            ask(limits)
        ask(limits, "b")
    with pytest.raises(ZeroDivisionError), limits.place("a"):
        raise ZeroDivisionError
    ask(limits)


def test_a_refusal_for_want_of_a_place_takes_no_token() -> None:
    limits = RateLimits(requests_per_minute=2, concurrent_requests=1, clock=Clock())
    with limits.place("a"), pytest.raises(RateLimitError):
        ask(limits)
    ask(limits)


def test_only_so_many_callers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_CALLERS", 3)
    limits = RateLimits(requests_per_minute=1, clock=Clock())
    with limits.place("held"):
        for caller in "abcdef":
            ask(limits, caller)
        with pytest.raises(RateLimitError):
            ask(limits, "held")
    assert len(limits._callers) == 3


def test_over_http_a_refusal_says_when_and_comes_before_the_body_is_looked_at() -> None:
    clock = Clock()
    keys = Keys(client="one", further=("two",), administrator="boss")
    limits = RateLimits(requests_per_minute=2, clock=clock)
    with (
        running_server(make_service(), keys=keys, limits=limits) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=30) as http,
    ):

        def post(key: str, content: bytes = b'{"prompt": "x"}') -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            return http.post("/tokenize", content=content, headers=headers)

        assert [post("one").status_code for _ in range(2)] == [200, 200]
        refused = post("one", b"no json at all")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "30"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert "X-Request-Id" in refused.headers
        assert post("two").status_code == 200
        assert [post("boss").status_code for _ in range(3)] == [200, 200, 200]
        assert [http.get("/health").status_code for _ in range(3)] == [200, 200, 200]
        assert post("three").status_code == 401
        clock.now += 30
        assert post("one").status_code == 200


def test_over_http_a_place_is_held_until_the_reply_is_out() -> None:
    service = scripted_service("the gate")
    backend = service.backend
    assert isinstance(backend, ModelBackend)
    begun, go_on = threading.Event(), threading.Event()
    model = backend._models["script"]
    start = model.start

    def held(prompt: Sequence[int]) -> TokenState:
        begun.set()
        assert go_on.wait(30)
        return start(prompt)

    model.start = held  # type: ignore[method-assign]
    with (
        running_server(service, limits=RateLimits(concurrent_requests=1)) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=30) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(http.post, "/v1/completions", json={"prompt": "x", "max_tokens": 3})
        assert begun.wait(30)
        refused = http.post("/tokenize", json={"prompt": "x"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        go_on.set()
        assert first.result().status_code == 200
        assert http.post("/tokenize", json={"prompt": "x"}).status_code == 200
