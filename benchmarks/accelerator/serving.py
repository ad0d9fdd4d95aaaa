"""Throughput of serving: 256 requests at once, prompts and outputs of 100 to 1,024 tokens, seed 0 (mini-sglang's protocol).

Prompts are random tokens, and so nothing is taken over from one to the next; temperature 0.6; the end of a sequence ends none
(its token is one of 151,936, and weights are random). Beside it `transformers`' `generate` with sixteen such requests, whose
outputs are at most 256 tokens, as one left-padded batch; the engine runs the same sixteen. No HTTP and no grammar.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.accelerator.bases import SHAPES, TINY, random_host
from benchmarks.accelerator.case import Scale
from benchmarks.accelerator.decode_step import PAGE
from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.hosts.decode_graphs import GraphPlan, graph_sizes
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.recording import CudaRecorder
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher

GOAL = 10.0
"""Times the throughput of `generate`, for a base of eight billion weights."""
_BESIDE, _SHORT = 16, 256
"""Requests and most tokens beside `generate`."""


@dataclass(frozen=True)
class Request:
    """A prompt and how many tokens are asked for."""

    prompt: list[int]
    tokens: int


def requests(count: int, shortest: int, longest: int) -> list[Request]:
    """The protocol's, seed 0."""
    rng = random.Random(0)
    return [
        Request([rng.randrange(1, 256) for _ in range(rng.randint(shortest, longest))], rng.randint(shortest, longest))
        for _ in range(count)
    ]


def measure(scale: Scale, shapes: tuple[str, ...], device: torch.device) -> Iterator[dict[str, Any]]:
    """A row for each base."""
    on_device = scale == "accelerator"
    asked = requests(256, 100, 1024) if on_device else requests(4, 3, 8)
    for name in shapes if on_device else ("tiny",):
        host = random_host(SHAPES.get(name, TINY), "bf16", device, max_length=4096 if on_device else 64)
        batcher, captured = _batcher(host, asked)
        begin = time.monotonic()
        if captured is not None:
            captured.capture_all()
        ready = time.monotonic() - begin
        few = [Request(one.prompt, min(one.tokens, _SHORT)) for one in asked[:_BESIDE]]
        ours = _serve(batcher, few, device)
        theirs = _generate(host, few, device)
        before = {} if captured is None else dict(captured.counts)
        whole = _serve(batcher, asked, device)
        yield {
            "base": name, "requests": len(asked), "prompt_tokens": sum(len(one.prompt) for one in asked), **whole,
            "capture_seconds": ready, "refusal": "no CUDA device" if captured is None else captured.refusal,
            "passes": {} if captured is None else {kind: count - before[kind] for kind, count in captured.counts.items()},
            "beside": {"requests": len(few), "engine": ours, "generate": theirs},
        }  # fmt: skip
        print(f"{name}: {whole['tokens_per_second']:,.0f} tokens/s", flush=True)
        del batcher, captured, host
        if on_device:
            torch.cuda.empty_cache()


def as_table(rows: list[dict[str, Any]]) -> list[str]:
    """The same as Markdown."""
    lines = [
        "| base | requests | tokens out | seconds | tokens/s | passes captured | 16 requests: engine | generate | times |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, theirs = row["beside"]["engine"]["tokens_per_second"], row["beside"]["generate"]["tokens_per_second"]
        passes = row["passes"]
        share = f"{passes['captured'] / sum(passes.values()):.0%}" if any(passes.values()) else row["refusal"]
        judged = "" if row["base"] != "8B" else " (goal met)" if ours / theirs >= GOAL else f" (**goal of {GOAL:g} missed**)"
        lines.append(
            f"| {row['base']} | {row['requests']} | {row['tokens']:,} | {row['seconds']:.1f} | {row['tokens_per_second']:,.0f} "
            f"| {share} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f}{judged} |"
        )
    return lines


def _batcher(host: HuggingFaceHost, asked: Sequence[Request]) -> tuple[Batcher, Any]:
    longest = max(len(one.prompt) + one.tokens for one in asked)
    pages = sum(-(-(len(one.prompt) + one.tokens) // PAGE) for one in asked)
    plan = None
    if host.device.type == "cuda":
        recorder = CudaRecorder(host.device)
        # Decode passes of all requests fit; fewer sizes than a server records, for what recording takes here.
        sizes = [size for size in graph_sizes(len(asked)) if size < 32 or size % 32 == 0]
        plan = GraphPlan(sizes=sizes, max_length=longest + PAGE, recorder=recorder)
    batcher = Batcher(host, num_pages=pages, max_tokens=2048, page_size=PAGE, reuse=False, graphs=plan)
    return batcher, batcher.graphs


def _serve(batcher: Batcher, asked: Sequence[Request], device: torch.device) -> dict[str, Any]:
    """All at once, as the server's worker advances outputs."""
    model = BatchedModel(batcher, None)
    begin = time.perf_counter()
    left = [
        Decoding(model, one.prompt, SamplingParameters(max_tokens=one.tokens, temperature=0.6, seed=seed))
        for seed, one in enumerate(asked)
    ]
    tokens = 0
    while left:
        for output in tuple(left):
            if output.ready() and output.step() is None:
                output.close()
                left.remove(output)
                tokens += len(output.result().tokens)
        batcher.run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return _rate(tokens, time.perf_counter() - begin)


def _generate(host: HuggingFaceHost, asked: Sequence[Request], device: torch.device) -> dict[str, Any]:
    """The peer runs until the longest output has ended; what others asked for counts, and no more."""
    longest = max(len(one.prompt) for one in asked)
    ids = torch.tensor([[0] * (longest - len(one.prompt)) + one.prompt for one in asked], device=device)
    mask = (
        torch.arange(longest, device=device) >= longest - torch.tensor([[len(one.prompt)] for one in asked], device=device)
    ).long()
    most = max(one.tokens for one in asked)
    options = {"do_sample": True, "temperature": 0.6, "top_k": 0, "top_p": 1.0, "pad_token_id": 0, "eos_token_id": None}
    host.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=2, **options)
    begin = time.perf_counter()
    host.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=most, min_new_tokens=most, **options)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return _rate(sum(one.tokens for one in asked), time.perf_counter() - begin)


def _rate(tokens: int, seconds: float) -> dict[str, Any]:
    return {"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds}
