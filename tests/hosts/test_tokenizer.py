"""Text cannot forge special tokens, decoding shows none, and threads may share a tokenizer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from builderbrain.errors import UnsupportedModelError
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.tiny_models import END_TOKEN, VOCAB_SIZE, tiny_tokenizer

TOKENIZER = HuggingFaceTokenizer(tiny_tokenizer())
DETERMINISTIC = settings(deadline=None, derandomize=True, database=None)  # a busy machine is no fault of the code


@cache
def unigram() -> HuggingFaceTokenizer:
    """A tokenizer whose vocabulary holds its special token as an ordinary piece."""
    pieces = [("<unk>", 0.0), ("</s>", -1.0), ("▁", -2.0), *((character, -3.0) for character in "<>/abcs")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return HuggingFaceTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"))


def test_it_knows_its_ids() -> None:
    assert 256 < TOKENIZER.vocab_size <= VOCAB_SIZE
    assert TOKENIZER.eos_token_id == TOKENIZER.bos_token_id == 0
    assert isinstance(TOKENIZER.backend, PreTrainedTokenizerFast)


@DETERMINISTIC
@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@DETERMINISTIC
@given(st.lists(st.sampled_from([END_TOKEN, "<|", "end", "|>", " ", "a", "<"])).map("".join))
def test_text_never_becomes_a_special_token(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.special_ids.isdisjoint(ids)
    assert TOKENIZER.decode(ids) == text


@DETERMINISTIC
@given(st.lists(st.sampled_from(["</s>", "<", "/", "s", ">", "a", " "])).map("".join))
def test_not_even_when_the_vocabulary_holds_it_as_a_piece(text: str) -> None:
    tokenizer = unigram()
    ids = tokenizer.encode(text)
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == text


def test_an_unknown_character_becomes_the_unknown_token() -> None:
    assert unigram().encode("aΩb").count(0) == 1


def test_nothing_is_added_around_the_text() -> None:
    assert TOKENIZER.encode("") == []
    assert TOKENIZER.encode("ab") == TOKENIZER.encode("a") + TOKENIZER.encode("b")


def test_special_tokens_decode_to_nothing() -> None:
    assert TOKENIZER.decode([0, *TOKENIZER.encode("plan"), 0, 0]) == "plan"
    assert TOKENIZER.decode([VOCAB_SIZE + 5]) == ""


def test_torn_characters_decode_to_the_replacement_character() -> None:
    ids = TOKENIZER.encode("é")
    assert len(ids) == 2
    assert TOKENIZER.decode(ids[:1]) == "\ufffd"


def test_threads_share_it() -> None:
    texts = [f"search {index} {END_TOKEN}" * 20 for index in range(200)]
    alone = [TOKENIZER.encode(text) for text in texts]
    with ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(TOKENIZER.encode, texts)) == alone


def test_a_tokenizer_without_an_end_is_refused() -> None:
    backend = tiny_tokenizer()
    backend.eos_token = None
    with pytest.raises(UnsupportedModelError, match="end-of-sequence"):
        HuggingFaceTokenizer(backend)


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(UnsupportedModelError, match="fast tokenizer"):
        HuggingFaceTokenizer(Slow())  # type: ignore[arg-type]
