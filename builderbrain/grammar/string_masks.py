"""Masks inside a JSON string of which nothing but the number of its characters is asked.

Of such a string only the end depends on the rest of the grammar. A token that stays inside is legal when it has at most as many
characters as may still come. A token that holds the closing quote is legal when what is before the quote has a number of
characters with which the string may end, and when what is after it may follow the string: this is asked of the library, once
for every place. For a string with a short `maxLength` the library would refuse tens of thousands of longer tokens one by one.

Which tokens may stand inside a string at all is the library's answer as well. V vocabulary, C tokens that hold a closing quote,
A different texts after the quote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch
from numpy.typing import NDArray

from builderbrain.grammar.native import NativeEngine, NativeMatcher
from builderbrain.grammar.vocabulary import Vocabulary

Words = NDArray[np.int32]
_PREPARED = 32
"""Masks for fewer characters to come than these are made at once; others when they are needed."""
_CHARACTER = re.compile(rb"\\.?|[^\\\x80-\xbf]", re.DOTALL)
"""The first byte of a character, or an escape, which may be cut off."""
_CLOSING = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)


def spells_every_byte(vocabulary: Vocabulary) -> bool:
    """Whether every byte of the tokens is a token as well, so that any text can be asked of the library."""
    return set(b"".join(vocabulary.token_bytes)) <= {token[0] for token in vocabulary.token_bytes if len(token) == 1}


@dataclass(frozen=True, kw_only=True)
class Endings:
    """Tokens that hold the closing quote of a string at one place, int64 [E], and their characters before it, int32 [E]."""

    tokens: NDArray[np.int64]
    before: NDArray[np.int32]


class StringMasks:
    """Masks inside strings over one library and a vocabulary that spells every byte. Shared between constraints and threads."""

    def __init__(self, vocabulary: Vocabulary, engine: NativeEngine) -> None:
        tokens = vocabulary.token_bytes
        inside = engine.compile("schema", '{"type": "string"}').matcher()
        inside.accept_text(b'"')
        words = np.zeros((len(tokens) + 31) // 32, dtype=np.int32)
        inside.fill(torch.from_numpy(words))
        legal = np.unpackbits(words.view(np.uint8), bitorder="little")[: len(tokens)].astype(bool)
        quoted = [(index, token) for index, token in enumerate(tokens) if b'"' in token]
        closing = {index: match for index, token in quoted if (match := _CLOSING.match(token))}
        before = {text: inside.allows(text + b'"') for text in {match[1] for match in closing.values()}}
        closing = {index: match for index, match in closing.items() if before[match[1]]}
        legal[np.array(list(closing), dtype=np.int64)] = False
        self._lengths = np.array([_characters(token) for token in tokens], dtype=np.int32)
        self._lengths[~legal] = np.iinfo(np.int32).max
        self._within = {most: _packed(self._lengths <= most) for most in range(_PREPARED + 1)}
        self._closing = np.array(list(closing), dtype=np.int64)
        self._before = np.array([_characters(match[1]) for match in closing.values()], dtype=np.int32)
        self.longest_before = int(self._before.max(initial=0))
        """Characters that a token has before a closing quote, at most."""
        after = [tokens[index][match.end() :] for index, match in closing.items()]
        self._texts = sorted(set(after))
        places = {text: place for place, text in enumerate(self._texts)}
        self._after = np.array([places[text] for text in after], dtype=np.int64)
        self._continuations = _Continuations(self._texts, tokens)

    def endings(self, matcher: NativeMatcher, least: int) -> Endings | None:
        """The tokens that may end the string that the matcher is inside of; None when the library cannot tell.

        Args:
            least: characters that the string still needs.
        """
        ended = matcher.fork()
        after = self._continuations.legal(ended) if ended.accept_text(b"a" * least + b'"') else None
        if after is None:
            return None
        legal = after[self._after]
        return Endings(tokens=self._closing[legal], before=self._before[legal])

    def fill(self, words: Words, endings: Endings | None, least: int, most: int) -> None:
        """Write the mask where from `least` to `most` characters are still to come, neither above `Vocabulary.longest`.

        Args:
            endings: may be None where `least` is above `longest_before`.
        """
        if most not in self._within:  # two threads may both do it: it is the same
            self._within[most] = _packed(self._lengths <= most)
        words[:] = self._within[most]
        if endings is not None:
            legal = endings.tokens[(endings.before >= least) & (endings.before <= most)]
            np.bitwise_or.at(words, legal >> 5, np.left_shift(1, legal & 31).astype(np.uint32).view(np.int32))


class _Continuations:
    """Texts that may follow a state, by the mask there: those that are tokens are read off it, few others are asked for."""

    def __init__(self, texts: Sequence[bytes], tokens: Sequence[bytes]) -> None:
        ids = {token: index for index, token in enumerate(tokens) if token}
        self._words = (len(tokens) + 31) // 32
        self._empty = np.array([not text for text in texts], dtype=bool)
        # Only a few bytes may follow a string, and a text is legal only if what it begins with is.
        firsts = sorted({text[:1] for text in texts if text})
        self._firsts = np.array([ids[first] for first in firsts], dtype=np.int64)
        self._groups = [_Group.of(first, texts, ids) for first in firsts]

    def legal(self, matcher: NativeMatcher) -> NDArray[np.bool_] | None:
        """Which of the texts may follow, bool [A]; None when the library gives up."""
        words = np.empty(self._words, dtype=np.int32)
        if not matcher.fill(torch.from_numpy(words)):
            return None
        legal = self._empty.copy()
        for index in np.flatnonzero(_bits(words, self._firsts)).tolist():
            group = self._groups[index]
            legal[group.places] = found = _bits(words, group.tokens)
            for place, text in compress(group.longer, found[group.is_longer]):
                legal[place] = matcher.allows(text)
        return legal


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Texts that begin with the same byte: where each stands among all texts, and the longest token that it begins with, int64
    [G]; `longer` are the texts that go on after it, in the order of `is_longer`, bool [G]."""

    places: NDArray[np.int64]
    tokens: NDArray[np.int64]
    is_longer: NDArray[np.bool_]
    longer: list[tuple[int, bytes]]

    @staticmethod
    def of(first: bytes, texts: Sequence[bytes], ids: dict[bytes, int]) -> _Group:
        members = [(place, text) for place, text in enumerate(texts) if text.startswith(first)]
        begins = [next(text[:end] for end in range(len(text), 0, -1) if text[:end] in ids) for _, text in members]
        longer = [len(begin) < len(text) for begin, (_, text) in zip(begins, members, strict=True)]
        return _Group(
            places=np.array([place for place, _ in members], dtype=np.int64),
            tokens=np.array([ids[begin] for begin in begins], dtype=np.int64),
            is_longer=np.array(longer, dtype=bool),
            longer=list(compress(members, longer)),
        )


def _characters(text: bytes) -> int:
    """Characters that begin in the inner text of a JSON string."""
    if text.isascii() and b"\\" not in text:
        return len(text)
    return len(_CHARACTER.findall(text))


def _bits(words: Words, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (words[tokens >> 5] >> (tokens & 31) & 1).astype(bool)


def _packed(bits: NDArray[np.bool_]) -> Words:
    padded = np.zeros((len(bits) + 31) // 32 * 32, dtype=bool)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view(np.int32)
