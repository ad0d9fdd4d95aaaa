"""From tokens to text as they come: whole characters only, and nothing that may turn out to be a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from builderbrain.grammar.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a token adds: `text` may be empty; `stop_at` is the length of the whole text that a stop string ends."""

    text: str
    stop_at: int | None


class Detokeniser:
    """The text of one output. Bytes that are no UTF-8 give U+FFFD; a character cut off by the end gives nothing.

    A text of `stop` ends the output before it, one of `stop_included` behind it.
    """

    def __init__(self, vocabulary: Vocabulary, stop: Sequence[str] = (), stop_included: Sequence[str] = ()) -> None:
        self._vocabulary = vocabulary
        self._included = frozenset(stop_included)
        self._stop = (*stop, *stop_included)
        self._longest = max((len(text) for text in self._stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._emitted = 0
        self.text = ""
        """All whole characters so far."""

    @property
    def has_stops(self) -> bool:
        """Whether there are stop strings."""
        return bool(self._stop)

    def peek(self, token: int) -> Piece:
        """What `token` would add, without adding it."""
        state = self._decoder.getstate()
        text = self._decoder.decode(self._vocabulary.token_bytes[token])
        self._decoder.setstate(state)
        return Piece(text=text, stop_at=self._find_stop(text))

    def add(self, token: int, *, may_stop: bool = True) -> Piece:
        """Add a token; a stop string ends the text if it may stop here, and no token may follow."""
        text = self._decoder.decode(self._vocabulary.token_bytes[token])
        stop_at = self._find_stop(text) if may_stop else None
        self.text += text
        if stop_at is not None:
            self.text = self.text[:stop_at]
        return Piece(text=text, stop_at=stop_at)

    def fork(self) -> Detokeniser:
        """A second one with the same text."""
        forked = copy(self)
        forked._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        forked._decoder.setstate(self._decoder.getstate())
        return forked

    def would_stop(self, data: bytes) -> bool:
        """Whether text would complete a stop string."""
        state = self._decoder.getstate()
        text = self._decoder.decode(data)
        self._decoder.setstate(state)
        return self._find_stop(text) is not None

    def add_text(self, data: bytes) -> None:
        """Add text that completes no stop string."""
        self.text += self._decoder.decode(data)

    def emit(self, *, final: bool) -> str:
        """Text not emitted yet; until `final`, without an ending that may be the start of a stop string."""
        end = len(self.text)
        if not final:
            end -= self._held()
        piece = self.text[self._emitted : end]
        self._emitted = max(self._emitted, end)
        return piece

    def _find_stop(self, addition: str) -> int | None:
        """Where the text ends by the first stop string that `addition` completes."""
        if not addition or not self._stop:
            return None
        kept = self.text[-(self._longest - 1) :] if self._longest > 1 else ""
        seen, before = kept + addition, len(self.text) - len(kept)
        # Only what reaches into the addition: a stop string may stand where the text was not yet allowed to end.
        found = [
            (place, place + len(stop) if stop in self._included else place)
            for stop in self._stop
            if (place := seen.find(stop, max(0, len(kept) - len(stop) + 1))) >= 0
        ]
        return before + min(found)[1] if found else None

    def _held(self) -> int:
        """Characters at the end of the text that begin a stop string."""
        for count in range(min(self._longest - 1, len(self.text)), 0, -1):
            if any(stop.startswith(self.text[-count:]) for stop in self._stop):
                return count
        return 0
