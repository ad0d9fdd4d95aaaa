"""A load generator: `python -m benchmarks.load --base-url http://127.0.0.1:8000`.

Options, definitions and the fields of the JSON result are those of `vllm bench serve`, over `/v1/completions` with prompts of
random token ids. With `--soak-seconds 300 --clients 64` it soaks the server instead: requests of every kind at once, right and
wrong, streamed, slow and abandoned, every answer checked; the exit status is 1 when one was wrong or something was
left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load.prompts import arrivals, known_tokens, random_prompts
from benchmarks.load.report import GOODPUT_METRICS, METRICS, details, result, table
from benchmarks.load.soak import SoakOptions, soak, soak_table
from benchmarks.load.streams import Timed, timed_completion


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status: 0 done, 1 a request failed or an answer was wrong, 2 refused with a reason."""
    options = _options(arguments)
    try:
        if options.soak_seconds is not None:
            found = asyncio.run(soak(_soak_options(options)))
            print(soak_table(found))
            failed = bool(found["faults"])
        else:
            found = asyncio.run(_bench(options))
            print(table(found, metrics=options.percentile_metrics, percentiles=options.metric_percentiles))
            failed = found["failed"] > 0
        if options.result_filename is not None:
            options.result_filename.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except httpx.HTTPError as error:
        print(f"error: {options.base_url} does not answer ({type(error).__name__}: {error}); see --base-url", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(failed)


async def _bench(options: argparse.Namespace) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=options.max_concurrency, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=options.base_url, headers=options.header, timeout=600, trust_env=False, limits=limits
    ) as client:
        model = options.model or await _first_model(client)
        prompts = random_prompts(
            await known_tokens(client, model),
            count=options.num_prompts,
            input_len=options.random_input_len,
            output_len=options.random_output_len,
            range_ratio=options.random_range_ratio,
            seed=options.seed,
        )
        bodies = [
            {
                "model": model,
                "prompt": prompt.tokens,
                "max_tokens": prompt.output_len,
                "temperature": options.temperature,
                "ignore_eos": options.ignore_eos,
            }
            for prompt in prompts
        ]
        first = await timed_completion(client, bodies[0])  # what is made at the first request is not measured
        if first.error:
            raise ValueError(f"the first request failed, nothing was measured: {first.error}")
        at = arrivals(len(bodies), rate=options.request_rate, burstiness=options.burstiness, seed=options.seed)
        places = asyncio.Semaphore(options.max_concurrency or len(bodies))
        begin = time.perf_counter()

        async def one(body: dict[str, Any], seconds: float) -> Timed:
            await asyncio.sleep(max(0.0, begin + seconds - time.perf_counter()))
            async with places:
                return await timed_completion(client, body)

        outcomes = await asyncio.gather(*map(one, bodies, at))
        duration = time.perf_counter() - begin
    measured = result(
        outcomes,
        duration=duration,
        metrics=options.percentile_metrics,
        percentiles=options.metric_percentiles,
        goodput=options.goodput,
    )
    for error in sorted({outcome.error for outcome in outcomes if outcome.error})[:5]:
        print(f"failed: {error}", file=sys.stderr)
    return {
        "date": datetime.now().strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": "openai",
        "model_id": model,
        "num_prompts": options.num_prompts,
        "request_rate": "inf" if options.request_rate == float("inf") else options.request_rate,
        "burstiness": options.burstiness,
        "max_concurrency": options.max_concurrency,
        **measured,
        **(details(outcomes) if options.save_detailed else {}),
    }


async def _first_model(client: httpx.AsyncClient) -> str:
    reply = await client.get("/v1/models")
    reply.raise_for_status()
    return str(reply.json()["data"][0]["id"])


def _soak_options(options: argparse.Namespace) -> SoakOptions:
    return SoakOptions(
        base_url=options.base_url,
        headers=options.header,
        seconds=options.soak_seconds,
        clients=options.clients,
        seed=options.seed,
        server_pid=options.server_pid,
        growth_mib=options.max_rss_growth_mib,
        allow_unequal=options.allow_unequal_repeats,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the server listens")
    parser.add_argument("--model", help="name of a served model; the first one when not given")
    parser.add_argument("--header", nargs="*", default=[], metavar="KEY=VALUE", help="headers of every request")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result-filename", type=Path, metavar="FILE", help="write the result as JSON")
    bench = parser.add_argument_group("bench")
    bench.add_argument("--dataset-name", choices=["random"], default="random")
    bench.add_argument("--num-prompts", type=_count, default=1000)
    bench.add_argument("--random-input-len", type=_count, default=1024, help="tokens of a prompt")
    bench.add_argument("--random-output-len", type=_count, default=128, help="tokens of an output, at most")
    bench.add_argument("--random-range-ratio", type=_share, default=0.0, help="lengths vary by this share of themselves")
    bench.add_argument(
        "--request-rate", type=_positive, default=float("inf"), help="requests per second; inf sends all at once"
    )
    bench.add_argument("--burstiness", type=_positive, default=1.0, help="1 is a Poisson process, less comes in bursts")
    bench.add_argument("--max-concurrency", type=_count, help="requests under way at once, at most")
    bench.add_argument("--temperature", type=float, default=0.0)
    bench.add_argument("--ignore-eos", action="store_true", help="outputs go on to their length")
    bench.add_argument(
        "--percentile-metrics", type=_names, default=list(METRICS), metavar="NAMES", help=f"out of {','.join(METRICS)}"
    )
    bench.add_argument("--metric-percentiles", type=_percentiles, default=[99.0], metavar="NUMBERS", help="such as 50,99")
    bench.add_argument(
        "--goodput",
        nargs="*",
        default=[],
        metavar="NAME:MS",
        help=f"limits of a good request, out of {','.join(GOODPUT_METRICS)}",
    )
    bench.add_argument("--save-detailed", action="store_true", help="the result lists every request")
    soaking = parser.add_argument_group("soak")
    soaking.add_argument("--soak-seconds", type=_positive, help="soak for this long instead of measuring")
    soaking.add_argument("--clients", type=_count, default=64)
    soaking.add_argument(
        "--server-pid", type=_count, help="the server's process on this machine: watch memory and file handles"
    )
    soaking.add_argument("--max-rss-growth-mib", type=float, default=32.0, help="allowed after the first quarter")
    soaking.add_argument(
        "--allow-unequal-repeats", action="store_true", help="for bases whose last bits depend on the batch: count, do not fail"
    )
    options = parser.parse_args(arguments)
    try:
        options.header = _pairs(options.header, "=")
        options.goodput = {name: float(limit) for name, limit in _pairs(options.goodput, ":").items()}
    except ValueError as error:
        parser.error(f"expected --header KEY=VALUE and --goodput NAME:MS, got {error}")
    if unknown := set(options.goodput) - set(GOODPUT_METRICS):
        parser.error(
            f"argument --goodput: expected names out of {', '.join(GOODPUT_METRICS)}, got {', '.join(sorted(unknown))}"
        )
    return options


def _pairs(given: list[str], separator: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, found, value = text.partition(separator)
        if not found:
            raise ValueError(text)
        pairs[name] = value
    return pairs


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a share in 0..1, below 1, got {text}")
    return value


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(METRICS):
        raise argparse.ArgumentTypeError(f"expected names out of {','.join(METRICS)}, got {text}")
    return names


def _percentiles(text: str) -> list[float]:
    values = [float(part) for part in text.split(",")]
    if not all(0 <= value <= 100 for value in values):
        raise argparse.ArgumentTypeError(f"expected numbers from 0 to 100, got {text}")
    return values


if __name__ == "__main__":
    sys.exit(main())
