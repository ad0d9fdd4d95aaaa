"""The test of a shift: no more false alarms than stated, and a planted shift is found within a stated number of requests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from builderbrain.deferral.shift import ConformalMartingale, ShiftTest
from builderbrain.errors import DataError
from tests.deferral.requests import drawn

RUNS = 150


def first_alarm(test: ShiftTest, values: np.ndarray) -> int | None:
    """After how many requests it gave alarm."""
    return next((place for place, value in enumerate(values, start=1) if test.observe({"confidence": float(value)})), None)


@pytest.mark.parametrize("ties", [False, True])
def test_without_a_shift_there_are_no_more_alarms_than_stated(ties: bool) -> None:
    rng, level = np.random.default_rng(3), 0.1
    alarms = 0
    for run in range(RUNS):
        reference = {"confidence": drawn(rng, 60, ties=ties)[0].tolist()}
        alarms += first_alarm(ShiftTest(reference, level=level, seed=run), drawn(rng, 250, ties=ties)[0]) is not None
    assert alarms <= stats.binom.ppf(0.999, RUNS, level)


def test_the_capital_is_a_martingale_whatever_was_seen() -> None:
    rng = np.random.default_rng(4)
    martingale = ConformalMartingale([0.5], rng)
    for value in rng.random(50):
        martingale.bet(float(value) ** 2)
    gains = []
    for p in np.linspace(0.0005, 0.9995, 1000):
        copy = ConformalMartingale([0.5], rng)
        copy._capital = martingale._capital.copy()
        gains.append(math.exp(copy.bet(float(p))))
    assert np.mean(gains) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("worse", "within"), [(0.3, 60), (0.15, 150)])
def test_a_planted_shift_is_found_within_so_many_requests(worse: float, within: int) -> None:
    rng = np.random.default_rng(5)
    found = []
    for run in range(40):
        test = ShiftTest({"confidence": drawn(rng, 500)[0].tolist()}, seed=run)
        assert first_alarm(test, drawn(rng, 100)[0]) is None  # as before, for a while
        found.append(first_alarm(test, drawn(rng, within, worse=worse)[0]) is not None)
    assert np.mean(found) >= 0.95


def test_a_shift_of_another_feature_is_found_while_confidences_stay() -> None:
    rng = np.random.default_rng(6)
    test = ShiftTest({"confidence": rng.random(300).tolist(), "tokens": rng.integers(3, 20, 300).tolist()}, seed=0)
    alarms = [test.observe({"confidence": rng.random(), "tokens": int(rng.integers(15, 60))}) for _ in range(100)]
    assert any(alarms)


def test_each_test_after_the_first_needs_more() -> None:
    reference = {"confidence": [0.5] * 50}
    limits = [ShiftTest(reference, level=0.01, tests=begun).log_limit for begun in range(200)]
    assert limits == sorted(limits)
    assert sum(math.exp(-limit) for limit in limits) < 0.01
    turned = ShiftTest(reference, most_requests=5, seed=0)
    assert not any(turned.observe({"confidence": 0.5}) for _ in range(12))
    assert (turned.tests, turned.requests) == (3, 2)


def test_a_feature_that_is_missing_or_none_is_refused_by_name() -> None:
    test = ShiftTest({"confidence": [0.5, 0.6], "tokens": [3.0, 4.0]})
    with pytest.raises(DataError, match="tokens: expected a finite number, got None"):
        test.observe({"confidence": 0.5})
    with pytest.raises(DataError, match="confidence: expected a finite number, got nan"):
        test.observe({"confidence": float("nan"), "tokens": 3})
    assert test.requests == 0
    with pytest.raises(DataError, match="at least one request"):
        ShiftTest({"confidence": []})
