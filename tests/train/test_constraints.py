"""Each constraint falls when it alone is followed, and the cheap trick that its smell names does not meet its target."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bbkernels.governed_loss import GovernedLoss
from builderbrain.errors import CheckpointError
from builderbrain.plan.skeleton import EDGES
from builderbrain.rail.plan_head import PlanScores
from builderbrain.train.constraint_reading import ConstraintReading
from builderbrain.train.constraint_sections import ConstraintsSection
from builderbrain.train.constraints import (
    Build,
    Calibration,
    Constraint,
    GoalSignals,
    GraphToGraph,
    Invariance,
    ParameterGrowth,
    Reuse,
    Signals,
)
from builderbrain.train.constraints.build import build_distance, composed
from builderbrain.train.constraints.calibration import expected_calibration_error, fit_temperature
from builderbrain.train.constraints.g2g import graph_distance
from builderbrain.train.constraints.invariance import spread

ROWS, TOKENS, WIDTH, SKILLS, NODES = 4, 12, 18, 6, 5
TARGETS = ConstraintsSection()
SEQ, PARALLEL = EDGES.index("seq"), EDGES.index("parallel")


def signals(**changes: Any) -> Signals:
    """Random ones; answer tokens are the last four of each row."""
    draw = torch.Generator().manual_seed(0)
    row = torch.arange(ROWS).repeat_interleave(4)
    loss = torch.rand(len(row), generator=draw)
    real = torch.ones(ROWS, TOKENS, dtype=torch.bool)
    real[0, 9:] = False
    probability = torch.rand(ROWS, TOKENS, SKILLS, generator=draw).softmax(-1)
    nodes = torch.tensor([[1, 2, 3, 0, 0], [2, 0, 0, 0, 0], [3, 1, 0, 0, 0], [-1] * NODES])
    edges = torch.full((ROWS, NODES, NODES), -1)
    edges[0, 0, 1], edges[0, 0, 2], edges[0, 1, 2], edges[2, 0, 1] = SEQ, 0, SEQ, PARALLEL
    goals = GoalSignals(
        weights=torch.ones(len(row)),
        row=row,
        environment=torch.tensor([0, 0, 1, 1]),
        real=real,
        stream=torch.randn(ROWS, TOKENS, WIDTH, generator=draw),
        written=torch.randn(ROWS, TOKENS, WIDTH, generator=draw),
        skill=probability.argmax(-1),
        probability=probability,
        decisions=(),
        plan=PlanScores(
            nodes=torch.randn(ROWS, NODES, 4, generator=draw), edges=torch.randn(ROWS, NODES, NODES, 4, generator=draw)
        ),
        nodes=nodes,
        edges=edges,
    )
    answer = GovernedLoss(cross_entropy=changes.pop("loss", loss), divergence=loss, energy=loss)
    return Signals(answer=answer, base_text=None, goals=replace(goals, **changes))


def read(constraint: Constraint, of: Signals) -> Tensor:
    reading = constraint.reading(of)
    assert reading is not None
    return reading


def value(constraint: Constraint, of: Signals) -> float:
    return float(read(constraint, of).detach())


def followed(start: list[Tensor], reading: Callable[[list[Tensor]], Tensor], *, steps: int, rate: float) -> tuple[float, float]:
    """First and last reading of a descent on it alone."""
    free = [tensor.clone().requires_grad_() for tensor in start]
    optimizer = torch.optim.Adam(free, lr=rate)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        now = reading(free)
        values.append(float(now.detach()))
        now.backward()
        optimizer.step()
    return values[0], values[-1]


# --- goal to graph ---------------------------------------------------------------------------------------------------


def perfect(of: GoalSignals, *, sure: float = 30.0) -> PlanScores:
    one_hot = nn.functional.one_hot
    return PlanScores(
        nodes=sure * one_hot(of.nodes.clamp(min=0), 4).float(), edges=sure * one_hot(of.edges.clamp(min=0), 4).float()
    )


def test_graph_distance_is_0_for_the_reference_1_for_an_empty_plan_and_falls_when_followed() -> None:
    goals = signals().goals
    known = slice(0, 3)
    assert graph_distance(perfect(goals), goals.nodes, goals.edges)[known].tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    empty = PlanScores(nodes=torch.tensor([30.0, 0, 0, 0]).expand(ROWS, NODES, 4), edges=torch.zeros(ROWS, NODES, NODES, 4))
    assert graph_distance(empty, goals.nodes, goals.edges)[known].tolist() == pytest.approx([1.0] * 3, abs=1e-6)

    def reading(free: list[Tensor]) -> Tensor:
        return read(GraphToGraph(), signals(plan=PlanScores(nodes=free[0], edges=free[1])))

    assert goals.plan is not None
    first, last = followed([goals.plan.nodes, goals.plan.edges], reading, steps=200, rate=0.2)
    assert first > 0.5
    assert last < TARGETS.g2g.target


def test_no_cheap_graph_meets_the_target() -> None:
    goals = signals().goals
    right = perfect(goals)
    everything = PlanScores(nodes=30.0 * nn.functional.one_hot(torch.full((ROWS, NODES), 1), 4).float(), edges=right.edges)
    unlinked = PlanScores(nodes=right.nodes, edges=30.0 * nn.functional.one_hot(torch.zeros_like(goals.edges), 4).float())
    for cheap in (everything, unlinked):
        assert value(GraphToGraph(), signals(plan=cheap)) > TARGETS.g2g.target
    # Row 0 has two nodes' links to lose; what is left out stands in the denominator.
    assert float(graph_distance(unlinked, goals.nodes, goals.edges)[0]) == pytest.approx(1 - 2 * 3 / (3 + 2 + 3), abs=1e-5)


def test_the_edit_distance_is_logged_beside_it() -> None:
    constraint, goals = GraphToGraph(), signals().goals
    read(constraint, signals(plan=perfect(goals)))
    constraint.settle(done=True)
    assert constraint.extra() == {"edit_distance": 0.0, "edit_distance_at_least": 0.0}
    assert constraint.count(signals()) == 3
    assert constraint.reading(signals(plan=None)) is None
    wrong = perfect(goals)
    wrong.nodes[1] = wrong.nodes[0]  # three steps with two links where one step was meant: two steps and the links too many
    read(constraint, signals(plan=wrong))
    constraint.settle(done=True)
    assert constraint.extra()["edit_distance"] == pytest.approx((0 + 2 + 0) / 3)


# --- build ------------------------------------------------------------------------------------------------------------


def test_build_falls_when_followed_and_is_0_only_for_states_that_are_their_skills() -> None:
    of, constraint = signals(), Build(WIDTH, torch.device("cpu"))
    first, last = followed(
        [of.goals.stream, of.goals.written],
        lambda free: read(constraint, signals(stream=free[0], written=free[1])),
        steps=150,
        rate=0.05,
    )
    assert first == pytest.approx(2.0, abs=0.4)
    assert last < TARGETS.build.target
    same = signals(stream=composed(of.goals.written))
    assert value(constraint, same) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-1, 1e-3, 1e-6, 0.0])
def test_smaller_states_and_skills_do_not_lower_build(scale: float) -> None:
    constraint = Build(WIDTH, torch.device("cpu"))
    stream, written = signals().goals.stream, signals().goals.written
    near = stream * 0.3 + composed(written)
    before = value(constraint, signals(stream=near, written=written))
    assert before < 0.5
    for states, skills in ((near * scale, written * scale), (near, written * scale), (near * scale, written)):
        assert value(constraint, signals(stream=states, written=skills)) >= before - 1e-5
    zeros = read(constraint, signals(stream=near * 0, written=written * 0))
    assert float(zeros) == pytest.approx(2.0)


def test_skills_that_write_nothing_yet_get_a_gradient_of_ordinary_size() -> None:
    """New skills write zeros, so every run starts there."""
    written = torch.zeros(ROWS, TOKENS, WIDTH, requires_grad=True)
    read(Build(WIDTH, torch.device("cpu")), signals(written=written)).backward()
    assert written.grad is not None
    assert 0.01 < float(written.grad.norm()) < 10.0


def test_constant_states_do_not_lower_build_and_padding_is_not_read() -> None:
    constraint = Build(WIDTH, torch.device("cpu"))
    constant = torch.ones(ROWS, TOKENS, WIDTH)
    real = signals().goals.real
    assert float(build_distance(constant, constant, real)) == pytest.approx(2.0)
    other = signals().goals.stream.clone()
    other[~real] = 100.0
    assert torch.equal(read(constraint, signals(stream=other)), read(constraint, signals()))


# --- reuse ------------------------------------------------------------------------------------------------------------


def reuse_of(choice: Tensor, constraint: Reuse) -> float:
    """Reading of a usage that goes on until the prior has followed it."""
    probability = nn.functional.one_hot(choice, SKILLS).float().expand(ROWS, TOKENS, SKILLS)
    for _ in range(400):
        last = value(constraint, signals(skill=choice.expand(ROWS, TOKENS), probability=probability))
        constraint.settle(done=True)
    return last


def test_one_skill_for_all_reads_twice_what_four_in_use_read() -> None:
    one = reuse_of(torch.zeros(TOKENS, dtype=torch.int64), Reuse(SKILLS, 4))
    four = reuse_of(torch.arange(TOKENS) % 4, Reuse(SKILLS, 4))
    six = reuse_of(torch.arange(TOKENS) % 6, Reuse(SKILLS, 4))
    assert one == pytest.approx(2 * math.log(4), abs=0.05)
    assert four == pytest.approx(math.log(4), abs=0.05)
    assert six == pytest.approx(math.log(6), abs=0.05)
    assert four < TARGETS.reuse.target < one


def test_reuse_falls_when_followed_without_giving_up_variety() -> None:
    constraint = Reuse(SKILLS, 3)
    constraint.counts = [500.0, 400.0, 300.0, 1.0, 1.0, 1.0]

    def reading(free: list[Tensor]) -> Tensor:
        probability = free[0].softmax(-1)
        return read(constraint, signals(probability=probability, skill=probability.argmax(-1)))

    scores = torch.randn(ROWS, TOKENS, SKILLS, generator=torch.Generator().manual_seed(3))
    first, last = followed([scores], reading, steps=120, rate=0.1)
    assert first > 2.0
    assert math.log(3) - 1e-3 <= last < 1.4


def test_the_usage_prior_learns_from_done_steps_alone_and_is_kept() -> None:
    constraint, of = Reuse(SKILLS, 4), signals()
    read(constraint, of)
    constraint.settle(done=False)
    assert constraint.counts == [0.0] * SKILLS
    read(constraint, of)
    constraint.settle(done=True)
    assert sum(constraint.counts) == constraint.count(of) == ROWS * TOKENS - 3
    other = Reuse(SKILLS, 4)
    other.restore(json.loads(json.dumps(constraint.state())))
    assert torch.equal(read(other, of), read(constraint, of))
    with pytest.raises(CheckpointError, match="usage counts of 5"):
        Reuse(5, 4).restore(constraint.state())


# --- growth -----------------------------------------------------------------------------------------------------------


def test_growth_counts_moves_in_both_directions_and_new_parameters_in_full() -> None:
    rail = nn.Linear(3, 2)
    constraint = ParameterGrowth(rail)
    assert value(constraint, signals()) == 0.0
    with torch.no_grad():
        rail.weight[0] += 0.5
        rail.weight[1] -= 0.5
    assert value(constraint, signals()) == pytest.approx(0.5 * 6 / 8), "moves that cancel are moves"
    rail.register_parameter("born", nn.Parameter(torch.ones(1000)))
    assert value(constraint, signals()) == pytest.approx((0.5 * 6 + 1000) / 8), "more parameters do not thin it out"


def test_growth_falls_when_followed_and_refuses_another_start() -> None:
    rail = nn.Linear(3, 2)
    constraint = ParameterGrowth(rail)
    state = json.loads(json.dumps(constraint.state()))
    with torch.no_grad():
        rail.weight.add_(0.1)
    optimizer = torch.optim.SGD(rail.parameters(), lr=0.05)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        reading = read(constraint, signals())
        values.append(float(reading.detach()))
        reading.backward()
        optimizer.step()
    assert values[-1] < TARGETS.param_l1.target < values[0]
    constraint.restore(state)
    with pytest.raises(CheckpointError, match="not the one it starts from now"):
        ParameterGrowth(rail).restore(state)


# --- calibration -----------------------------------------------------------------------------------------------------


def decisions(*, confidence: float, accuracy: float, seed: int, size: int = 200) -> tuple[tuple[Tensor, Tensor], ...]:
    """Decisions between two options, the first one taken with `confidence` and right with `accuracy`."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.tensor([math.log(confidence / (1 - confidence)), 0.0]).expand(size, 2)
    labels = (torch.rand(size, generator=draw) >= accuracy).long()
    return ((scores, labels),)


