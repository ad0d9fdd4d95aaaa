"""Passes captured in CUDA graphs on a device: what they give, and that a failed capture costs the graphs alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builderbrain.hosts import load_host
from builderbrain.hosts.decode_graphs import DecodeGraphs, GraphPlan, graph_sizes
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.quantization import Quantization
from builderbrain.hosts.recording import CudaRecorder
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from tests.hosts.test_decode_graphs import PAGE, Traffic
from tests.hosts.tiny_models import FAMILIES, save_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICE = torch.device("cuda", 0)


def host_of(folder: Path, family: str, quantization: Quantization = "none") -> HuggingFaceHost:
    if quantization != "none":
        pytest.importorskip("bitsandbytes")
    host = load_host(
        str(save_model(FAMILIES[family](), folder)), quantization=quantization, dtype=torch.bfloat16, device=DEVICE
    )
    assert isinstance(host, HuggingFaceHost)
    return host


def graphs_of(host: HuggingFaceHost) -> DecodeGraphs:
    plan = GraphPlan(sizes=(1, 2, 4, 8), max_length=32, recorder=CudaRecorder(DEVICE))
    return DecodeGraphs(host, host.new_pages(40, PAGE), plan)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize(
    ("family", "quantization"), [*((family, "none") for family in sorted(FAMILIES)), ("llama", "nf4"), ("qwen3", "nf4")]
)
def test_replayed_passes_give_what_operations_give(family: str, quantization: Quantization, tmp_path: Path) -> None:
    host = host_of(tmp_path, family, quantization)
    graphs, alone = graphs_of(host), host.new_pages(40, PAGE)
    graphs.capture_all()
    assert graphs.refusal is None
    traffic = Traffic(seed=len(family))
    for _ in range(40):
        batch = traffic.batch(most=8)
        found, wanted = graphs.forward(batch), host.forward_ragged(batch, alone)
        assert torch.equal(found.tokens, wanted.tokens)
        for mine, theirs in zip(found.taps, wanted.taps, strict=True):
            assert relative(mine, theirs) < 0.03
        rows = found.taps[-1][0].clone()
        assert relative(graphs.logits(rows), host.ragged_logits(rows)) < 0.03
    assert graphs.refusal is None
    assert graphs.counts["captured"] == 40


def test_recording_writes_to_no_page(tmp_path: Path) -> None:
    graphs = graphs_of(host_of(tmp_path, "llama"))
    graphs.capture_all()
    assert not any(held.any() for held in (*graphs.pages.keys.values(), *graphs.pages.values.values()))  # type: ignore[attr-defined]


def test_what_waits_for_the_device_is_refused_and_the_device_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_of(tmp_path, "llama")
    graphs, alone = graphs_of(host), host.new_pages(40, PAGE)
    forward = host.forward_ragged

    def looking(batch, pages):  # type: ignore[no-untyped-def]
        states = forward(batch, pages)
        states.taps[-1].sum().item()
        return states

    monkeypatch.setattr(host, "forward_ragged", looking)
    graphs.capture_all()
    assert graphs.refusal is not None
    assert "the host waits for the device" in graphs.refusal
    traffic = Traffic(2)
    for _ in range(5):
        batch = traffic.batch(most=8)
        assert torch.equal(graphs.forward(batch).taps[-1], forward(batch, alone).taps[-1])
    assert torch.cuda.get_sync_debug_mode() == 0


def test_a_batcher_over_graphs_says_what_one_without_says(tmp_path: Path) -> None:
    host = host_of(tmp_path, "qwen3")
    said = []
    for plan in (None, GraphPlan(sizes=graph_sizes(16), max_length=64, recorder=CudaRecorder(DEVICE))):
        batcher = Batcher(host, num_pages=64, max_tokens=32, graphs=plan)
        model = BatchedModel(batcher, None)
        states = [model.start([5, 9, 2, 7, number, 30, 4]) for number in range(10)]
        logits = []
        for step in range(12):
            for _ in range(10):
                if all(state.ready for state in states):
                    break
                batcher.run()
            logits.append(torch.stack([state.logits() for state in states]))
            for number, state in enumerate(states):
                state.append((7 * step + number) % 256)
        said.append(torch.stack(logits))
    assert relative(said[1], said[0]) < 0.03
    assert batcher.graphs is not None
    assert batcher.graphs.counts["captured"] >= 11
    assert batcher.graphs.refusal is None
