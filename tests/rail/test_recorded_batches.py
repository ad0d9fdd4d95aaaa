"""A batcher whose passes are recorded: every output gets what it gets without, with shared pages and set-backs in between."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from builderbrain.hosts.decode_graphs import GraphPlan, graph_sizes
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from tests.hosts.recorded_operators import OperatorRecorder, as_on_a_device
from tests.hosts.tiny_models import FAMILIES, tiny_tokenizer
from tests.rail.conftest import make_rail

__all__ = ["as_on_a_device"]
pytestmark = pytest.mark.usefixtures("as_on_a_device")
PAGE = 4
START = [7, 7, 3, 9, 1, 30, 4, 11]
"""What some prompts begin with: two pages."""


@pytest.fixture(params=["llama", "mistral"])
def host(request: pytest.FixtureRequest) -> HuggingFaceHost:
    """In float64, so that a difference is no rounding."""
    return HuggingFaceHost(FAMILIES[request.param]().double(), HuggingFaceTokenizer(tiny_tokenizer()), name=request.param)


def follow(batcher: Batcher, seed: int, rails: list[Any]) -> list[list[Tensor]]:
    """Logits of each output of some traffic; which passes they came in depends on the seed alone."""
    rng = random.Random(seed)
    models = [BatchedModel(batcher, rail, weight_version=f"v{place}") for place, rail in enumerate(rails)]
    texts = [
        [*(START if rng.random() < 0.6 else []), *(rng.randrange(256) for _ in range(rng.randint(1, 9)))] for _ in range(9)
    ]
    after = [[[rng.randrange(256) for _ in range(rng.choice([1, 1, 1, 3]))] for _ in range(rng.randint(1, 7))] for _ in texts]
    said: list[list[Tensor]] = [[] for _ in texts]
    states: dict[int, Any] = {}
    waiting = list(range(len(texts)))
    for _ in range(300):
        if waiting and rng.random() < 0.6:
            number = waiting.pop()
            states[number] = models[number % len(models)].start(texts[number])
        batcher.run()
        for number, state in list(states.items()):
            if state.ready:
                said[number].append(state.logits())
                if len(said[number]) > len(after[number]):
                    states.pop(number).close()
                    continue
                for token in after[number][len(said[number]) - 1]:
                    state.append(token)
        if not waiting and not states:
            break
    assert not waiting
    assert not states
    return said


@pytest.mark.parametrize(("seed", "pages"), [(0, 60), (1, 60), (3, 11)])
def test_recorded_passes_change_nothing(host: HuggingFaceHost, seed: int, pages: int) -> None:
    rails = [None, make_rail(host, jitter=0.05).double(), None]
    plan = GraphPlan(sizes=graph_sizes(8), max_length=40, recorder=OperatorRecorder())
    plain = Batcher(host, num_pages=pages, page_size=PAGE, max_tokens=20)
    recorded = Batcher(host, num_pages=pages, page_size=PAGE, max_tokens=20, graphs=plan)
    wanted, found = follow(plain, seed, rails), follow(recorded, seed, rails)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(torch.stack(mine), torch.stack(theirs), atol=1e-9, rtol=0)
    assert recorded.counts == plain.counts
    assert recorded.counts.reused > 0
    assert (recorded.counts.set_back > 0) == (pages == 11)
    graphs = recorded.graphs
    assert graphs is not None
    assert graphs.refusal is None
    assert graphs.counts["captured"] > 5
    assert sum(graphs.counts.values()) == recorded.counts.passes
    assert recorded.pool.available == pages
