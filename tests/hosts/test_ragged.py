"""Many sequences in one row: each family gives a sequence the states that it has alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.tiny_models import FAMILIES, tiny_tokenizer

ROWS = [[5, 9, 2, 7, 1, 30, 4, 11, 8], [3, 3, 12], [40, 2, 6, 6, 1, 9, 22]]
PAGES = [[7, 0, 3], [5], [2, 6]]


@pytest.fixture(params=sorted(FAMILIES))
def host(request: pytest.FixtureRequest) -> HuggingFaceHost:
    family: Callable[[], PreTrainedModel] = FAMILIES[request.param]
    return HuggingFaceHost(family(), HuggingFaceTokenizer(tiny_tokenizer()), name=request.param)


def test_sequences_side_by_side_have_the_states_that_they_have_alone(host: HuggingFaceHost) -> None:
    pages = host.new_pages(num_pages=8, page_size=4)
    collected: list[list[list[torch.Tensor]]] = [[], [], []]
    known = [0, 0, 0]
    for sizes in ((4, 0, 7), (1, 3, 0), (4, 0, 0)):
        new = [row[before : before + size] for row, before, size in zip(ROWS, known, sizes, strict=True)]
        taking = [row for row, tokens in enumerate(new) if tokens]
        batch = RaggedBatch.of(
            [new[row] for row in taking], [known[row] for row in taking], [PAGES[row] for row in taking], page_size=4
        )
        states = host.forward_ragged(batch, pages)
        for place, row in enumerate(taking):
            rows = slice(int(batch.starts[place]), int(batch.starts[place + 1]))
            collected[row].append([state[0, rows] for state in (states.embedding, states.unembedding, *states.taps)])
            known[row] += len(new[row])
    for row, parts in zip(ROWS, collected, strict=True):
        alone = host.forward(torch.tensor([row]))
        for place, state in enumerate((alone.embedding, alone.unembedding, *alone.taps)):
            together = torch.cat([part[place] for part in parts])
            torch.testing.assert_close(together, state[0], atol=2e-5 * float(state.abs().max()), rtol=0)


def test_attention_outside_of_a_ragged_call_has_the_bits_it_had(host: HuggingFaceHost) -> None:
    tokens = torch.tensor([ROWS[0]])
    before = host.forward(tokens).taps
    host.new_pages(num_pages=1, page_size=4)
    cache = host.new_cache()
    parts = [host.forward(tokens[:, first:end], cache=cache).taps[-1] for first, end in ((0, 3), (3, 9))]
    assert all(torch.equal(one, other) for one, other in zip(before, host.forward(tokens).taps, strict=True))
    torch.testing.assert_close(torch.cat(parts, 1), before[-1], atol=2e-5 * float(before[-1].abs().max()), rtol=0)


def test_a_copied_page_says_what_the_first_one_says(host: HuggingFaceHost) -> None:
    pages = host.new_pages(num_pages=4, page_size=4)

    def run(new: list[int], known: int, held: list[int]) -> torch.Tensor:
        return host.forward_ragged(RaggedBatch.of([new], [known], [held], page_size=4), pages).taps[-1]

    run([5, 9, 2], 0, [0])
    pages.copy_page(0, 2)
    first = run([7, 1], 3, [0, 1])
    assert torch.equal(run([7, 1], 3, [2, 3]), first)
