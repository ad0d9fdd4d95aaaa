"""The decode step of whole bases: operation by operation and as a captured graph, beside the bytes that it must read.

A step is one token for each of some sequences of 512 positions: the base, its final norm and its head, from numbers on the
host to logits on the device, waited for at its end as the drawing of a token waits. Its floor is the time in which the machine
copies as many bytes as the weights of layers and head and the keys and values of the sequences are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.accelerator.bases import SHAPES, TINY, Shape, Weights, random_host, weight_bytes
from benchmarks.accelerator.case import Scale
from benchmarks.accelerator.floors import Floors
from builderbrain.hosts.decode_graphs import DecodeGraphs, GraphPlan
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.hosts.recording import CudaRecorder

PAGE = 16
TARGET = 0.8
"""Share of the floor that a step of one sequence is to reach."""
_MOST_ERROR = 0.05
"""Of captured logits beside those made operation by operation, relative: forty layers in bfloat16 round away hundredths."""
_WARM_UP, _STEPS, _SECONDS = 3, 30, 1.5


def measure(scale: Scale, floors: Floors, shapes: tuple[str, ...], device: torch.device) -> Iterator[dict[str, Any]]:
    """A row for each base, kind of weights and number of sequences."""
    on_device = scale == "accelerator"
    counts, positions = ((1, 16, 64), 512) if on_device else ((1, 3), 40)
    kinds: tuple[Weights, ...] = ("bf16", "nf4") if on_device else ("bf16",)
    for name in shapes if on_device else ("tiny",):
        for weights in kinds:
            yield from _rows(name, SHAPES.get(name, TINY), weights, counts, positions, floors, device)
            if on_device:
                torch.cuda.empty_cache()


def as_table(rows: list[dict[str, Any]]) -> list[str]:
    """The same as Markdown."""
    lines = [
        "| base | weights | sequences | by operations, ms | captured, ms | times | floor, by operations | floor, captured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        eager, captured = row["eager_seconds"], row["captured_seconds"]
        said = row["refusal"] or "-"
        graph = f"{captured * 1e3:.2f} | {eager / captured:.1f}" if captured else f"{said} | -"
        share = f"{row['floor_seconds'] / captured:.0%}" if captured else "-"
        if captured and row["sequences"] == 1:
            share += " (goal met)" if row["floor_seconds"] / captured >= TARGET else f" (**goal of {TARGET:.0%} missed**)"
        lines.append(
            f"| {row['base']} | {row['weights']} | {row['sequences']} | {eager * 1e3:.2f} | {graph} "
            f"| {row['floor_seconds'] / eager:.0%} | {share} |"
        )
    return lines


def _rows(
    name: str, shape: Shape, weights: Weights, counts: tuple[int, ...], positions: int, floors: Floors, device: torch.device
) -> Iterator[dict[str, Any]]:
    begin = time.monotonic()
    host = random_host(shape, weights, device, max_length=2 * positions)
    per_text = positions // PAGE + 1
    pages = host.new_pages(counts[-1] * per_text, PAGE)
    recorder = CudaRecorder(device) if device.type == "cuda" else None
    plan = None if recorder is None else GraphPlan(sizes=counts, max_length=positions + PAGE, recorder=recorder)
    graphs = None if plan is None else DecodeGraphs(host, pages, plan)
    if graphs is not None:
        graphs.capture_all()
    print(f"{name}, {weights}: ready after {time.monotonic() - begin:.1f} s", flush=True)
    # A position's keys and values in all layers, two bytes or four each.
    kept = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * torch.finfo(host.dtype).bits // 8
    for count in counts:
        tokens = [[token] for token in range(1, count + 1)]
        held = [list(range(place * per_text, (place + 1) * per_text)) for place in range(count)]
        batch = RaggedBatch.of(tokens, [positions - 1] * count, held, page_size=PAGE)
        for keys in (*getattr(pages, "keys", {}).values(), *getattr(pages, "values", {}).values()):
            keys.normal_()
        eager = _seconds(lambda batch=batch: _logits(host, batch, pages), device)
        captured, refusal = None, "no CUDA device" if graphs is None else graphs.refusal
        if graphs is not None and refusal is None:
            captured = _seconds(lambda batch=batch: _captured(graphs, batch), device)
            found, wanted = _captured(graphs, batch).float(), _logits(host, batch, pages).float()
            error = float((found - wanted).norm() / wanted.norm())
            refusal = graphs.refusal if error <= _MOST_ERROR else f"captured logits are off by {error:.1%}"
            captured = captured if refusal is None else None
        moved = weight_bytes(host, weights) + count * positions * kept
        yield {
            "base": name, "weights": weights, "sequences": count, "positions": positions, "bytes": moved,
            "floor_seconds": moved / floors.copy, "eager_seconds": eager, "captured_seconds": captured,
            "refusal": refusal,
        }  # fmt: skip


def _logits(host: HuggingFaceHost, batch: RaggedBatch, pages: Any) -> torch.Tensor:
    return host.ragged_logits(host.forward_ragged(batch, pages).taps[-1][0])


def _captured(graphs: DecodeGraphs, batch: RaggedBatch) -> torch.Tensor:
    return graphs.logits(graphs.forward(batch).taps[-1][0])


def _seconds(step: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Median time of a step that is waited for."""
    times: list[float] = []
    begin = time.monotonic()
    while len(times) < _WARM_UP + 5 or (len(times) < _STEPS and time.monotonic() - begin < _SECONDS):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[_WARM_UP:])
