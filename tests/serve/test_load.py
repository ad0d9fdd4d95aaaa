"""`python -m benchmarks.load`: what it measures of a real server, and what its soak finds in a server that is not right."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.load.__main__ import main
from benchmarks.load.leaks import Counters, Holding, left_behind
from benchmarks.load.prompts import arrivals, random_prompts
from benchmarks.load.report import details, result
from benchmarks.load.soak import SoakOptions, soak
from benchmarks.load.streams import Timed, timed_completion
from builderbrain.decode.base import SamplingParameters
from builderbrain.serve.backend import Backend, Output
from tests.serve.running import RunningServer, make_service, running_server

MIB = 1024 * 1024


def test_the_result_has_the_fields_of_vllm_bench_serve(server: RunningServer, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    arguments = "--num-prompts 6 --random-input-len 20 --random-output-len 8 --max-concurrency 3 --request-rate 50 --seed 1"
    more = "--metric-percentiles 50,99 --goodput e2el:60000 --save-detailed --temperature 1"
    assert main(["--base-url", server.url, *arguments.split(), *more.split(), "--result-filename", str(out)]) == 0
    found = json.loads(out.read_text())
    names = [
        "duration",
        "completed",
        "failed",
        "total_input_tokens",
        "total_output_tokens",
        "request_throughput",
        "request_goodput",
    ]
    names += ["output_throughput", "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests", "date"]
    names += ["model_id", "num_prompts", "request_rate", "burstiness", "max_concurrency", "ttfts", "itls", "errors"]
    kinds = ("mean", "median", "std", "p50", "p99")
    names += [f"{kind}_{metric}_ms" for kind in kinds for metric in ("ttft", "tpot", "itl", "e2el")]
    assert set(names) <= set(found)
    assert (found["completed"], found["failed"], found["model_id"]) == (6, 0, "tiny")
    assert found["total_input_tokens"] == 6 * 20 == sum(found["input_lens"])
    assert found["total_output_tokens"] == sum(found["output_lens"]) <= 6 * 8
    assert found["request_goodput"] == pytest.approx(found["request_throughput"]) == pytest.approx(6 / found["duration"])
    assert found["duration"] >= 6 / 50  # the last one is sent then
    assert 0 < found["median_ttft_ms"] <= found["p99_e2el_ms"]


def test_figures_follow_from_the_times() -> None:
    # Two tokens after half a second and 0.1 s; one token after a second; one failed.
    first = Timed(prompt_len=3, start=0.0, ttft=0.5, itl=[0.1], latency=0.6, output_len=2, text="ab")
    second = Timed(prompt_len=5, start=0.0, ttft=1.0, latency=1.0, output_len=1, text="c")
    outcomes = [first, second, Timed(prompt_len=9, start=0.0, error="status 500")]
    found = result(
        outcomes, duration=2.0, metrics=["ttft", "tpot", "itl", "e2el"], percentiles=[50, 99.9], goodput={"ttft": 600}
    )
    assert (found["completed"], found["failed"], found["total_input_tokens"], found["total_output_tokens"]) == (2, 1, 8, 3)
    assert (found["request_throughput"], found["output_throughput"], found["total_token_throughput"]) == (1.0, 1.5, 5.5)
    assert found["request_goodput"] == 0.5
    assert found["mean_ttft_ms"] == pytest.approx(750)
    assert found["std_ttft_ms"] == pytest.approx(250)
    assert found["median_tpot_ms"] == pytest.approx(100)  # of the one request that has a time between tokens
    assert found["p99.9_itl_ms"] == pytest.approx(100)
    assert found["mean_e2el_ms"] == pytest.approx(800)
    assert (found["max_concurrent_requests"], found["max_output_tokens_per_s"]) == (2, 2.0)
    assert details(outcomes)["errors"] == ["", "", "status 500"]


def test_arrivals_keep_the_rate_and_the_seed() -> None:
    assert arrivals(3, rate=float("inf"), burstiness=1.0, seed=0) == [0.0] * 3
    times = arrivals(200, rate=10.0, burstiness=1.0, seed=1)
    assert times[-1] == pytest.approx(20.0)
    assert times == sorted(times) == arrivals(200, rate=10.0, burstiness=1.0, seed=1)
    gaps = [np.diff(arrivals(2000, rate=10.0, burstiness=shape, seed=1)).std() for shape in (0.2, 1.0, 5.0)]
    assert gaps[0] > gaps[1] > gaps[2]
    prompts = random_prompts([4, 5, 6], count=50, input_len=10, output_len=4, range_ratio=0.5, seed=3)
    assert {len(prompt.tokens) for prompt in prompts} <= set(range(5, 16))
    assert len({len(prompt.tokens) for prompt in prompts}) > 3


def test_failed_requests_are_told(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", server.url, "--num-prompts", "2", "--random-input-len", "4000"]) == 2
    assert "error: the first request failed, nothing was measured: status 400" in capsys.readouterr().err
    assert main(["--base-url", "http://127.0.0.1:9", "--num-prompts", "2"]) == 2
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--request-rate", "0"], "argument --request-rate: expected more than 0"),
        (["--percentile-metrics", "ttft,latency"], "expected names out of ttft,tpot,itl,e2el"),
        (["--metric-percentiles", "101"], "expected numbers from 0 to 100"),
        (["--goodput", "itl:5"], "argument --goodput: expected names out of ttft, tpot, e2el, got itl"),
        (["--goodput", "ttft"], "expected --header KEY=VALUE and --goodput NAME:MS"),
        (["--num-prompts", "0"], "argument --num-prompts: expected at least 1"),
    ],
)
def test_options_are_refused_by_name(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_cut_stream_is_a_failed_request() -> None:
    def cut(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text='data: {"choices": [{"text": "a"}]}\n\n')

    async def ask() -> Timed:
        async with httpx.AsyncClient(transport=httpx.MockTransport(cut), base_url="http://server") as client:
            return await timed_completion(client, {"prompt": [1]})

    assert "end with [DONE]" in asyncio.run(ask()).error


def short_soak(server: RunningServer, seconds: float, **more: Any) -> dict[str, Any]:
    return asyncio.run(soak(SoakOptions(base_url=server.url, headers={}, seconds=seconds, clients=4, seed=2, **more)))


def test_a_short_soak_of_a_right_server_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "soak.json"
    with running_server(make_service()) as server:
        arguments = ["--soak-seconds", "4", "--clients", "4", "--server-pid", str(os.getpid()), "--result-filename", str(out)]
        status = main(["--base-url", server.url, *arguments])
        told = capsys.readouterr().out
        assert status == 0, told
    found = json.loads(out.read_text())
    assert "no wrong answer, nothing left behind" in told
    assert {"repeat", "json_schema", "leave", "malformed"} <= set(found["visits"])
    assert found["completed"] == sum(row["count"] for row in found["visits"].values()) > 20
    assert found["all"]["p50_ms"] <= found["all"]["p99_ms"]
    assert found["kv_cache_usage_perc"] == 0
    assert found["server"]["handles"]["after"] <= found["server"]["handles"]["before"]


class _WrongBackend:
    """Gives another seed than was asked for, or fails now and then."""

    def __init__(self, inner: Backend, *, fails: bool) -> None:
        self._inner, self._fails, self._count = inner, fails, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def begin(self, model: str, prompt: Sequence[int], parameters: SamplingParameters, *more: Any) -> Output:
        self._count += 1
        if self._fails and self._count % 5 == 0:
            raise RuntimeError("planted")
        return self._inner.begin(model, prompt, replace(parameters, seed=self._count), *more)


def test_a_soak_finds_texts_that_change_with_the_same_seed() -> None:
    service = make_service()
    with running_server(replace(service, backend=_WrongBackend(service.backend, fails=False))) as server:
        found = short_soak(server, 2.0)
        assert found["unequal"] > 0
        assert any("answered otherwise than before" in fault for fault in found["faults"])
        assert short_soak(server, 2.0, allow_unequal=True)["faults"] == []


def test_a_soak_finds_failures() -> None:
    service = make_service()
    with running_server(replace(service, backend=_WrongBackend(service.backend, fails=True))) as server:
        found = short_soak(server, 2.0, allow_unequal=True)
    assert any("status 500" in fault for fault in found["faults"])
    assert any(fault.startswith("the server counted") for fault in found["faults"])


def test_what_does_not_come_back_is_told() -> None:
    def counted(**more: Any) -> Counters:
        return Counters(**{"running": 0, "waiting": 0, "pages": 0.0, "responses": {}, **more})

    def held(rss: Sequence[float], handles: Sequence[int]) -> list[Holding]:
        return [
            Holding(seconds=float(place), rss=int(mib * MIB), handles=each, threads=1)
            for place, (mib, each) in enumerate(zip(rss, handles, strict=True))
        ]

    def told(after: Counters, samples: list[Holding]) -> list[str]:
        return left_behind(counted(), after, samples, seconds=40.0, growth_mib=10)

    warm = [100 + 20 * min(place, 8) for place in range(40)]
    assert told(counted(), held(warm, [5] * 40)) == []
    assert "memory grew by" in told(counted(), held([100 + place for place in range(40)], [5] * 40))[0]
    assert "6 file handles are open, before the load it was 5" in told(counted(), held(warm, [5] * 39 + [6]))[0]
    assert "2 outputs run and 1 wait" in told(counted(running=2, waiting=1), [])[0]
    assert "hold 0.25 of the cache pages" in told(counted(pages=0.25), [])[0]
