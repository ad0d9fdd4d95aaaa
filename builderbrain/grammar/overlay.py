"""Token masks of a strict text machine: which tokens survive from a lexical state, computed once per state.

V vocabulary, S lexical states, L bytes of the longest token.
"""

from __future__ import annotations

import threading

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
        lengths = np.array([len(token) for token in vocabulary.token_bytes], dtype=np.int64)
        # By falling length, the tokens that still have a byte in column c are a prefix.
        self._order = np.argsort(-lengths, kind="stable")
        self._lengths = lengths[self._order]
        joined = b"".join(vocabulary.token_bytes[index] for index in self._order)
        self._bytes = np.frombuffer(joined, dtype=np.uint8)
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)[:-1]]).astype(np.int64)
        self._masks: dict[int, NDArray[np.int32]] = {}
        self._lock = threading.Lock()

    def mask(self, lexical: int) -> NDArray[np.int32]:
        """Tokens that may follow in this lexical state. Do not write to it."""
        with self._lock:
            if lexical not in self._masks:
                self._masks[lexical] = self._compute(lexical)
            return self._masks[lexical]

    def _compute(self, lexical: int) -> NDArray[np.int32]:
        width = len(self._order)
        states = np.full(width, lexical, dtype=np.int16)
        for column in range(int(self._lengths.max(initial=0))):
            active = int(np.searchsorted(-self._lengths, -column, side="left"))
            alive = states[:active]
            following = self.machine.table[alive, self._bytes[self._starts[:active] + column]]
            states[:active] = np.where(alive == REFUSED, REFUSED, following)
        allowed = np.zeros((width + 31) // 32 * 32, dtype=bool)
        allowed[self._order] = (states != REFUSED) & (self._lengths > 0)
        return np.packbits(allowed, bitorder="little").view(np.int32)
