"""Jump-forward: text that the grammar forces is added without model steps, in the tokens that the tokenizer would give.

Forced text split at the matcher's convenience would put tokens before the model that it has never seen in a row. So output
and forced text are encoded together, and the tokens of the output that come out differently are replaced. The last token is
added only if no longer legal token begins with it: otherwise the model might have gone on with that one, and the choice is
the model's.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from builderbrain.grammar.base import Matcher
from builderbrain.grammar.vocabulary import Vocabulary
from builderbrain.hosts.base import Tokenizer

TAIL = 12
"""Tokens of the output that are encoded again with what is forced."""
_MOST_DROPPED = TAIL // 2
"""Beyond it, encoding from the middle of the output may be what differs."""


@dataclass(frozen=True, kw_only=True)
class Jump:
    """The last `drop` tokens of the output are replaced by `tokens`; their text is the dropped tokens' and then `text`."""

    drop: int
    tokens: tuple[int, ...]
    text: bytes


class JumpForward:
    """Finds jumps over one tokenizer. Immutable, shared between requests and threads."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._sorted = sorted((token, index) for index, token in enumerate(vocabulary.token_bytes) if token)
        self._longer: dict[bytes, NDArray[np.int64]] = {}

    def jump(
        self, matcher: Matcher, tokens: Sequence[int], *, most_dropped: int | None = None, most_tokens: int | None = None
    ) -> Jump | None:
        """The jump from here, with the matcher advanced by its text; None when there is none.

        There is none when nothing is forced, when what is forced ends inside a character or a token that may be longer, or
        when the tokenizer's text of the output is not the output (a tokenizer that normalises).

        Args:
            tokens: the output so far, which the matcher has accepted.
            most_dropped: no jump where more tokens would have to be replaced.
            most_tokens: no jump where the output would grow by more.
        """
        forced = matcher.forced_text()
        if not forced:
            return None
        # Tokenizers split text where a word begins, so that what lies far back has no say. Where the model itself chose
        # tokens that the tokenizer would not, text goes on from what it has not seen.
        encoded, tail = self._encode(tokens[-TAIL:], forced), tokens[-TAIL:]
        if most_dropped is not None and (encoded is None or len(tail) - _common(tail, encoded) > most_dropped):
            tail = tokens[len(tokens) - most_dropped :]
            encoded = self._encode(tail, forced)
        if encoded is None:
            return None
        kept = _common(tail, encoded)
        drop, more = len(tail) - kept, len(encoded) - len(tail)
        if drop > _MOST_DROPPED or (most_tokens is not None and more > most_tokens):
            return None
        before, whole = self._vocabulary.text(list(tail)), self._vocabulary.text(encoded)
        last = self._vocabulary.token_bytes[encoded[-1]]
        settled = len(whole) - len(last)
        if settled < len(before):
            return None
        matcher.accept_text(whole[len(before) : settled])
        if self._may_be_longer(matcher, last):
            encoded, whole = encoded[:-1], whole[:settled]
        else:
            matcher.accept_text(last)
        if len(whole) == len(before):
            return None
        return Jump(drop=drop, tokens=tuple(encoded[kept:]), text=whole[len(before) :])

    def _encode(self, tail: Sequence[int], forced: bytes) -> list[int] | None:
        """The tokens of the text of `tail` and then `forced`; None when they do not spell it, or add no whole character."""
        before = self._vocabulary.text(list(tail))
        whole = _whole_characters(before + forced)
        if whole is None or len(whole) <= len(before):
            return None
        encoded = self._tokenizer.encode(whole.decode("utf-8"))
        return encoded if self._vocabulary.text(encoded) == whole else None

    def _may_be_longer(self, matcher: Matcher, token: bytes) -> bool:
        """Whether a legal token begins with `token` and goes on."""
        longer = self._longer.get(token)
        if longer is None:  # two threads may both find it: it is the same
            longer = self._longer[token] = np.array(self._beginning_with(token), dtype=np.int64)
        if not len(longer):
            return False
        bitmask = torch.zeros((len(self._vocabulary.token_bytes) + 31) // 32, dtype=torch.int32)
        matcher.fill_mask(bitmask)
        return bool((bitmask.numpy()[longer // 32] >> (longer % 32) & 1).any())

    def _beginning_with(self, token: bytes) -> list[int]:
        """The tokens that begin with `token` and go on."""
        found = []
        start = bisect_right(self._sorted, (token, len(self._vocabulary.token_bytes)))
        for candidate, index in self._sorted[start:]:
            if not candidate.startswith(token):
                break
            found.append(index)
        return found


def _whole_characters(data: bytes) -> bytes | None:
    """`data` without a character that is cut off at its end; None when it is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(data).encode("utf-8")
    except UnicodeDecodeError:
        return None


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common start."""
    for index, (first, second) in enumerate(zip(left, right, strict=False)):
        if first != second:
            return index
    return min(len(left), len(right))
