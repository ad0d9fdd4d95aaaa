"""Intervals against independent implementations."""

import pytest
from scipy import stats

from builderbrain.eval.statistics import seed_interval, wilson_interval


@pytest.mark.parametrize(("right", "total"), [(0, 21), (21, 21), (60, 64), (133, 165), (1, 2)])
def test_wilson_equals_scipy(right, total):
    expected = stats.binomtest(right, total).proportion_ci(method="wilson")
    got = wilson_interval(right / total, total)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("rates", [(0.8, 0.9), (0.81, 0.83, 0.87), (0.5, 0.52, 0.55, 0.49, 0.5, 0.53)])
def test_seed_interval_equals_students(rates):
    expected = stats.t.interval(0.95, len(rates) - 1, loc=sum(rates) / len(rates), scale=stats.sem(rates))
    got = seed_interval(rates)
    assert (got.low, got.high) == pytest.approx((max(0, expected[0]), min(1, expected[1])), abs=1e-9)


def test_one_seed_has_no_interval_and_nonsense_is_refused():
    assert seed_interval([0.9]) is None
    with pytest.raises(ValueError, match="total"):
        wilson_interval(0.5, 0)
    with pytest.raises(ValueError, match="rate"):
        wilson_interval(1.5, 3)
