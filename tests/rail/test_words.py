"""Words are found whatever their case and however they are cut into tokens, from the tokens so far alone."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import torch

from builderbrain.hosts.base import Tokenizer
from builderbrain.hosts.load import load_host
from builderbrain.rail.cache import WordCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.words import WordEmbedding, spellings
from tests.rail.conftest import family_host, make_rail

TEXT = 'Read README.md, then look_up "the-Tokenizer" in src/reader2 and READ it.\nsurvey; read'


@cache
def nano() -> Tokenizer:
    return load_host("builderbrain-nano").tokenizer


@cache
def embedding() -> WordEmbedding:
    torch.manual_seed(0)
    config = RailConfig(base_name="x", d_model=12, vocab_size=nano().vocab_size, tap_points=(0,), width=8)
    words = WordEmbedding(config)
    words.spelling.copy_(spellings(nano()))
    return words


def follow(text: str) -> tuple[list[int], list[int], list[int]]:
    ids = nano().encode(text)
    word, before = embedding().follow(torch.tensor([ids]), WordCache())
    return ids, word[0].tolist(), before[0].tolist()


def test_one_hash_per_word_so_far_and_the_word_before() -> None:
    ids, words, befores = follow(TEXT)
    hashes: dict[str, set[int]] = {}
    for end in range(len(ids)):
        text = nano().decode(ids[: end + 1]).lower()
        so_far = re.search(r"[^\W_]*\Z", text).group()
        earlier = re.findall(r"[^\W_]+", text[: len(text) - len(so_far)])
        hashes.setdefault(so_far, set()).add(words[end])
        if earlier:
            hashes.setdefault(earlier[-1], set()).add(befores[end])
    assert all(len(found) == 1 for found in hashes.values()), hashes
    assert len({min(found) for found in hashes.values()}) == len(hashes) > 20
    assert hashes[""] == {0}


def test_case_and_cuts_make_no_difference() -> None:
    assert len({tuple(nano().encode(text)) for text in ("read", "Read", "READ")}) == 3
    assert len({follow(text)[1][-1] for text in ("read", "Read", "READ")}) == 1
    assert follow("now read")[1][-1] == follow("Now Read")[1][-1] != follow("now red")[1][-1]


def test_token_by_token_and_in_a_batch_it_is_the_same() -> None:
    ids = nano().encode(TEXT * 2)
    rows = torch.tensor([ids, [*ids[7:], *ids[:7]]])
    whole = embedding().follow(rows, WordCache())
    memory, cuts = WordCache(), [0, 1, 2, 9, 10, 30, len(ids)]
    parts = [embedding().follow(rows[:, start:end], memory) for start, end in pairwise(cuts)]
    for index in (0, 1):
        assert torch.equal(torch.cat([part[index] for part in parts], 1), whole[index])
    for row in (0, 1):
        assert torch.equal(embedding().follow(rows[row : row + 1], WordCache())[0], whole[0][row : row + 1])


def test_words_of_a_real_text_spread_over_the_slots() -> None:
    pieces = [nano().encode(f"word{number} ") for number in range(2000)]
    hashes = torch.cat([embedding().follow(torch.tensor([piece]), WordCache())[0][0, -2:-1] for piece in pieces])
    counts = torch.bincount(embedding()._slot(hashes), minlength=embedding().slots)
    assert len(hashes.unique()) == 2000
    assert counts.max() < 12  # about 2 each; a bad hash heaps them up


def test_a_rail_reads_words_across_the_edge_of_a_cache() -> None:
    host = family_host("llama")
    rail = make_rail(host, jitter=0.3)
    rail.words.spelling[5:40, 0] = 0  # some tokens go on with a word
    tokens = torch.randint(5, 60, (2, 12), generator=torch.Generator().manual_seed(3))
    whole = rail(host.forward(tokens)).features
    memory, host_memory = rail.new_cache(), host.new_cache()
    parts = [
        rail(host.forward(tokens[:, start:end], cache=host_memory), cache=memory).features
        for start, end in pairwise((0, 1, 2, 3, 7, 12))
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)
