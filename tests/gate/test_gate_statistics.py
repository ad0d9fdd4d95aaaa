"""Bounds against SciPy, published tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from builderbrain.deferral.binomial import binomial_cdf
from builderbrain.gate.statistics import (
    alpha_spent,
    harm_rate_upper,
    least_samples,
    mean_upper,
    quantile_rank,
    quantile_upper,
    tolerance,
)


def maurer_pontil(values: np.ndarray, width: float, alpha: float) -> float:
    """The closed empirical Bernstein bound, as a comparison."""
    n, level = len(values), math.log(2 / alpha)
    return float(values.mean() + math.sqrt(2 * values.var(ddof=1) * level / n) + 7 * width * level / (3 * (n - 1)))


def test_the_table_of_least_samples() -> None:
    assert [least_samples(harms, 0.05, 0.05) for harms in range(4)] == [59, 93, 124, 153]
    assert least_samples(0, 0.01, 0.05) == 299
    for harms, n in enumerate([59, 93, 124, 153]):
        assert harm_rate_upper(harms, n, 0.05) <= 0.05 < harm_rate_upper(harms, n - 1, 0.05)


@pytest.mark.parametrize("trials", [1, 2, 17, 59, 300, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 1e-5])
def test_clopper_pearson_against_scipy(trials: int, alpha: float) -> None:
    for harms in {0, 1, trials // 20, trials // 2, trials - 1}:
        exact = stats.beta.ppf(1 - alpha, harms + 1, trials - harms) if harms < trials else 1.0
        assert harm_rate_upper(harms, trials, alpha) == pytest.approx(exact, rel=1e-9)
        assert binomial_cdf(harms, trials, 0.05) == pytest.approx(stats.binom.cdf(harms, trials, 0.05), rel=1e-9, abs=1e-300)
    assert harm_rate_upper(trials, trials, alpha) == 1.0
    assert harm_rate_upper(0, 0, alpha) == 1.0


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        harm_rate_upper(5, 4, 0.05)
    with pytest.raises(ValueError, match="from 1"):
        alpha_spent(0)


def test_spending_adds_up_to_alpha() -> None:
    spent = sum(alpha_spent(attempt) for attempt in range(1, 200_000))
    assert 0.0499 < spent < 0.05
    assert alpha_spent(1) == pytest.approx(0.0304, abs=1e-4)


def test_order_statistic_bound_covers_and_needs_119() -> None:
    assert quantile_upper([0.1] * 118, 0.975, 0.05) == math.inf
    assert quantile_upper([0.1] * 119, 0.975, 0.05) == 0.1
    assert quantile_upper([], 0.975, 0.05) == math.inf
    draws = np.abs(np.random.default_rng(1).standard_normal((2000, 200)))
    truth = stats.norm.ppf(0.9875)
    rank = quantile_rank(200, 0.975, 0.05)
    assert rank is not None
    missed = (np.sort(draws, axis=1)[:, rank - 1] < truth).mean()
    assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert tolerance([]) == 0.0
    assert tolerance([0.0] * 150) == 0.0


@pytest.mark.parametrize("harmful", [0.01, 0.05, 0.5])
def test_mean_bound_covers_a_two_point_distribution(harmful: float) -> None:
    """Rare large harms on quiet prompts: the hard case, where the normal approximation fails."""
    runs, n, alpha = 300, 200, 0.05
    draws = np.where(np.random.default_rng(2).random((runs, n)) < harmful, 1.0, -0.01)
    truth = harmful - 0.01 * (1 - harmful)
    missed = np.mean([mean_upper(row, -1.0, 1.0, alpha) < truth for row in draws])
    assert missed <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def test_mean_bound_is_tighter_than_the_closed_form_and_never_below_the_mean() -> None:
    generator = np.random.default_rng(3)
    for spread in (0.0, 0.01, 0.1, 0.3):
        for attempt in (1, 20):
            values = np.clip(generator.normal(0.0, spread, 300), -1, 1)
            bound = mean_upper(values, -1.0, 1.0, alpha_spent(attempt))
            assert values.mean() < bound < maurer_pontil(values, 2.0, alpha_spent(attempt))
    assert mean_upper([0.0] * 300, -1.0, 1.0, alpha_spent(1)) == pytest.approx(0.026, abs=1e-3)
    assert mean_upper([0.0] * 300, -1.0, 1.0, alpha_spent(20)) == pytest.approx(0.07, abs=2e-3)


def test_mean_bound_edges() -> None:
    assert mean_upper([], -1.0, 1.0, 0.05) == 1.0
    assert mean_upper([1.0] * 50, -1.0, 1.0, 0.05) == 1.0
    with pytest.raises(ValueError, match="values in"):
        mean_upper([2.0], -1.0, 1.0, 0.05)
    with pytest.raises(ValueError, match="values in"):
        mean_upper([float("nan")], -1.0, 1.0, 0.05)
