"""Token masks of a strict text machine: which tokens survive from a lexical state, computed once per state.

V vocabulary, S lexical states, L bytes of the longest token.
"""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from builderbrain.grammar.strict_text import TextMachine
from builderbrain.grammar.utf8 import REFUSED
from builderbrain.grammar.vocabulary import Vocabulary


class Overlay:
    """Packed masks, int32 [ceil(V / 32)], of a machine over a vocabulary; tokens without text are never in one.

    Shared between requests and threads.
    """

    def __init__(self, machine: TextMachine, vocabulary: Vocabulary) -> None:
        self.machine = machine
        self.vocabulary = vocabulary
        self._masks: dict[int, NDArray[np.int32]] = {}
        self._lock = threading.Lock()

    def mask(self, lexical: int) -> NDArray[np.int32]:
        """Tokens that may follow in this lexical state. Do not write to it."""
        with self._lock:
            if lexical not in self._masks:
                self._masks[lexical] = self._compute(lexical)
            return self._masks[lexical]

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns(self.vocabulary)

    def _compute(self, lexical: int) -> NDArray[np.int32]:
        tokens = self._columns
        width = len(tokens.order)
        states = np.full(width, lexical, dtype=np.int16)
        for column in range(int(tokens.lengths.max(initial=0))):
            active = int(np.searchsorted(-tokens.lengths, -column, side="left"))
            alive = states[:active]
            following = self.machine.table[alive, tokens.bytes[tokens.starts[:active] + column]]
            states[:active] = np.where(alive == REFUSED, REFUSED, following)
        allowed = np.zeros((width + 31) // 32 * 32, dtype=bool)
        allowed[tokens.order] = (states != REFUSED) & (tokens.lengths > 0)
        return np.packbits(allowed, bitorder="little").view(np.int32)


class _Columns:
    """The vocabulary's bytes by falling length, so that the tokens that still have a byte in column c are a prefix."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        lengths = np.array([len(token) for token in vocabulary.token_bytes], dtype=np.int64)
        self.order = np.argsort(-lengths, kind="stable")
        self.lengths = lengths[self.order]
        self.bytes = np.frombuffer(b"".join(vocabulary.token_bytes[index] for index in self.order), dtype=np.uint8)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
