"""A candidate in training: the live rail stays as it is bit for bit, pieces fit their time, and a bad step changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from builderbrain.errors import ConfigError
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.learn.candidate import Candidate, parts_for
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.rows import live_rows, replay_of
from builderbrain.learn.traces import Example
from builderbrain.plan import load_grammar
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.background import Job
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.mixed_rows import MixedRows
from builderbrain.train.step import TrainingStep
from tests.learn.serving import WORDS, ground, plan_of, tiny_host

CONFIG = LearnConfig(steps=3, rows_per_step=4, learning_rate=2e-3, muon_learning_rate=1e-2)


@pytest.fixture(scope="module")
def host() -> Host:
    return tiny_host()


@pytest.fixture(scope="module")
def grammar(host: Host) -> CompiledConstraint:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    return engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)


def examples(count: int) -> list[Example]:
    return [
        Example(
            id=f"t{number}",
            source="a",
            domain="repo_assistant",
            text=f"search for {WORDS[number % len(WORDS)]}",
            plan=plan_of(f's1=search(pattern="{WORDS[number % len(WORDS)]}")'),
            corrected=False,
            order=number,
        )
        for number in range(count)
    ]


def rows_of(host: Host, grammar: CompiledConstraint, found: list[Example]) -> tuple[list[Any], list[str]]:
    rail = load_rail(ground().rail)
    rows, unfit = live_rows(
        found, REPO_ASSISTANT, tokenizer=host.tokenizer, config=rail.config, grammar=grammar, max_length=host.max_length
    )
    return [one.row for one in rows], unfit


def drain(job: Job[Any], between: Any = None) -> tuple[Any, int]:
    count = 0
    while True:
        try:
            next(job)
        except StopIteration as finished:
            return finished.value, count
        count += 1
        if between is not None:
            between()


@pytest.fixture
def candidate(host: Host, grammar: CompiledConstraint) -> Candidate:
    return Candidate(host, ground().rail, grammar, CONFIG, seed=0)


@pytest.fixture
def source(host: Host, grammar: CompiledConstraint, candidate: Candidate) -> MixedRows:
    rows, unfit = rows_of(host, grammar, examples(6))
    assert unfit == []
    return MixedRows(rows, replay_of(host.tokenizer, candidate.rail.config, REPO_ASSISTANT, seed=0), own_share=0.5, seed=0)


def test_the_candidate_learns_and_nothing_else_moves(candidate: Candidate, source: MixedRows, host: Host) -> None:
    live = load_rail(ground().rail)
    before = {name: tensor.clone() for name, tensor in live.state_dict().items()}
    base = {name: tensor.clone() for name, tensor in host.model.named_parameters()}  # type: ignore[attr-defined]
    live_row = source.rows(0, 4)[0]
    first, _ = drain(candidate.losses([live_row]))
    trained, pauses = drain(candidate.train(source))
    second, _ = drain(candidate.losses([live_row]))
    assert (trained.steps, trained.dropped) == (3, 0)
    assert trained.tokens > 0
    assert pauses >= 3 * (2 + 2 * 2), "collating, and both passes of each part, are pieces of their own"
    assert second[0] < first[0]
    assert all(torch.equal(before[name], tensor) for name, tensor in live.state_dict().items())
    assert all(torch.equal(before[name], tensor) for name, tensor in load_rail(ground().rail).state_dict().items())
    assert all(torch.equal(base[name], tensor) for name, tensor in host.model.named_parameters())  # type: ignore[attr-defined]
    assert any(not torch.equal(before[name], tensor) for name, tensor in candidate.rail.state_dict().items())


def test_other_work_between_the_pieces_changes_no_bit(host: Host, grammar: CompiledConstraint, source: MixedRows) -> None:
    one, other = (Candidate(host, ground().rail, grammar, replace(CONFIG, micro_step_seconds=60), seed=0) for _ in range(2))
    served = load_rail(ground().rail)

    def decode() -> None:
        with torch.no_grad():
            served(host.forward(torch.randint(1, 200, (1, 5))))

    drain(one.train(source))
    drain(other.train(source), between=decode)
    assert all(torch.equal(tensor, other.rail.state_dict()[name]) for name, tensor in one.rail.state_dict().items())


def test_rows_that_cannot_be_trained_on_are_named(host: Host, grammar: CompiledConstraint) -> None:
    (good,) = examples(1)
    long = replace(good, id="long", text="word " * 2000)
    other = replace(good, id="other", domain="robot_cell")
    rows, unfit = rows_of(host, grammar, [good, long, other])
    assert len(rows) == 1
    assert unfit == ["long", "other"]


def test_each_step_replays_generated_goals(source: MixedRows) -> None:
    live = {row.prompt for row in source._own}
    for step in range(5):
        drawn = [row.prompt in live for row in source.rows(step, 10)]
        assert sum(drawn) == 5
    assert source.rows(3, 10) == source.rows(3, 10)
    with pytest.raises(ConfigError, match="at least one"):
        MixedRows([], source._replay, own_share=0.5, seed=0)


def test_a_loss_that_is_not_finite_changes_nothing_and_halves_the_rates(
    candidate: Candidate, source: MixedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: tensor.clone() for name, tensor in candidate.rail.state_dict().items()}
    move = TrainingStep.move
    seen: list[float] = []

    def poisoned(self: TrainingStep, loss: float, scale: float) -> float:
        seen.append(self.state.optimizers[-1].param_groups[0].get("initial_lr", CONFIG.learning_rate))
        return move(self, float("nan"), scale)

    monkeypatch.setattr(TrainingStep, "move", poisoned)
    trained, _ = drain(candidate.train(source))
    assert trained.dropped == 3
    assert all(torch.equal(before[name], tensor) for name, tensor in candidate.rail.state_dict().items())
    assert seen == [CONFIG.learning_rate / 2**step for step in range(3)]


def test_three_steps_without_memory_end_the_training_and_one_does_not(
    candidate: Candidate, source: MixedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, failures = TrainingStep.forward, [1]

    def short(self: TrainingStep, part: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise MemoryError
        return forward(self, part)

    monkeypatch.setattr(TrainingStep, "forward", short)
    trained, _ = drain(candidate.train(source))
    assert (trained.steps, trained.dropped) == (3, 1)
    candidate.state.step, failures[0] = 0, 9
    with pytest.raises(ConfigError, match="memory"):
        drain(candidate.train(source))


@pytest.mark.parametrize(
    ("parts", "longest", "expected"),
    [(2, 0.05, 5), (2, 0.021, 3), (2, 0.015, 2), (4, 0.009, 3), (1, 0.001, 1), (8, 1.0, 12)],
)
def test_steps_are_cut_into_parts_that_fit(parts: int, longest: float, expected: int) -> None:
    assert parts_for(parts, longest, 0.02, 12) == expected


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)
