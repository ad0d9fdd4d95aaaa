"""Multipliers on problems whose optimum is known."""

from __future__ import annotations

import math

import pytest
import torch

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.train.duals import Dual, DualConfig


def solve(config: DualConfig, *, steps: int = 4000) -> tuple[torch.Tensor, list[float], Dual]:
    """Minimise |x - (2, 1)|^2 subject to x_0 + x_1 <= target by gradient descent on x and the dual's ascent."""
    x = torch.zeros(2, requires_grad=True)
    goal, dual, readings = torch.tensor([2.0, 1.0]), Dual(config), []
    for _ in range(steps):
        reading = x.sum()
        loss = (x - goal).square().sum() + dual.value * (reading - config.target)
        (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            x -= 0.02 * gradient
        dual.update(float(reading.detach()))
        readings.append(float(reading.detach()))
    return x.detach(), readings, dual


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_reaches_the_known_optimum_and_multiplier(kappa: float) -> None:
    # KKT: 2 (x - goal) + lambda = 0 and x_0 + x_1 = 1 give x = (1, 0), lambda = 2.
    x, _, dual = solve(DualConfig(target=1.0, eta=0.02, kappa=kappa))
    torch.testing.assert_close(x, torch.tensor([1.0, 0.0]), rtol=0, atol=0.02)
    assert dual.value == pytest.approx(2.0, rel=0.02)


def test_the_proportional_term_overshoots_less_than_pure_ascent() -> None:
    overshoot = {kappa: max(solve(DualConfig(target=1.0, eta=0.05, kappa=kappa))[1]) - 1.0 for kappa in (0.0, 1.0)}
    assert overshoot[1.0] < 0.8 * overshoot[0.0]


def test_a_constraint_that_does_not_bind_gets_no_multiplier() -> None:
    x, _, dual = solve(DualConfig(target=10.0))
    assert dual.value == 0.0
    torch.testing.assert_close(x, torch.tensor([2.0, 1.0]), rtol=0, atol=1e-3)


def test_it_does_not_wind_up_at_its_cap_or_at_zero() -> None:
    dual = Dual(DualConfig(target=1.0, eta=1.0, kappa=0.0, cap=3.0))
    for _ in range(1000):
        dual.update(5.0)
    assert dual.value == 3.0
    for _ in range(3):
        dual.update(0.0)
    assert dual.value == 0.0, "a thousand violations may not be remembered"
    for _ in range(1000):
        dual.update(0.0)
    dual.update(2.0)
    assert dual.value == 1.0


def test_what_is_not_finite_moves_nothing_and_state_round_trips() -> None:
    dual = Dual(DualConfig(target=0.5))
    dual.update(1.0)
    before = dual.state()
    for bad in (math.nan, math.inf):
        dual.update(bad)
    assert dual.state() == before
    other = Dual(DualConfig(target=0.5))
    other.restore(before)
    assert other.state() == before
    with pytest.raises(CheckpointError, match="dual in"):
        other.restore({"integral": -1.0, "value": 0.0})
    with pytest.raises(ConfigError, match="target"):
        DualConfig(target=math.nan)
