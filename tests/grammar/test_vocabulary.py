"""Token bytes of byte-level and byte-fallback tokenizers."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from builderbrain.errors import UnsupportedModelError
from builderbrain.grammar.vocabulary import read_vocabulary, vocabulary_for
from tests.grammar.toys import VOCAB_SIZE, toy_tokenizer


class Wrapped:
    def __init__(self, backend: Tokenizer, eos_token_id: int) -> None:
        self.backend = backend
        self.eos_token_id = eos_token_id
        self.vocab_size = backend.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return list(self.backend.encode(text).ids)

    def decode(self, token_ids: list[int]) -> str:
        return str(self.backend.decode(token_ids))


def test_bytes_of_an_encoding_are_the_text() -> None:
    vocabulary = read_vocabulary(toy_tokenizer(), VOCAB_SIZE)
    for text in ('{"name": "né"}\n', "\x00\x7f\xff \t", "😀 日本", "plain"):
        assert vocabulary.text(toy_tokenizer().encode(text)) == text.encode()


def test_special_tokens_and_padding_have_no_bytes() -> None:
    vocabulary = read_vocabulary(toy_tokenizer(), VOCAB_SIZE)
    assert len(vocabulary.token_bytes) == VOCAB_SIZE
    assert vocabulary.token_bytes[toy_tokenizer().eos_token_id] == b""
    assert set(vocabulary.token_bytes[toy_tokenizer().vocab_size :]) == {b""}
    assert {bytes([byte]) for byte in range(256)} <= set(vocabulary.token_bytes)


def test_byte_fallback_tokens_are_bytes() -> None:
    pieces = {"</s>": 0, "\u2581the": 1, "\u2581": 2, "é": 3} | {f"<0x{byte:02X}>": 4 + byte for byte in range(256)}
    backend = Tokenizer(models.BPE(vocab=pieces, merges=[], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens(["</s>"])
    vocabulary = read_vocabulary(Wrapped(backend, 0), 260)
    assert vocabulary.token_bytes[:5] == (b"", b" the", b" ", "é".encode(), b"\x00")
    assert vocabulary.token_bytes[259] == b"\xff"


def test_other_alphabets_are_refused() -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(UnsupportedModelError, match="byte-level"):
        read_vocabulary(Wrapped(backend, 0), 2)
    with pytest.raises(UnsupportedModelError, match="end-of-sequence"):
        read_vocabulary(toy_tokenizer(), 0)


def test_one_vocabulary_per_tokenizer_and_width() -> None:
    assert vocabulary_for(toy_tokenizer(), VOCAB_SIZE) is vocabulary_for(toy_tokenizer(), VOCAB_SIZE)


def test_the_engine_reads_the_same_bytes_as_xgrammar_from_a_hugging_face_tokenizer() -> None:
    import xgrammar
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_object=toy_tokenizer().backend, eos_token="<|end|>")
    theirs = xgrammar.TokenizerInfo.from_huggingface(fast, vocab_size=VOCAB_SIZE)
    ours = read_vocabulary(fast, VOCAB_SIZE)
    differing = [
        index
        for index, (left, right) in enumerate(zip(ours.token_bytes, theirs.decoded_vocab, strict=True))
        if left != right and index != toy_tokenizer().eos_token_id
    ]
    assert differing == []
