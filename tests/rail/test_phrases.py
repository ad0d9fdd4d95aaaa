"""Phrase embeddings tell short runs of tokens apart, read nothing that comes later, and go on from a cache."""

from __future__ import annotations

import torch

from builderbrain.rail.config import RailConfig
from builderbrain.rail.phrases import REACH, PhraseEmbedding
from tests.rail.conftest import family_host, make_rail


def embedding() -> PhraseEmbedding:
    torch.manual_seed(0)
    return PhraseEmbedding(RailConfig(base_name="x", d_model=12, tap_points=(0,), width=8, phrase_slots=4096, phrase_width=6))


def read(tokens: list[int]) -> torch.Tensor:
    row = torch.tensor([[-1] * REACH + tokens])
    return embedding()(row)[0]


def test_the_last_three_tokens_decide_and_no_other() -> None:
    one, other = read([5, 1, 2, 3, 9]), read([7, 1, 2, 3, 4])
    torch.testing.assert_close(one[3], other[3])
    for changed in ([5, 8, 2, 3, 9], [5, 1, 8, 3, 9], [5, 1, 2, 8, 9]):
        assert not torch.allclose(read(changed)[3], one[3])
    assert not torch.allclose(read([5, 1, 3, 2, 9])[3], one[3])  # the order counts


def test_what_comes_later_changes_nothing() -> None:
    torch.testing.assert_close(read([5, 1, 2]), read([5, 1, 2, 6, 6])[:3])


def test_n_grams_of_a_real_vocabulary_spread_over_the_slots() -> None:
    pairs = torch.randint(0, 2048, (20_000, 2), generator=torch.Generator().manual_seed(1))
    rows = torch.cat([torch.full((len(pairs), 1), -1), pairs], 1)
    table = embedding()
    used: list[torch.Tensor] = []
    table.tables[0].register_forward_hook(lambda _module, inputs, _output: used.append(inputs[0]))
    table(rows)
    counts = torch.bincount(used[0][:, -1], minlength=4096).float()
    assert counts.max() < 40  # about 5 each; a bad hash heaps them up


def test_a_rail_reads_phrases_across_the_edge_of_a_cache() -> None:
    host = family_host("llama")
    rail = make_rail(host, jitter=0.3)
    tokens = torch.randint(5, host.vocab_size, (2, 12), generator=torch.Generator().manual_seed(3))
    whole = rail(host.forward(tokens)).features
    cache, host_cache = rail.new_cache(), host.new_cache()
    parts = [
        rail(host.forward(tokens[:, start:end], cache=host_cache), cache=cache).features
        for start, end in ((0, 1), (1, 2), (2, 3), (3, 7), (7, 12))
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)
