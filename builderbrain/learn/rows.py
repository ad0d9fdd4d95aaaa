"""Training rows of a candidate: examples of live traffic, and the generated goals that they are mixed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builderbrain.errors import BuilderBrainError, ConfigError, GrammarRefusedError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Tokenizer
from builderbrain.learn.traces import Example
from builderbrain.rail.config import RailConfig
from builderbrain.train.data import GeneratedGoals
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.rows import Row, row_of


@dataclass(frozen=True, kw_only=True)
class LiveRow:
    """An example and what it is as tokens."""

    example: Example
    row: Row


def live_rows(
    examples: Sequence[Example],
    domain: TrainingDomain,
    *,
    tokenizer: Tokenizer,
    config: RailConfig,
    grammar: CompiledConstraint,
    max_length: int,
) -> tuple[list[LiveRow], list[str]]:
    """Those of the domain that can be trained on, and the ids of the others: too long, outside the grammar, of another
    domain."""
    fit, unfit = [], []
    for example in examples:
        row = _row(example, domain, tokenizer, config)
        if row is None or len(row.prompt) + len(row.answer) > max_length or not _legal(row, grammar):
            unfit.append(example.id)
        else:
            fit.append(LiveRow(example=example, row=row))
    return fit, unfit


def _row(example: Example, domain: TrainingDomain, tokenizer: Tokenizer, config: RailConfig) -> Row | None:
    if domain.from_plan is None or example.domain != domain.name:
        return None
    try:
        return row_of(domain.from_plan(example.text, example.plan), tokenizer, config)
    except (BuilderBrainError, ValueError, IndexError):  # a label that this rail has no room for
        return None


def _legal(row: Row, grammar: CompiledConstraint) -> bool:
    matcher = grammar.matcher()
    try:
        for token in row.answer:
            matcher.accept(token)
    except GrammarRefusedError:
        return False
    return True


def replay_of(tokenizer: Tokenizer, config: RailConfig, domain: TrainingDomain, *, seed: int) -> GeneratedGoals:
    """Generated goals of a domain.

    Raises:
        ConfigError: the rail's heads are of another domain.
    """
    for name in ("intents", "actions", "span_slots", "choice_slots"):
        if getattr(config, name) != getattr(domain, name):
            raise ConfigError(
                f"expected a live rail that was trained on {domain.name}, whose {name} are {getattr(domain, name)}, got "
                f"{getattr(config, name)}; goals of other domains are not learned while serving",
                field="learn",
            )
    return GeneratedGoals(tokenizer, config, seed=seed, wrong_steps=0.3, domain=domain)
