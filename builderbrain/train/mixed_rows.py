"""Rows of somebody's own beside generated goals of the domain, so that what the rail can do is not forgotten (experience
replay, Rolnick et al. 2019)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from builderbrain.errors import ConfigError
from builderbrain.train.data import RowSource
from builderbrain.train.rows import Row

_STRIDE = 1_000_033


class MixedRows:
    """A `RowSource`: of each step's rows the share `own_share` of one's own, drawn with replacement; the others of `replay`.

    Of two rows or more neither side goes without one. What is held out is mixed alike, as far as `own_held_out` has rows.
    `summary` says what the rows are.
    """

    def __init__(
        self,
        own: Sequence[Row],
        replay: RowSource,
        *,
        own_share: float,
        seed: int,
        own_held_out: Sequence[Row] = (),
        summary: str = "",
    ) -> None:
        if not own:
            raise ConfigError("expected at least one example to learn from, got none", field="examples")
        self.domain, self.summary = replay.domain, summary
        self._own, self._own_held_out = tuple(own), tuple(own_held_out)
        self._replay, self._share, self._seed = replay, own_share, seed

    def rows(self, step: int, count: int) -> list[Row]:
        """See `RowSource`."""
        own = min(count - 1, max(1, round(count * self._share)))
        drawn = random.Random(self._seed * _STRIDE + step).choices(self._own, k=own)
        return [*drawn, *self._replay.rows(step, count - own)]

    def held_out(self, count: int) -> list[Row]:
        """See `RowSource`."""
        own = self._own_held_out[: round(count * self._share)]
        return [*own, *self._replay.held_out(count - len(own))]
