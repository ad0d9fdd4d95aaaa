"""Alpha budget and learning rate by rule."""

from __future__ import annotations

import math

import pytest

from builderbrain.errors import ConfigError
from builderbrain.train.config import BudgetSection
from builderbrain.train.schedule import BudgetSchedule, learning_rate_scale, router_temperature


def test_the_budget_rises_with_improvement_stays_without_and_falls_on_regress() -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 0.2, 1.0), improvement=0.1, regress=0.5))
    seen = []
    for loss in (3.0, 2.9, 2.6, 2.5, 2.0, 1.9, 2.9, 3.5, 3.4, 3.0):
        schedule.update(loss, {})
        seen.append(schedule.budget)
    assert seen == [0.05, 0.05, 0.2, 0.2, 1.0, 1.0, 1.0, 0.2, 0.2, 1.0]


def test_a_loss_that_rises_because_the_budget_was_lowered_does_not_lower_it_again() -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 0.2, 0.4, 1.0), improvement=0.1, regress=0.5))
    schedule.begin_at(1.0)
    seen = []
    for loss in (0.1, 0.16, 0.3, 0.29, 0.25, 0.38):
        schedule.update(loss, {})
        seen.append(schedule.budget)
    assert seen == [1.0, 0.4, 0.4, 0.4, 1.0, 0.4]


@pytest.mark.parametrize("name", ["safety", "calibration"])
def test_no_raise_is_paid_for_with_a_debt(name: str) -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 0.2, 1.0), safety_debt=0.02, calibration_debt=0.02))
    seen = []
    for loss, debt in ((3.0, 0.1), (2.5, 0.11), (2.0, 0.2), (1.9, 0.14), (1.8, 0.12), (1.7, math.nan), (1.6, 0.5)):
        held_by = schedule.update(loss, {name: debt})
        seen.append((schedule.budget, held_by))
    free: list[str] = []
    assert seen == [
        (0.05, free),
        (0.2, free),
        (0.2, [name]),
        (0.2, [name]),
        (1.0, free),
        (1.0, free),
        (1.0, free),
    ]


def test_a_debt_cannot_grow_by_its_tolerance_with_every_raise() -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 0.1, 0.2, 1.0), safety_debt=0.05))
    schedule.update(4.0, {"safety": 0.0})
    assert schedule.update(3.0, {"safety": 0.04}) == []
    assert schedule.update(2.0, {"safety": 0.08}) == ["safety"]
    assert schedule.budget == 0.1


def test_a_debt_that_is_not_a_number_holds_the_budget() -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 1.0)))
    schedule.update(3.0, {"safety": 0.0})
    assert schedule.update(2.0, {"safety": math.nan}) == ["safety"]
    assert schedule.budget == 0.05


def test_a_rail_that_was_trained_before_keeps_its_budget() -> None:
    schedule = BudgetSchedule(BudgetSection(steps=(0.05, 0.2, 1.0)))
    for budget, expected in ((1.0, 1.0), (0.3, 0.2), (0.01, 0.05)):
        schedule.begin_at(budget)
        assert schedule.budget == expected


def test_the_state_of_a_schedule_round_trips_before_and_after_the_first_reading() -> None:
    for losses in ((), (3.0, 2.0)):
        first, second = BudgetSchedule(BudgetSection()), BudgetSchedule(BudgetSection())
        for loss in losses:
            first.update(loss, {"safety": 0.01})
        second.restore(first.state())
        first.update(1.9, {"safety": 0.02})
        second.update(1.9, {"safety": 0.02})
        assert first.state() == second.state()


def test_the_learning_rate_warms_up_and_decays() -> None:
    scales = [learning_rate_scale(step, steps=100, warmup_fraction=0.1) for step in range(100)]
    assert scales[0] == pytest.approx(0.1)
    assert max(scales) == 1.0
    assert scales[10:] == sorted(scales[10:], reverse=True)
    assert 0.0 < scales[-1] < 0.03


def test_the_router_cools_geometrically() -> None:
    assert router_temperature(0, steps=11, first=1.0, last=0.25) == 1.0
    assert router_temperature(5, steps=11, first=1.0, last=0.25) == pytest.approx(0.5)
    assert router_temperature(10, steps=11, first=1.0, last=0.25) == pytest.approx(0.25)


def test_budgets_that_are_no_budgets_are_refused() -> None:
    for steps in ((), (0.2, 0.1), (0.5, 1.5)):
        with pytest.raises(ConfigError, match="ascending budgets"):
            BudgetSection(steps=steps)
