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

import torch

from builderbrain.grammar.base import Matcher
from builderbrain.grammar.vocabulary import Vocabulary
from builderbrain.hosts.base import Tokenizer


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

    def jump(self, matcher: Matcher, tokens: Sequence[int]) -> Jump | None:
        """The jump from here, with the matcher advanced by its text; None when there is none.

        There is none when nothing is forced, when what is forced ends inside a character or a token that may be longer, or
        when the tokenizer's text of the output is not the output (a tokenizer that normalises).

        Args:
            tokens: the output so far, which the matcher has accepted.
        """
        forced = matcher.forced_text()
        if not forced:
            return None
        before = self._vocabulary.text(list(tokens))
        whole = _whole_characters(before + forced)
        if whole is None or len(whole) <= len(before):
            return None
        encoded = self._tokenizer.encode(whole.decode("utf-8"))
        if self._vocabulary.text(encoded) != whole:
            return None
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
        kept = _common(tokens, encoded)
        return Jump(drop=len(tokens) - kept, tokens=tuple(encoded[kept:]), text=whole[len(before) :])

    def _may_be_longer(self, matcher: Matcher, token: bytes) -> bool:
        """Whether a legal token begins with `token` and goes on."""
        start = bisect_right(self._sorted, (token, len(self._vocabulary.token_bytes)))
        longer = []
        for candidate, index in self._sorted[start:]:
            if not candidate.startswith(token):
                break
            longer.append(index)
        if not longer:
            return False
        bitmask = torch.zeros((len(self._vocabulary.token_bytes) + 31) // 32, dtype=torch.int32)
        matcher.fill_mask(bitmask)
        words = bitmask.numpy()
        return any((int(words[index // 32]) >> (index % 32)) & 1 for index in longer)


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
