"""A constraint that leaves room for free text, within a turn of a conversation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from builderbrain.grammar.base import CompiledConstraint, Constraint, Matcher


@dataclass(frozen=True, kw_only=True)
class TurnConstraint:
    """See `CompiledConstraint`. Wherever the text may end, the tokens that end a turn are legal as well.

    A base that was trained to end its turns with such a token would otherwise have to end free text with one it never used.
    """

    inner: CompiledConstraint
    eos_token_id: int
    stop_tokens: frozenset[int]
    declared: tuple[str, ...]
    """The places in the request of what only the validator enforces."""

    @property
    def constraint(self) -> Constraint:
        return self.inner.constraint

    @property
    def engine(self) -> str:
        return self.inner.engine

    @property
    def exact(self) -> bool:
        return self.inner.exact

    def matcher(self) -> Matcher:
        return _TurnMatcher(self.inner.matcher(), self.eos_token_id, self.stop_tokens)

    def validate(self, text: str) -> str | None:
        return self.inner.validate(text)


class _TurnMatcher:
    """See `Matcher`."""

    def __init__(self, inner: Matcher, eos_token_id: int, stop_tokens: frozenset[int]) -> None:
        self._inner = inner
        self._eos = eos_token_id
        self._stops = stop_tokens - {eos_token_id}

    def fill_mask(self, bitmask: Tensor) -> None:
        self._inner.fill_mask(bitmask)
        words = bitmask.numpy()
        if words[self._eos // 32] & _bit(self._eos):
            for token in self._stops:
                words[token // 32] |= _bit(token)

    def accept(self, token: int) -> None:
        self._inner.accept(self._eos if token in self._stops else token)

    def refine(self, bitmask: Tensor) -> None:
        self._inner.refine(bitmask)

    def forced_text(self) -> bytes:
        return self._inner.forced_text()

    def accept_text(self, data: bytes) -> None:
        self._inner.accept_text(data)

    def is_complete(self) -> bool:
        return self._inner.is_complete()

    def fork(self) -> Matcher:
        return _TurnMatcher(self._inner.fork(), self._eos, self._stops)


def _bit(token: int) -> np.int32:
    return np.int32(np.uint32(1 << (token % 32)).view(np.int32))
