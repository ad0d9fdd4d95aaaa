"""From timed requests to the result that `vllm bench serve` writes: its field names, its definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.load.streams import Timed

METRICS = {
    "ttft": "Time to First Token",
    "tpot": "Time per Output Token (excl. 1st token)",
    "itl": "Inter-token Latency",
    "e2el": "End-to-end Latency",
}
GOODPUT_METRICS = ("ttft", "tpot", "e2el")
"""What one request has one value of."""
MILLISECONDS = 1000.0


def percentile_name(percentile: float) -> str:
    """`p99`, `p99.9`."""
    return f"p{percentile:g}"


def result(
    outcomes: Sequence[Timed],
    *,
    duration: float,
    metrics: Sequence[str],
    percentiles: Sequence[float],
    goodput: dict[str, float],
) -> dict[str, Any]:
    """The measured part of the result.

    Args:
        outcomes: every request, failed ones too; these count in `failed` and in nothing else.
        duration: seconds from the first request to the last answer.
        metrics: names out of `METRICS` to report.
        percentiles: of each of them, 0 to 100.
        goodput: limits in milliseconds by name out of `GOODPUT_METRICS`; a request within all of them is good.
    """
    whole = [outcome for outcome in outcomes if not outcome.error]
    # A request of one token has no time between tokens: it is left out of tpot, and counts as 0 for goodput.
    per_token = [
        (outcome.latency - outcome.ttft) / (outcome.output_len - 1) if outcome.output_len > 1 else None for outcome in whole
    ]
    values: dict[str, list[float]] = {
        "ttft": [outcome.ttft for outcome in whole],
        "tpot": [each for each in per_token if each is not None],
        "itl": [gap for outcome in whole for gap in outcome.itl],
        "e2el": [outcome.latency for outcome in whole],
    }
    every = {"ttft": values["ttft"], "tpot": [each or 0.0 for each in per_token], "e2el": values["e2el"]}
    good = sum(
        all(every[name][index] * MILLISECONDS <= limit for name, limit in goodput.items()) for index in range(len(whole))
    )
    total_input = sum(outcome.prompt_len for outcome in whole)
    total_output = sum(outcome.output_len for outcome in whole)
    tokens, together = _peaks(whole)
    found: dict[str, Any] = {
        "duration": duration,
        "completed": len(whole),
        "failed": len(outcomes) - len(whole),
        "total_input_tokens": total_input,
        "total_output_tokens": total_output,
        "request_throughput": len(whole) / duration,
        "request_goodput": good / duration if goodput else None,
        "output_throughput": total_output / duration,
        "total_token_throughput": (total_input + total_output) / duration,
        "max_output_tokens_per_s": tokens,
        "max_concurrent_requests": together,
    }
    for name in metrics:
        measured = np.array(values[name] or [0.0]) * MILLISECONDS
        found[f"mean_{name}_ms"] = float(measured.mean())
        found[f"median_{name}_ms"] = float(np.median(measured))
        found[f"std_{name}_ms"] = float(measured.std())
        for percentile in percentiles:
            found[f"{percentile_name(percentile)}_{name}_ms"] = float(np.percentile(measured, percentile))
    return found


def details(outcomes: Sequence[Timed]) -> dict[str, list[Any]]:
    """The lists per request that `--save-detailed` adds."""
    return {
        "input_lens": [outcome.prompt_len for outcome in outcomes],
        "output_lens": [outcome.output_len for outcome in outcomes],
        "ttfts": [outcome.ttft for outcome in outcomes],
        "itls": [outcome.itl for outcome in outcomes],
        "generated_texts": [outcome.text for outcome in outcomes],
        "errors": [outcome.error for outcome in outcomes],
    }


def table(found: dict[str, Any], *, metrics: Sequence[str], percentiles: Sequence[float]) -> str:
    """The result as lines for people."""
    lines = [
        ("Successful requests", found["completed"]),
        ("Failed requests", found["failed"]),
        ("Benchmark duration (s)", found["duration"]),
        ("Total input tokens", found["total_input_tokens"]),
        ("Total generated tokens", found["total_output_tokens"]),
        ("Request throughput (req/s)", found["request_throughput"]),
        ("Output token throughput (tok/s)", found["output_throughput"]),
        ("Total token throughput (tok/s)", found["total_token_throughput"]),
        ("Peak concurrent requests", found["max_concurrent_requests"]),
    ]
    if found["request_goodput"] is not None:
        lines.append(("Request goodput (req/s)", found["request_goodput"]))
    for name in metrics:
        keys = ["mean", "median", *map(percentile_name, percentiles)]
        lines += [(f"{METRICS[name]}, {key} (ms)", found[f"{key}_{name}_ms"]) for key in keys]
    return "\n".join(
        f"{label + ':':<58}{value:.2f}" if isinstance(value, float) else f"{label + ':':<58}{value}" for label, value in lines
    )


def _peaks(whole: Sequence[Timed]) -> tuple[float, int]:
    """Most events with text in one second, and most requests under way in one second."""
    if not whole:
        return 0.0, 0
    begin = min(outcome.start for outcome in whole)
    seconds = int(max(outcome.start + outcome.latency for outcome in whole) - begin) + 1
    tokens, together = np.zeros(seconds), np.zeros(seconds)
    for outcome in whole:
        times = outcome.start - begin + outcome.ttft + np.cumsum([0.0, *outcome.itl])
        np.add.at(tokens, np.minimum(times.astype(int), seconds - 1), 1)
        together[int(outcome.start - begin) : int(outcome.start - begin + outcome.latency) + 1] += 1
    return float(tokens.max()), int(together.max())
