"""Where rows come from: generated goals, or data of somebody's own (`data_files.py`).

The batch of step n depends on (seed, n) alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from builderbrain.errors import ConfigError, DataError, GrammarRefusedError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.train.base_text import synthetic_documents
from builderbrain.train.data_files import LEAST_ROWS, Request, Requests
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.rows import Row, row_of

_STRIDE = 1_000_003
"""Keeps the seeds of different runs apart."""
_OTHERS = 1 << 40
"""From a step's seed to that of the goals whose steps stand in for others."""
HELD_OUT_STEP = 999_983
"""The step number whose generator makes the held-out rows; no run is that long."""

_CHAT = "User: {goal}\nAssistant: "
"""How a base without a chat template of its own is talked to."""


class RowSource(Protocol):
    """Gives rows by step, all of one domain."""

    domain: TrainingDomain

    def rows(self, step: int, count: int) -> list[Row]:
        """`count` rows of a step; the same arguments give the same rows."""
        ...

    def held_out(self, count: int) -> list[Row]:
        """`count` rows that no step contains."""
        ...


class GeneratedGoals:
    """Goals that a domain generates.

    A share `wrong_steps` of the rows has another goal's step in place of one that is not the last: which steps follow one
    another in training goals says nothing about compositions that are left out, and is not to be learned by heart.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: RailConfig,
        *,
        seed: int,
        wrong_steps: float = 0.0,
        domain: TrainingDomain = REPO_ASSISTANT,
    ) -> None:
        self.domain = domain
        self._tokenizer, self._config, self._seed, self._wrong_steps = tokenizer, config, seed, wrong_steps

    def rows(self, step: int, count: int) -> list[Row]:
        """See `RowSource`."""
        seed = self._seed * _STRIDE + step
        rng, calls = random.Random(seed), self.domain.calls(seed + _OTHERS)
        rows = []
        for goal in islice(self.domain.goals(seed), count):
            wrong = _wrong_step(goal, calls, rng) if rng.random() < self._wrong_steps else None
            rows.append(row_of(goal, self._tokenizer, self._config, wrong_step=wrong))
        return rows

    def held_out(self, count: int) -> list[Row]:
        """See `RowSource`; the same for every seed of the run."""
        return self._take(self.domain.held_out(HELD_OUT_STEP, count), count)

    def _take(self, goals: Iterable[Goal], count: int) -> list[Row]:
        return [row_of(goal, self._tokenizer, self._config) for goal in islice(goals, count)]


def _wrong_step(goal: Goal, calls: Iterator[str], rng: random.Random) -> tuple[int, str] | None:
    """A step of the goal but its last, and another call."""
    steps = goal.plan.count("\n") + 1
    if steps < 2:
        return None
    call = next(calls)
    return rng.randrange(steps - 1), call


class FileRows:
    """Rows of a file or an ingested folder. What is held out is its validation split, or else every tenth row.

    `summary` says how many rows there are, and how many were left out for what reason; `training` are those not held out.
    """

    def __init__(
        self,
        requests: Requests,
        domain: TrainingDomain,
        tokenizer: Tokenizer,
        config: RailConfig,
        *,
        seed: int,
        grammar: CompiledConstraint,
        max_length: int,
    ) -> None:
        """Tokenise every row, and see that it can be trained on: a row that cannot would end the run, and every resumed one.

        Args:
            requests: of the domain.
            max_length: tokens that the base can read.

        Raises:
            DataError: a row is longer than that, or its plan is outside the grammar; names file, line and tokens.
            ConfigError: fewer than 20 rows are left.
        """
        self.domain = domain
        self._seed, self._left_out = seed, requests.left_out
        self._max_length, self._grammar = max_length, grammar
        train = list(self._rows_of(requests.train, tokenizer, config))
        held_out = list(self._rows_of(requests.held_out or (), tokenizer, config))
        total = len(train) + len(held_out)
        if total < LEAST_ROWS or not train:
            left = "".join(f"; {line}" for line in self._left_out.lines())
            raise ConfigError(
                f"expected at least {LEAST_ROWS} rows to train on in {requests.source}, got {total}{left}", field="data"
            )
        part = "its validation split"
        if not held_out:
            held_out, train, part = train[::10], [row for i, row in enumerate(train) if i % 10], "every tenth row"
        self.training, self._held_out = tuple(train), held_out
        lines = (f"{len(train)} rows of {domain.name} from {requests.source}, {len(held_out)} held out ({part})",
                 *self._left_out.lines())  # fmt: skip
        self.summary = "\n".join(lines)

    def _rows_of(self, requests: Iterable[Request], tokenizer: Tokenizer, config: RailConfig) -> Iterator[Row]:
        for request in requests:
            row = row_of(_goal_of(request, self.domain), tokenizer, config)
            length = len(row.prompt) + len(row.answer)
            reason, message = "", ""
            if length > self._max_length:
                reason = f"longer than the {self._max_length} tokens that the base can read"
                message = f"{length} tokens"
            else:
                message = self._illegal(row)
                reason = "whose plan is outside the grammar" if message else ""
            if not reason:
                yield row
            elif request.forgiving:
                self._left_out.add(reason, request.where, message)
            else:
                raise DataError(f"{request.where}: a row {reason}: {message}; shorten it or leave it out", field="data")

    def _illegal(self, row: Row) -> str:
        """Which token of a row's answer the grammar has no place for; empty when it has for all."""
        matcher = self._grammar.matcher()
        for index, token in enumerate(row.answer):
            try:
                matcher.accept(token)
            except GrammarRefusedError:
                return f"token {index} of the plan"
        return ""

    def rows(self, step: int, count: int) -> list[Row]:
        """See `RowSource`; drawn with replacement."""
        return random.Random(self._seed * _STRIDE + step).choices(self.training, k=count)

    def held_out(self, count: int) -> list[Row]:
        """See `RowSource`; at most as many as the data holds."""
        return self._held_out[:count]


def _goal_of(request: Request, domain: TrainingDomain) -> Goal:
    if domain.from_plan is None:
        raise ConfigError(f"expected a domain whose plans can be labelled, got {domain.name}; name other data", field="data")
    goal = domain.from_plan(request.text, request.plan)
    spans = dict(goal.spans)
    for slot in goal.spans.keys() & request.labels.keys():
        start = request.text.find(request.labels[slot])
        spans[slot] = (start, start + len(request.labels[slot]))
    said = {name: request.labels[name] for name in ("intent", "pick") if name in request.labels}
    return replace(goal, spans=spans, **said)


def base_text_rows(
    tokenizer: Tokenizer, *, seed: int, step: int, count: int, width: int, domain: TrainingDomain = REPO_ASSISTANT
) -> Tensor:
    """int64 [count, width] windows of ordinary generated text, for the KL budget.

    Every other row begins as a chat in which a goal is said: only the plan prompt asks the builder for a plan. Over
    steps too, so that parts with a single row of text get chats as well.
    """
    number = seed * _STRIDE + step + 1
    documents, goals = synthetic_documents(count * 2, seed=number), domain.goals(number)
    rows = []
    for index in range(count):
        ids = tokenizer.encode(_CHAT.format(goal=next(goals).text)) if (number + index) % 2 else []
        while len(ids) < width:
            ids += tokenizer.encode(next(documents, "")) or [tokenizer.eos_token_id]
        rows.append(ids[:width])
    return torch.tensor(rows, dtype=torch.int64).view(count, width)
