"""Recorded passes give what passes run operation by operation give, touch nobody else's pages, and say what they refuse."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from builderbrain.errors import ConfigError, RecordingError
from builderbrain.hosts.decode_graphs import DecodeGraphs, GraphPlan, graph_sizes
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.paged_cache import PagedCache
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.hosts.recording import Recorder
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.recorded_operators import OperatorRecorder, as_on_a_device
from tests.hosts.tiny_models import FAMILIES, tiny_tokenizer

__all__ = ["as_on_a_device"]
pytestmark = pytest.mark.usefixtures("as_on_a_device")
PAGE = 4
ONLY_FLOAT32 = ("gemma2", "gpt_oss")
"""Families that round to float32 somewhere, or have products for it alone."""


def host_of(family: str) -> HuggingFaceHost:
    """In float64 where that can be: there a difference is no rounding."""
    model = FAMILIES[family]() if family in ONLY_FLOAT32 else FAMILIES[family]().double()
    return HuggingFaceHost(model, HuggingFaceTokenizer(tiny_tokenizer()), name=family)


def graphs_of(
    host: HuggingFaceHost, sizes: Sequence[int] = (1, 2, 4, 8), *, pages: int = 40, recorder: Recorder | None = None
) -> DecodeGraphs:
    plan = GraphPlan(sizes=sizes, max_length=32, recorder=recorder or OperatorRecorder())
    return DecodeGraphs(host, host.new_pages(pages, PAGE), plan)


class Traffic:
    """Random sequences that come, grow by one or several tokens, and go. `pages` are shared out to them in no order."""

    def __init__(self, seed: int, pages: int = 40) -> None:
        self.rng = random.Random(seed)
        self.free = list(range(pages))
        self.rng.shuffle(self.free)
        self.texts: list[list[int]] = []
        self.held: list[list[int]] = []

    def batch(self, most: int) -> RaggedBatch:
        """The next tokens of some sequences, at most `most` in all."""
        for place in reversed(range(len(self.texts))):
            if len(self.texts[place]) > 24 or self.rng.random() < 0.15:
                self.free += self.held.pop(place)
                self.texts.pop(place)
        while not self.texts or (len(self.texts) < 6 and self.rng.random() < 0.5):
            self.texts.append([])
            self.held.append([])
        new, known, pages = [], [], []
        for text, held in self.rng.sample(list(zip(self.texts, self.held, strict=True)), len(self.texts)):
            count = min(most - sum(map(len, new)), self.rng.choice([1, 1, 1, 2, 3]))
            if not count:
                continue
            known.append(len(text))
            new.append([self.rng.randrange(256) for _ in range(count)])
            text += new[-1]
            while len(held) * PAGE < len(text):
                held.append(self.free.pop())
            pages.append(list(held))
        return RaggedBatch.of(new, known, pages, page_size=PAGE)


def told(graphs: DecodeGraphs) -> dict[str, int]:
    """The kinds of passes that there were."""
    return {kind: count for kind, count in graphs.counts.items() if count}


def held_of(pages: PagedCache) -> list[Tensor]:
    return [*pages.keys.values(), *pages.values.values()]


def assert_same(found: Tensor, wanted: Tensor) -> None:
    near = 1e-10 if found.dtype == torch.float64 else 2e-5
    torch.testing.assert_close(found, wanted, atol=near * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_replayed_passes_give_what_operations_give_while_sequences_come_grow_and_go(family: str) -> None:
    host = host_of(family)
    graphs, alone = graphs_of(host), host.new_pages(40, PAGE)
    traffic = Traffic(seed=len(family))
    for _ in range(25):
        batch = traffic.batch(most=8)
        found, wanted = graphs.forward(batch), host.forward_ragged(batch, alone)
        assert torch.equal(found.tokens, wanted.tokens)
        for mine, theirs in zip(
            (found.embedding, found.unembedding, *found.taps), (wanted.embedding, wanted.unembedding, *wanted.taps), strict=True
        ):
            assert_same(mine, theirs)
        rows = found.taps[-1][0]
        assert_same(graphs.logits(rows), host.ragged_logits(rows))
    for mine, theirs in zip(held_of(graphs.pages), held_of(alone), strict=True):
        assert_same(mine, theirs)
    assert told(graphs) == {"captured": 25}
    assert graphs.refusal is None


def test_rows_that_are_not_there_touch_no_page_and_see_none() -> None:
    host = host_of("llama")
    graphs = graphs_of(host, sizes=[8])
    pages = graphs.pages
    graphs.capture_all()
    for held in held_of(pages):
        assert not held.any(), "recording writes nothing"
        held.fill_(torch.nan)
    batch = RaggedBatch.of([[5, 9, 2], [7]], [0, 0], [[11], [3]], page_size=PAGE)
    assert all(tap.isfinite().all() for tap in graphs.forward(batch).taps)
    for held in held_of(pages):
        written = held.isfinite().flatten(2).all(-1)
        assert written.nonzero().tolist() == [[3, 0], [11, 0], [11, 1], [11, 2]]


@pytest.mark.parametrize(("tokens", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8)])
def test_a_pass_takes_the_smallest_size_that_holds_it(tokens: int, size: int) -> None:
    recorder = OperatorRecorder()
    graphs = graphs_of(host_of("llama"), recorder=recorder)
    graphs.forward(RaggedBatch.of([[1]] * tokens, [0] * tokens, [[page] for page in range(tokens)], page_size=PAGE))
    assert set(graphs._passes) == {size}
    assert recorder.recordings == 1
    graphs.capture_all()
    assert recorder.recordings == 8  # four sizes of passes and of heads
    graphs.capture_all()
    assert recorder.recordings == 8


def test_what_does_not_fit_runs_operation_by_operation_and_is_counted() -> None:
    host = host_of("llama")
    graphs, alone = graphs_of(host, sizes=[2, 4]), host.new_pages(40, PAGE)
    prompt = RaggedBatch.of([[1, 2, 3, 4, 5]], [0], [[0, 1]], page_size=PAGE)
    wide = RaggedBatch.of([[1]], [0], [list(range(2, 11))], page_size=PAGE)
    for batch in (prompt, wide):
        assert torch.equal(graphs.forward(batch).taps[-1], host.forward_ragged(batch, alone).taps[-1])
    assert told(graphs) == {"too_many_tokens": 1, "too_long": 1}
    rows = torch.randn(5, host.d_model, dtype=host.dtype)
    assert torch.equal(graphs.logits(rows), host.ragged_logits(rows))


def test_logits_outlive_the_next_pass() -> None:
    host = host_of("qwen3")
    graphs = graphs_of(host)
    one, other = torch.randn(2, 3, host.d_model, dtype=host.dtype)
    first = graphs.logits(one)
    graphs.logits(other)
    assert_same(first, host.ragged_logits(one))


def test_experts_that_look_where_tokens_go_are_refused_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    host = host_of("gpt_oss")
    host.model.set_experts_implementation("eager")
    graphs, alone = graphs_of(host), host.new_pages(40, PAGE)
    batches = [Traffic(seed).batch(most=8) for seed in range(3)]
    with caplog.at_level(logging.WARNING):
        for batch in batches:
            assert torch.equal(graphs.forward(batch).taps[-1], host.forward_ragged(batch, alone).taps[-1])
            rows = torch.ones(2, host.d_model, dtype=host.dtype)
            assert torch.equal(graphs.logits(rows), host.ragged_logits(rows))
    assert told(graphs) == {"refused": 3}
    assert graphs.refusal is not None
    assert "the host waits for the device" in graphs.refusal
    assert [record.getMessage().count("no CUDA graphs") for record in caplog.records] == [1]


class Broken(OperatorRecorder):
    """Records as it should and replays otherwise; `bad` is called in place of the replays numbered from `after` on."""

    def __init__(self, bad: Callable[[], None], after: int = 0) -> None:
        super().__init__()
        self.bad, self.after, self.replays = bad, after, 0

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        replay = super().record(function)

        def run() -> None:
            self.replays += 1
            (replay if self.replays <= self.after else self.bad)()

        return run


def test_a_replay_that_gives_other_states_is_found_and_its_pass_made_right(caplog: pytest.LogCaptureFixture) -> None:
    host = host_of("llama")
    graphs, alone = graphs_of(host, recorder=Broken(lambda: None)), host.new_pages(40, PAGE)
    batch = Traffic(3).batch(most=8)
    with caplog.at_level(logging.WARNING):
        found, wanted = graphs.forward(batch), host.forward_ragged(batch, alone)
    for mine, theirs in zip(found.taps, wanted.taps, strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(held_of(graphs.pages), held_of(alone), strict=True):
        assert torch.equal(mine, theirs)
    assert "gave other states" in caplog.text
    assert graphs.refusal is not None
    graphs.forward(batch)
    assert graphs.counts["refused"] == 1


def test_wrong_logits_are_found(caplog: pytest.LogCaptureFixture) -> None:
    host = host_of("llama")
    graphs = graphs_of(host, recorder=Broken(lambda: None))
    rows = torch.randn(2, host.d_model, dtype=host.dtype)
    assert torch.equal(graphs.logits(rows), host.ragged_logits(rows))
    assert graphs.refusal is not None


def test_a_device_that_cannot_record_costs_the_graphs_alone() -> None:
    class Nowhere:
        def record(self, function: Callable[[], None]) -> Callable[[], None]:
            raise RuntimeError("no such device\nand more")

    host = host_of("llama")
    graphs = graphs_of(host, recorder=Nowhere())
    graphs.capture_all()
    assert graphs.refusal == "RuntimeError: no such device"
    batch = Traffic(1).batch(most=4)
    assert torch.equal(graphs.forward(batch).taps[-1], host.forward_ragged(batch, host.new_pages(40, PAGE)).taps[-1])


def test_a_recording_is_what_it_was_whatever_tensors_hold_later() -> None:
    """The recorder itself: it must not be kinder than a graph."""
    held, out = torch.tensor([1.0, 2.0]), torch.zeros(2)
    recorder = OperatorRecorder()
    scale = [2.0]

    def threefold() -> None:
        out.copy_(held * 3.0)

    def scaled() -> None:
        out.copy_(held * scale[0])

    good, baked = recorder.record(threefold), recorder.record(scaled)
    held.copy_(torch.tensor([5.0, 7.0]))
    scale[0] = 100.0
    good()
    assert out.tolist() == [15.0, 21.0]
    baked()
    assert out.tolist() == [10.0, 14.0]
    with pytest.raises(RecordingError, match="waits"):
        recorder.record(lambda: [held.sum().item()].clear())


def test_sizes_are_dense_where_passes_are_small() -> None:
    assert graph_sizes(1) == (1,)
    assert graph_sizes(20) == (1, 2, 4, 8, 16, 20)
    assert graph_sizes(64) == (1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64)
    assert graph_sizes(300)[-4:] == (256, 272, 288, 300)
    with pytest.raises(ConfigError, match="ascending sizes"):
        GraphPlan(sizes=[4, 2], max_length=8, recorder=OperatorRecorder())