def test_the_temperature_corrects_steps_that_come_after_the_lag() -> None:
    constraint = Calibration(lag=2, buffer=8)
    readings = []
    for step in range(12):
        readings.append(value(constraint, signals(decisions=decisions(confidence=0.99, accuracy=0.75, seed=step))))
        constraint.settle(done=True)
        assert (constraint.temperature == 1.0) == (step < 2)
    assert readings[0] == pytest.approx(0.24, abs=0.06)
    assert readings[-1] < TARGETS.calibration.target
    assert constraint.temperature == pytest.approx(math.log(99) / math.log(3), rel=0.1)


def test_a_shift_shows_although_a_fit_on_the_same_items_would_hide_it() -> None:
    constraint = Calibration(lag=2, buffer=8)
    for step in range(12):
        read(constraint, signals(decisions=decisions(confidence=0.99, accuracy=0.9, seed=step)))
        constraint.settle(done=True)
    before = value(constraint, signals(decisions=decisions(confidence=0.99, accuracy=0.9, seed=20)))
    constraint.settle(done=False)
    shifted = decisions(confidence=0.99, accuracy=0.6, seed=21, size=600)
    after = value(constraint, signals(decisions=shifted))
    assert before < TARGETS.calibration.target < after
    right = (shifted[0][1] == 0).double()
    items = [(math.log(99), float(y)) for y in right]
    temperature = fit_temperature(items)
    hidden = expected_calibration_error([(1 / (1 + math.exp(-z / temperature)), y) for z, y in items])
    assert hidden < 0.02


