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

import numpy as np
import torch
from numpy.typing import NDArray

from builderbrain.grammar.native import NativeEngine, NativeMatcher
from builderbrain.grammar.vocabulary import Vocabulary

Words = NDArray[np.int32]
_CHARACTER = re.compile(rb"\\.?|[^\\\x80-\xbf]", re.DOTALL)
"""The first byte of a character, or an escape, which may be cut off."""
_CLOSING = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)


def spells_every_byte(vocabulary: Vocabulary) -> bool:
    """Whether every byte of the tokens is a token as well, so that any text can be asked of the library."""
    return set(b"".join(vocabulary.token_bytes)) <= {token[0] for token in vocabulary.token_bytes if len(token) == 1}


class StringMasks:
    """Masks inside strings over one library and a vocabulary that spells every byte. Shared between constraints and threads."""

    def __init__(self, vocabulary: Vocabulary, engine: NativeEngine) -> None:
        tokens = vocabulary.token_bytes
        inside = engine.compile("schema", '{"type": "string"}').matcher()
        inside.accept_text(b'"')
        words = np.zeros((len(tokens) + 31) // 32, dtype=np.int32)
        inside.fill(torch.from_numpy(words))
        legal = np.unpackbits(words.view(np.uint8), bitorder="little")[: len(tokens)].astype(bool)
        closing = {index: match for index, token in enumerate(tokens) if (match := _CLOSING.match(token))}
        before = {text: inside.allows(text + b'"') for text in {match[1] for match in closing.values()}}
        closing = {index: match for index, match in closing.items() if before[match[1]]}
        legal[np.array(list(closing), dtype=np.int64)] = False
        self._lengths = np.array([_characters(token) for token in tokens], dtype=np.int32)
        self.longest = int(self._lengths.max(initial=0))
        """Characters of the longest token: bounds above are all alike."""
        self._lengths[~legal] = self.longest + 1
        self._within: dict[int, Words] = {}
        self._closing = np.array(list(closing), dtype=np.int64)
        self._before = np.array([_characters(match[1]) for match in closing.values()], dtype=np.int32)
        after = [tokens[index][match.end() :] for index, match in closing.items()]
        self._texts = sorted(set(after))
        places = {text: place for place, text in enumerate(self._texts)}
        self._after = np.array([places[text] for text in after], dtype=np.int64)
        self._continuations = _Continuations(self._texts, tokens)

    def after(self, matcher: NativeMatcher, least: int) -> NDArray[np.bool_] | None:
        """What may follow the string that the matcher is inside of, bool [A]; None when the library cannot tell.

        Args:
            least: characters that the string still needs.
        """
        ended = matcher.fork()
        return self._continuations.legal(ended) if ended.accept_text(b"a" * least + b'"') else None

    def fill(self, words: Words, after: NDArray[np.bool_], least: int, most: int) -> None:
        """Write the mask where from `least` to `most` characters are still to come, of which neither is above `longest`."""
        if most not in self._within:  # two threads may both do it: it is the same
            self._within[most] = _packed(self._lengths <= most)
        words[:] = self._within[most]
        legal = self._closing[after[self._after] & (self._before >= least) & (self._before <= most)]
        np.bitwise_or.at(words, legal >> 5, np.left_shift(1, legal & 31).astype(np.uint32).view(np.int32))


class _Continuations:
    """Texts that may follow a state, by the mask there: those that are tokens are read off it, few others are asked for."""

    def __init__(self, texts: Sequence[bytes], tokens: Sequence[bytes]) -> None:
        ids = {token: index for index, token in enumerate(tokens)}
        self._empty = np.array([not text for text in texts], dtype=bool)
        self._words = (len(tokens) + 31) // 32
        self._tokens = np.array([ids[text] if text and text in ids else 0 for text in texts], dtype=np.int64)
        self._is_token = np.array([bool(text) and text in ids for text in texts], dtype=bool)
        self._others = [(place, text, ids.get(text[:1])) for place, text in enumerate(texts) if text and text not in ids]

    def legal(self, matcher: NativeMatcher) -> NDArray[np.bool_] | None:
        """Which of the texts may follow, bool [A]; None when the library gives up."""
        words = np.empty(self._words, dtype=np.int32)
        if not matcher.fill(torch.from_numpy(words)):
            return None
        legal = self._empty | (self._is_token & _bits(words, self._tokens))
        for place, text, first in self._others:
            if first is None or words[first >> 5] >> (first & 31) & 1:
                legal[place] = matcher.allows(text)
        return legal


def _characters(text: bytes) -> int:
    """Characters that begin in the inner text of a JSON string."""
    return len(_CHARACTER.findall(text))


def _bits(words: Words, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (words[tokens >> 5] >> (tokens & 31) & 1).astype(bool)


def _packed(bits: NDArray[np.bool_]) -> Words:
    padded = np.zeros((len(bits) + 31) // 32 * 32, dtype=bool)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view(np.int32)
