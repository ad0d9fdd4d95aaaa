"""Words off token ids: the same words however they are cut into tokens and whatever stands beside them."""

from __future__ import annotations

import re

import pytest
import torch

from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.letters import Spelled, spell, token_letters
from tests.hosts.tiny_models import tiny_tokenizer

TEXTS = ("Play the Song at 6am, play!", "  replaying.", "a", "Wait... 2023-03-15 naïve", " ")


@pytest.fixture(scope="module")
def tokenizer() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(tiny_tokenizer())


def read(tokenizer: HuggingFaceTokenizer, prompts: list[list[int]]) -> Spelled:
    tokens = torch.zeros(len(prompts), max(map(len, prompts)) + 2, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt)
    return spell(tokens, torch.tensor([len(prompt) for prompt in prompts]), token_letters(tokenizer))


def words_by_hand(text: str) -> list[str]:
    text = re.sub(r"\d", "0", text.lower())
    return re.findall(r"[^\W\d_]+|0+|[^\w\s]|_", text) or ["."]


def test_words_are_those_of_the_text(tokenizer: HuggingFaceTokenizer) -> None:
    plain = [text for text in TEXTS if text.isascii()]
    found = read(tokenizer, [tokenizer.encode(text) for text in plain])
    spoken = [words_by_hand(text) for text in plain]
    assert found.real.sum(1).tolist() == [len(words) for words in spoken]
    known: dict[str, int] = {}
    for row, words in enumerate(spoken):
        for word, value in zip(words, found.words[row].tolist(), strict=False):
            assert known.setdefault(word, value) == value
    assert len(set(known.values())) == len(known)
    assert found.words[-1, 0] == known["."]


def test_words_do_not_depend_on_how_they_are_cut_nor_on_other_rows(tokenizer: HuggingFaceTokenizer) -> None:
    whole = [tokenizer.encode(text) for text in TEXTS]
    pieces = [[token for letter in text for token in tokenizer.encode(letter)] for text in TEXTS if text.isascii()]
    together = read(tokenizer, whole)
    for row, prompt in enumerate(whole):
        alone = read(tokenizer, [prompt])
        size = alone.words.shape[1]
        assert torch.equal(alone.words[0], together.words[row, :size])
        assert bag(alone, 0) == bag(together, row)[:size]
    for row, text in enumerate(text for text in TEXTS if text.isascii()):
        alone, cut = read(tokenizer, [tokenizer.encode(text)]), read(tokenizer, pieces)
        assert torch.equal(alone.words[0], cut.words[row, : alone.words.shape[1]]), text


def bag(found: Spelled, row: int) -> list[list[int]]:
    ends = [*found.first[1:].tolist(), len(found.grams)]
    return [sorted(found.grams[found.first[u] : ends[u]].tolist()) for u in found.which[row].tolist()]


def test_words_with_one_stem_share_n_grams(tokenizer: HuggingFaceTokenizer) -> None:
    found = read(tokenizer, [tokenizer.encode("playing replay house")])
    play, replay, house = (set(grams) for grams in bag(found, 0))
    assert len(play) == (7 + 2 - 2) + (7 + 2 - 3) + (7 + 2 - 4)
    assert len(play & replay) == 3  # pla, lay, play
    assert not play & house
