"""Many requests at once: equal to the same requests alone, and what goes wrong in one stays there."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from builderbrain.decode.base import SamplingParameters, Step
from builderbrain.errors import ConstraintViolatedError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.serve.backend import Backend, Output
from builderbrain.serve.generation import ATTEMPTS
from builderbrain.serve.service import Service
from tests.serve.running import make_service, running_server

BROKEN_SEED = 666
SLOW_SEED = 555
STEP_SECONDS = 0.02


class _Faulty:
    """An output that fails at its third step, or takes its time and never ends by itself."""

    def __init__(self, output: Output, backend: FaultyBackend, seed: int) -> None:
        self._output = output
        self._backend = backend
        self._seed = seed
        self._steps = 0

    def ready(self) -> bool:
        return self._seed == SLOW_SEED or self._output.ready()

    def close(self) -> None:
        self._output.close()

    def step(self) -> Step | None:
        self._steps += 1
        if self._seed == SLOW_SEED:
            self._backend.slow_steps += 1
            time.sleep(STEP_SECONDS)
            return Step(token=1, text="x")
        if self._steps == 3:
            raise RuntimeError("the prompt is secret")
        return self._output.step()

    def result(self) -> Any:
        return self._output.result()


class FaultyBackend:
    """A backend that injects faults by seed."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.slow_steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def begin(
        self,
        model: str,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        constraint: CompiledConstraint | None,
        stop_tokens: frozenset[int],
    ) -> Output:
        output = self._inner.begin(model, prompt, parameters, constraint, stop_tokens)
        return _Faulty(output, self, parameters.seed) if parameters.seed in (BROKEN_SEED, SLOW_SEED) else output


def faulty_service(**options: Any) -> Service:
    service = make_service(**options)
    return replace(service, backend=FaultyBackend(service.backend))


def requests_of_every_kind() -> list[dict[str, Any]]:
    """Sixteen requests that differ in everything a request may choose."""
    shapes: list[dict[str, Any]] = [
        {"temperature": 0},
        {"temperature": 1.5, "top_p": 0.9},
        {"temperature": 0.8, "top_k": 20, "repetition_penalty": 1.2},
        {"structured_outputs": {"choice": ["red", "green", "blue"]}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "b", "schema": {"type": "boolean"}}}},
        {"structured_outputs": {"regex": "[a-f]{8}"}, "temperature": 1.5},
        {"n": 2, "presence_penalty": 0.5},
        {"logprobs": 3, "min_p": 0.02},
    ]
    return [
        {"model": model, "prompt": f"question {index}", "max_tokens": 8 + index, "seed": index, **shape}
        for index, (model, shape) in enumerate((model, shape) for model in ("tiny", "tiny-other") for shape in shapes)
    ]


def ask(http: httpx.Client, body: dict[str, Any]) -> list[Any]:
    reply = http.post("/v1/completions", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"]


def test_sixteen_at_once_equal_the_same_alone(http: httpx.Client) -> None:
    bodies = requests_of_every_kind()
    assert len(bodies) == 16
    alone = [ask(http, body) for body in bodies]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda body: ask(http, body), bodies))
    assert together == alone
    assert len({json.dumps(choices) for choices in alone}) > 12


def test_a_failing_request_leaves_its_neighbours_bit_equal() -> None:
    body = {"model": "tiny", "prompt": "the gate", "max_tokens": 30}
    with running_server(faulty_service()) as started, httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http:
        calm = [ask(http, {**body, "seed": seed}) for seed in range(4)]
        with ThreadPoolExecutor(8) as pool:
            broken = [pool.submit(http.post, "/v1/completions", json={**body, "seed": BROKEN_SEED}) for _ in range(4)]
            beside = [pool.submit(ask, http, {**body, "seed": seed}) for seed in range(4)]
            assert [future.result() for future in beside] == calm
            for future in broken:
                reply = future.result()
                assert reply.status_code == 500
                assert "secret" not in reply.text
                assert reply.headers["X-Request-Id"] in reply.json()["error"]["message"]
        assert ask(http, {**body, "seed": 0}) == calm[0]


