"""Jump-forward: text that the grammar forces is added without model steps, in the tokens that the tokenizer would give.

Forced text split at the matcher's convenience would put tokens before the model that it has never seen in a row. So what the
model has not seen yet, the token drawn last, and the forced text are encoded together, and that token is replaced where
the tokenizer joins it with what follows. The last token is added only if no longer legal token begins with it: otherwise the
model might have gone on with that one, and the choice is the model's.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from builderbrain.grammar.base import Matcher
from builderbrain.grammar.cache import CacheUse, lru_use
from builderbrain.grammar.vocabulary import Vocabulary
from builderbrain.hosts.base import Tokenizer

_KEPT = 4096
"""Encodings of forced text that are remembered: the outputs of one schema force the same."""


@dataclass(frozen=True, kw_only=True)
class Jump:
    """The last `drop` of the unseen tokens are replaced by `tokens`; their text is the dropped tokens' and then `text`."""

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
        self._encode = lru_cache(_KEPT)(self._encoded)

    def use(self) -> CacheUse:
        """What its texts in tokens were asked for, and how many are kept."""
        return lru_use(self._encode.cache_info())

    def jump(self, matcher: Matcher, unseen: Sequence[int], *, most_tokens: int | None = None) -> Jump | None:
        """The jump from here, with the matcher advanced by its text; None when there is none.

        There is none when nothing is forced, when what is forced ends inside a character or a token that may be longer, or
        when the tokenizer's text of it is another one (a tokenizer that normalises).

        Args:
            unseen: the tokens at the end of the output that the model has not seen; the matcher has accepted them.
            most_tokens: no jump where the output would grow by more.
        """
        forced = matcher.forced_text()
        encoded = self._encode(tuple(unseen), forced) if forced else ()
        if not encoded or (most_tokens is not None and len(encoded) - len(unseen) > most_tokens):
            return None
        kept = _common(unseen, encoded)
        before, whole = self._vocabulary.text(list(unseen)), self._vocabulary.text(list(encoded))
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
        return Jump(drop=len(unseen) - kept, tokens=encoded[kept:], text=whole[len(before) :])

    def _encoded(self, unseen: tuple[int, ...], forced: bytes) -> tuple[int, ...]:
        """The tokens of the text of `unseen` and then `forced`; none when they do not spell it, or add no whole character."""
        before = self._vocabulary.text(unseen)
        whole = _whole_characters(before + forced)
        if whole is None or len(whole) <= len(before):
            return ()
        encoded = self._tokenizer.encode(whole.decode("utf-8"))
        return tuple(encoded) if self._vocabulary.text(encoded) == whole else ()

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
