"""A brute-force oracle: a finite language spelled out, and the legal tokens after every prefix of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.vocabulary import _byte_level_alphabet

PIECES: tuple[bytes, ...] = (
    *(bytes([byte]) for byte in b'ab12-{}[]:,"truefalsn'),
    *(
        b"\xc3",
        b"\xa9",
        b"\xf0",
        b"\x9f",
        "é".encode(),
        b"a\xc3",
        b"\xa9b",
        b"\x9f\x9f",
        b"\xf0\x9f",
        b"\x9fa",
        b'\xa9"',
        b"\xc3\xa9\xc3",
    ),
    *(
        b"ab",
        b"ba",
        b"12",
        b"-1",
        b'"a',
        b'a"',
        b'{"',
        b'":',
        b'","',
        b'"}',
        b"],",
        b"[[",
        b"true",
        b"rue",
        b"false",
        b"null",
        b'{"a":',
        b"1,",
    ),
    *(b"\xff", b"\xed", b"\x01", b'""', b"}}", b"11", b"1}", b"1]"),
)
"""Single bytes, tokens of several characters, and tokens that begin or end inside one."""


class PieceTokenizer:
    """A tokenizer with exactly these pieces, a special token, an end, and nothing else; it only lends its vocabulary.

    Args:
        byte_fallback: spell single bytes as `<0x41>` and the rest as text, as SentencePiece does; pieces that are no text are
            left out then.
    """

    def __init__(self, pieces: Sequence[bytes], *, byte_fallback: bool) -> None:
        spell = _fallback_piece if byte_fallback else _byte_level_piece
        spelled = [piece for piece in dict.fromkeys(map(spell, dict.fromkeys(pieces))) if piece is not None]
        self.backend = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(spelled)}, merges=[]))
        if byte_fallback:
            self.backend.decoder = decoders.ByteFallback()
        else:
            self.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            self.backend.decoder = decoders.ByteLevel()
        self.backend.add_special_tokens(["<|tool|>", "<|end|>"])
        self.vocab_size = len(spelled) + 2
        self.eos_token_id = len(spelled) + 1

    def encode(self, text: str) -> list[int]:
        return list(self.backend.encode(text).ids)

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoding = self.backend.encode(text)
        return list(encoding.ids), list(encoding.offsets)

    def decode(self, token_ids: Sequence[int]) -> str:
        return str(self.backend.decode(list(token_ids)))


def _byte_level_piece(piece: bytes) -> str:
    stand_ins = {byte: character for character, byte in _byte_level_alphabet().items()}
    return "".join(stand_ins[byte] for byte in piece)


def _fallback_piece(piece: bytes) -> str | None:
    if len(piece) == 1:
        return f"<0x{piece[0]:02X}>"
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return None


@cache
def characters() -> tuple[str, ...]:
    """Every character that bytes of the pieces can spell, but for those that JSON strings escape."""
    octets = sorted({byte for piece in PIECES for byte in piece})
    continuations = [byte for byte in octets if 0x80 <= byte < 0xC0]
    spelled = [bytes([byte]) for byte in octets if 0x20 <= byte < 0x80]
    for lead, count in ((0xC0, 1), (0xE0, 2), (0xF0, 3)):
        leads = [byte for byte in octets if lead <= byte < lead + (0x20 if lead == 0xC0 else 0x10)]
        spelled += [bytes([first, *rest]) for first in leads for rest in product(continuations, repeat=count)]
    found = []
    for data in spelled:
        try:
            found.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            continue  # 0xED and what follows would be a surrogate
    return tuple(found)


def texts(alphabet: Iterable[str], longest: int) -> list[str]:
    """All strings of up to `longest` symbols."""
    return ["".join(symbols) for count in range(longest + 1) for symbols in product(alphabet, repeat=count)]


@dataclass(frozen=True)
class Language:
    """A finite set of texts, closed under its prefixes for look-ups."""

    members: frozenset[bytes]
    prefixes: frozenset[bytes]

    @classmethod
    def of(cls, candidates: Iterable[str], accepts: Callable[[str], bool]) -> Language:
        members = frozenset(text.encode() for text in candidates if accepts(text))
        return cls(members, frozenset(member[:end] for member in members for end in range(len(member) + 1)))

    def legal(self, prefix: bytes, tokens: Sequence[bytes], end: int) -> set[int]:
        """Tokens after which some member can still be reached, and the end after a member."""
        found = {index for index, token in enumerate(tokens) if token and prefix + token in self.prefixes}
        return found | ({end} if prefix in self.members else set())


def json_candidates(scalars: Sequence[str], keys: Sequence[str], *, longest: int) -> list[str]:
    """Scalars, arrays of up to `longest` of them, arrays within arrays, and objects of up to `longest` members."""
    flat = [f"[{','.join(items)}]" for count in range(longest + 1) for items in product(scalars, repeat=count)]
    members = [f"{json.dumps(key, ensure_ascii=False)}:{value}" for key in keys for value in scalars]
    objects = [f"{{{','.join(items)}}}" for count in range(longest + 1) for items in product(members, repeat=count)]
    nested = [f"[{','.join(items)}]" for count in range(3) for items in product(["[]", "[1]", "1"], repeat=count)]
    return [*scalars, *flat, *objects, *nested]


def in_order(text: str, names: Sequence[str]) -> bool:
    """Whether the text is strict JSON whose outer members stand in the order of `names`, then the others."""
    try:
        value = parse_strict(text, max_depth=8)
    except JsonTextError:
        return False
    if not isinstance(value, dict):
        return True
    places = [names.index(key) if key in names else len(names) for key in value]
    return places == sorted(places)
