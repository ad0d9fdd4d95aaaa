"""The bytes of every token, from the tokenizer's own file.

Masks, detokenising and strict checks all work on bytes, and must agree on them; so they are derived once, here. Two
alphabets cover the families served: byte-level BPE (GPT-2's printable stand-ins for bytes) and SentencePiece with byte
fallback (`<0x0A>` and U+2581 for a space). Special tokens have no bytes: they are no text.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from builderbrain.errors import UnsupportedModelError
from builderbrain.hosts.base import Tokenizer

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """`token_bytes[t]` is the text of token t; empty for special tokens and for padding of the embedding."""

    token_bytes: tuple[bytes, ...]
    eos_token_id: int

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(map(len, self.token_bytes), default=0)

    def text(self, tokens: tuple[int, ...] | list[int]) -> bytes:
        """The bytes of a token sequence."""
        return b"".join(self.token_bytes[token] for token in tokens)


@cache
def _byte_level_alphabet() -> dict[str, int]:
    """Byte of each stand-in: printable Latin-1 stands for itself, the rest follows from U+0100 on (GPT-2, 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return alphabet | {chr(0x100 + index): byte for index, byte in enumerate(others)}


def _backend_file(tokenizer: Any) -> dict[str, Any]:
    """The `tokenizer.json` of a wrapper, a `transformers` fast tokenizer or a `tokenizers` tokenizer."""
    backend = tokenizer
    for name in ("backend", "backend_tokenizer"):  # a wrapper's, then that of transformers, whose own `backend` is a name
        inner = getattr(backend, name, None)
        backend = backend if inner is None or isinstance(inner, str) else inner
    to_str = getattr(backend, "to_str", None)
    if to_str is None:
        raise UnsupportedModelError(
            f"expected a fast tokenizer (tokenizer.json), got {type(tokenizer).__name__}; convert it with transformers",
            field="model",
        )
    content: dict[str, Any] = json.loads(to_str())
    return content


def _kinds(node: Any) -> set[str]:
    """Every `type` inside a part of the tokenizer file."""
    if isinstance(node, dict):
        own = {node["type"]} if isinstance(node.get("type"), str) else set()
        return own.union(*(_kinds(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_kinds(value) for value in node))
    return set()


def _vocabulary_items(model: dict[str, Any]) -> dict[str, int]:
    vocabulary = model.get("vocab", {})
    if isinstance(vocabulary, list):  # Unigram: pairs of piece and score, in order of ids
        return {piece: index for index, (piece, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def _byte_level(token: str) -> bytes:
    alphabet = _byte_level_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode("utf-8")  # an added token is stored as plain text


def _byte_fallback(token: str) -> bytes:
    match = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(match[1], 16)]) if match else token.replace("\u2581", " ").encode("utf-8")


def read_vocabulary(tokenizer: Tokenizer, vocab_size: int) -> Vocabulary:
    """Derive the vocabulary for logits of width `vocab_size`.

    Raises:
        UnsupportedModelError: the tokenizer's alphabet is neither byte-level nor SentencePiece with byte fallback, or
            its end-of-sequence token has no logit.
    """
    content = _backend_file(tokenizer)
    kinds = _kinds(content.get("decoder")) | _kinds(content.get("pre_tokenizer"))
    if "ByteLevel" in kinds:
        to_bytes = _byte_level
    elif "ByteFallback" in kinds or "Metaspace" in kinds:
        to_bytes = _byte_fallback
    else:
        raise UnsupportedModelError(
            f"expected a byte-level or byte-fallback tokenizer, got one with {sorted(kinds) or 'no decoder'}; "
            "text under a grammar needs the bytes of every token",
            field="model",
        )
    if not 0 <= tokenizer.eos_token_id < vocab_size:
        raise UnsupportedModelError(
            f"expected an end-of-sequence token below the logits' width {vocab_size}, got {tokenizer.eos_token_id}",
            field="model",
        )
    token_bytes = [b""] * vocab_size
    for token, index in _vocabulary_items(content.get("model", {})).items():
        if index < vocab_size:
            token_bytes[index] = to_bytes(token)
    for added in content.get("added_tokens", []):
        if added["id"] < vocab_size:
            token_bytes[added["id"]] = b"" if added.get("special") else added["content"].encode("utf-8")
    for index in (tokenizer.eos_token_id, *getattr(tokenizer, "special_ids", ())):
        if index < vocab_size:
            token_bytes[index] = b""
    return Vocabulary(token_bytes=tuple(token_bytes), eos_token_id=tokenizer.eos_token_id)


_known: weakref.WeakKeyDictionary[Any, dict[int, Vocabulary]] = weakref.WeakKeyDictionary()
_known_lock = threading.Lock()


def vocabulary_for(tokenizer: Tokenizer, vocab_size: int) -> Vocabulary:
    """`read_vocabulary`, once per tokenizer object and width."""
    with _known_lock:
        widths = _known.setdefault(tokenizer, {})
        if vocab_size not in widths:
            widths[vocab_size] = read_vocabulary(tokenizer, vocab_size)
        return widths[vocab_size]