def test_a_failure_within_a_stream_ends_it_with_an_error_event() -> None:
    body = {"model": "tiny", "prompt": "the gate", "max_tokens": 30, "seed": BROKEN_SEED, "stream": True, "logprobs": 0}
    with running_server(faulty_service()) as started, httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http:
        events = [line for line in http.post("/v1/completions", json=body).text.splitlines() if line]
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "internal"
    assert len(events) == 3
    assert "secret" not in "".join(events)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot_within_two_steps(stream: bool) -> None:
    service = faulty_service()
    backend = service.backend
    assert isinstance(backend, FaultyBackend)
    body = {"model": "tiny", "prompt": "the gate", "max_tokens": 200, "seed": SLOW_SEED, "stream": stream}
    with running_server(service) as started:
        with httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http:
            if stream:
                with http.stream("POST", "/v1/completions", json=body) as reply:
                    next(reply.iter_lines())
                    assert service.engine.num_running == 1
            else:
                with pytest.raises(httpx.ReadTimeout):
                    http.post("/v1/completions", json=body, timeout=0.3)
        left = backend.slow_steps
        started.wait_until_idle()
        assert 0 < backend.slow_steps - left + 1 <= 4  # the step in progress, the news travelling, the two allowed


def test_a_full_server_says_when_to_come_back() -> None:
    body = {"model": "tiny", "prompt": "the gate", "max_tokens": 20, "seed": SLOW_SEED}
    with (
        running_server(faulty_service(max_running=1, max_waiting=0, deadline_seconds=2.0)) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(http.post, "/v1/completions", json=body)
        while not started.service.engine.num_running:
            time.sleep(0.005)
        refused = http.post("/v1/completions", json=body)
        overdue = first.result()
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "queue_full"
    assert int(refused.headers["Retry-After"]) > 0
    assert overdue.status_code == 504
    assert overdue.json()["error"]["code"] == "deadline_exceeded"


def test_shutting_down_lets_a_running_request_finish() -> None:
    body = {"model": "tiny", "prompt": "the gate", "max_tokens": 60, "seed": 1}
    with running_server(make_service()) as started, ThreadPoolExecutor(1) as pool:
        future = pool.submit(httpx.post, f"{started.url}/v1/completions", json=body, trust_env=False)
        while not started.service.engine.num_running:
            assert not future.done()
            time.sleep(0.001)
        started.shut_down()
        assert future.result().status_code == 200
    assert not started.service.engine.alive


class _LyingBackend(FaultyBackend):
    """Its constrained outputs fail validation the first `bad` times."""

    def __init__(self, inner: Backend, bad: int) -> None:
        super().__init__(inner)
        self.bad = bad
        self.begun = 0

    def begin(self, *arguments: Any) -> Output:
        output = self._inner.begin(*arguments)
        self.begun += 1
        if self.begun > self.bad:
            return output
        honest = output.result

        def result() -> Any:
            generation = honest()
            return replace(generation, constraint=replace(generation.constraint, valid=False))

        output.result = result  # type: ignore[method-assign]
        return output


@pytest.mark.parametrize(("bad", "stream", "status"), [(ATTEMPTS - 1, False, 200), (ATTEMPTS, False, 422), (1, True, 200)])
def test_an_invalid_output_is_sampled_again_and_never_a_success(bad: int, stream: bool, status: int) -> None:
    service = make_service()
    backend = _LyingBackend(service.backend, bad)
    body = {"prompt": "x", "max_tokens": 9, "structured_outputs": {"choice": ["a", "b"]}, "stream": stream}
    with running_server(replace(service, backend=backend)) as started:
        reply = httpx.post(f"{started.url}/v1/completions", json=body, trust_env=False, timeout=60)
    assert reply.status_code == status
    assert backend.begun == (1 if stream else ATTEMPTS)
    if stream:
        assert "[DONE]" not in reply.text
        assert ConstraintViolatedError.code in reply.text
    elif status == 422:
        assert reply.json()["error"]["code"] == ConstraintViolatedError.code
