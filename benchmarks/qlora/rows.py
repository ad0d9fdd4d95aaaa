"""Rows of one length: generated goals behind ordinary text, with all of their labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.train.base_text import synthetic_documents
from builderbrain.train.data import GeneratedGoals
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.rows import Row


class FixedRows:
    """A `RowSource` whose rows all have `tokens` tokens; after `epoch` steps the same rows come again."""

    domain = REPO_ASSISTANT

    def __init__(self, tokenizer: Tokenizer, config: RailConfig, *, tokens: int, epoch: int) -> None:
        self._goals = GeneratedGoals(tokenizer, config, seed=0)
        self._tokens, self._epoch = tokens, epoch
        self._text: tuple[int, ...] = ()
        documents = synthetic_documents(1000, seed=0)
        while len(self._text) < 5 * tokens:
            self._text += tuple(tokenizer.encode(next(documents)))
        self._kept: dict[tuple[int, int], list[Row]] = {}

    def rows(self, step: int, count: int) -> list[Row]:
        """See `RowSource`. Rows are made once; what is timed is training on them."""
        key = (step % self._epoch, count)
        if key not in self._kept:
            self._kept[key] = self._make(step % self._epoch, count)
        return self._kept[key]

    def held_out(self, count: int) -> list[Row]:
        """See `RowSource`."""
        return self._make(1_000_000, count)

    def _make(self, step: int, wanted: int) -> list[Row]:
        rows: list[Row] = []
        for number in count():
            for row in self._goals.rows(step * 1009 + number, wanted):
                missing = self._tokens - len(row.prompt) - len(row.answer)
                if missing >= 0 and len(rows) < wanted:
                    start = (step * 8191 + len(rows) * 127) % (len(self._text) - self._tokens)
                    rows.append(_behind(row, self._text[start : start + missing]))
            if len(rows) == wanted:
                break
        return rows


def _behind(row: Row, text: tuple[int, ...]) -> Row:
    """The row with ordinary text in front of its prompt."""
    shift = len(text)
    return replace(
        row,
        prompt=(*text, *row.prompt),
        spans={slot: None if span is None else (span[0] + shift, span[1] + shift) for slot, span in row.spans.items()},
        token_labels=tuple((0,) * shift + labels for labels in row.token_labels),
    )