def test_following_the_surrogate_lowers_the_calibration_error() -> None:
    """Scores with a scale and an offset of their own, whose items are right three times in four."""
    draw = torch.Generator().manual_seed(5)
    base = torch.randn(400, generator=draw) * 3 + 3
    labels = (torch.rand(400, generator=draw) >= torch.sigmoid(base / 3)).long()
    constraint = Calibration(lag=30, buffer=31)  # the temperature stays 1: what falls is the rail's doing

    def reading(free: list[Tensor]) -> Tensor:
        scores = torch.stack([base * free[0] + free[1], torch.zeros_like(base)], -1)
        return read(constraint, signals(decisions=((scores, labels),)))

    first, last = followed([torch.ones(()), torch.zeros(())], reading, steps=80, rate=0.05)
    assert first > 0.1
    assert last < 0.5 * first


def test_calibration_goes_on_from_its_state_and_takes_nothing_of_a_dropped_step() -> None:
    constraint, other = Calibration(lag=1, buffer=3), Calibration(lag=1, buffer=3)
    for step in range(5):
        of = signals(decisions=decisions(confidence=0.9, accuracy=0.7, seed=step, size=20))
        read(constraint, of)
        constraint.settle(done=step != 3)
    other.restore(json.loads(json.dumps(constraint.state())))
    assert torch.equal(read(other, of), read(constraint, of))
    assert len(constraint.state()["steps"]) == 3
    lost = signals(decisions=((torch.full((3, 2), math.nan), torch.zeros(3, dtype=torch.int64)),))
    assert math.isnan(value(constraint, lost))
    with pytest.raises(CheckpointError, match="lacks 'temperature'"):
        other.restore({})


