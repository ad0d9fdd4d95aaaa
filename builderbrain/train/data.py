"""Where rows come from: generated goals, or a JSONL file of traces.

The batch of step n depends on (seed, n) alone. A trace line is `{"goal": text, "plan": text form}`, with optional
`intent`, `pattern`, `path`, `pick`; the plan must pass its checker. Bad lines are errors with their line number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from builderbrain.errors import ConfigError, PlanSyntaxError
from builderbrain.hosts.base import Tokenizer
from builderbrain.plan import check, parse_text, print_text
from builderbrain.rail.config import RailConfig
from builderbrain.train.base_text import synthetic_documents
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


class TraceFile:
    """Rows of a JSONL file; one in ten, by the hash of the goal's position, is held out."""

    domain = REPO_ASSISTANT

    def __init__(self, path: Path, tokenizer: Tokenizer, config: RailConfig, *, seed: int) -> None:
        """Read and check the whole file.

        Raises:
            ConfigError: the file is missing, has fewer than 20 lines, or a line is bad.
        """
        if not path.is_file():
            raise ConfigError(f"expected a JSONL file of traces, 'repo_assistant' or 'scan', got {str(path)!r}", field="data")
        self._seed = seed
        rows = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                rows.append(row_of(_goal_of(line, f"{path.name} line {number}", config), tokenizer, config))
        if len(rows) < 20:
            raise ConfigError(f"expected at least 20 traces in {path.name}, got {len(rows)}", field="data")
        self._held_out = rows[::10]
        self._train = [row for i, row in enumerate(rows) if i % 10]

    def rows(self, step: int, count: int) -> list[Row]:
        """See `RowSource`; drawn with replacement."""
        return random.Random(self._seed * _STRIDE + step).choices(self._train, k=count)

    def held_out(self, count: int) -> list[Row]:
        """See `RowSource`; at most as many as the file holds."""
        return self._held_out[:count]


def _goal_of(line: str, where: str, config: RailConfig) -> Goal:
    try:
        value = json.loads(line)
        text, plan = value["goal"], parse_text(value["plan"])
    except (ValueError, KeyError, TypeError, PlanSyntaxError) as error:
        raise ConfigError(f'{where}: expected {{"goal": text, "plan": plan in text form}}: {error}', field="data") from error
    verdict = check(plan)
    if not verdict.accepted:
        raise ConfigError(f"{where}: the plan is refused: {verdict.faults[0].message}", field="data")
    spans: dict[str, tuple[int, int] | None] = {}
    for slot in config.span_slots:
        found = value.get(slot)
        start = text.find(found) if isinstance(found, str) and found else -1
        spans[slot] = (start, start + len(found)) if start >= 0 else None
    intent = value.get("intent", config.intents[-1])
    if intent not in config.intents:
        raise ConfigError(f"{where}: unknown intent {intent!r}; expected one of {config.intents}", field="data")
    skills = tuple(step.skill for step in plan.steps)
    return Goal(text=text, plan=print_text(plan), intent=intent, actions=skills, spans=spans, pick=value.get("pick") or "none")


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