# --- invariance ------------------------------------------------------------------------------------------------------


def test_invariance_falls_when_followed_and_never_makes_the_easy_environment_harder() -> None:
    environment = torch.tensor([0] * 8 + [1] * 8)
    risk = torch.cat([torch.full((8,), 0.2), torch.full((8,), 1.2)])
    loss = risk.clone().requires_grad_()
    spread(loss, torch.ones(16), environment).backward()
    assert loss.grad is not None
    assert torch.equal(loss.grad[:8], torch.zeros(8)), "descent leaves the easy environment where it is"
    assert bool((loss.grad[8:] > 0).all()), "and lowers the hard one"
    around_the_mean = risk.clone().requires_grad_()
    torch.stack([around_the_mean[:8].mean(), around_the_mean[8:].mean()]).var(unbiased=False).backward()
    assert around_the_mean.grad is not None
    assert bool((around_the_mean.grad[:8] < 0).all()), "where a plain variance pushes it up"
    first, last = followed([risk], lambda free: read(Invariance(), signals(loss=free[0])), steps=150, rate=0.02)
    assert first > 0.3
    assert last < TARGETS.invariance.target


def test_a_part_that_says_nothing_is_left_out_of_the_mean() -> None:
    reading = ConstraintReading(dual=0.0, weight=0.0)
    assert reading.value == 0.0
    reading.add(0.25, 0.8, 5)
    reading.add(0.5, 0.2, 10)
    assert reading.value == pytest.approx((0.25 * 0.8 + 0.5 * 0.2) / 0.75)
    reading.add(0.25, 0.0, 5)
    assert reading.value == pytest.approx(0.3)
    assert reading.count == 20


def test_one_environment_says_nothing() -> None:
    alone = signals(environment=torch.zeros(ROWS, dtype=torch.int64))
    assert Invariance().reading(alone) is None
    assert Invariance().count(alone) == 0
    assert Invariance().count(signals()) == ROWS
