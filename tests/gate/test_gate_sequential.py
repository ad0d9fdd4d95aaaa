"""Watching continuously does not inflate errors; thousands of simulated streams say so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from builderbrain.errors import ConfigError
from builderbrain.gate.sequential import Direction, EProcess, log_e_table, log_e_value
from builderbrain.gate.statistics import least_samples


def crossing_times(streams: np.ndarray, direction: Direction, alpha: float) -> np.ndarray:
    """First index (from 1) at which E >= 1 / alpha in each row of [streams, n] outcomes; a huge number when never.

    E depends on the two counts alone and is monotone in the harms, so one critical number of harms per n is enough.
    """
    observed = np.arange(1, streams.shape[1] + 1)
    low, high = np.full_like(observed, -1), observed + 1
    for _ in range(int(observed[-1]).bit_length() + 1):
        middle = np.clip((low + high) // 2, 0, observed)
        crossed = log_e_value(observed, middle, 0.05, direction) >= math.log(1 / alpha)
        up = crossed if direction == "harmful" else ~crossed
        low, high = np.where(up, low, np.maximum(low, middle)), np.where(up, np.minimum(high, middle), high)
    harms = np.cumsum(streams, axis=1, dtype=np.int16)
    crossed = harms >= high if direction == "harmful" else harms <= low
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 10**9)


def outcomes(rate: float, streams: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((streams, length), dtype=np.float32) < rate


def test_of_10000_streams_at_the_limit_at_most_one_percent_is_rolled_back() -> None:
    rolled = np.concatenate([crossing_times(outcomes(0.05, 1000, 1000, seed), "harmful", 0.01) < 10**9 for seed in range(10)])
    assert len(rolled) == 10_000
    assert rolled.mean() <= 0.01


def test_of_10000_a_a_canaries_at_most_one_percent_is_rolled_back() -> None:
    """Live against itself: a reading is above the tolerance in at most half of 2.5 % of the requests."""
    rolled = np.concatenate([crossing_times(outcomes(0.0125, 1000, 1000, seed), "harmful", 0.01) < 10**9 for seed in range(10)])
    assert rolled.mean() <= 0.01


def test_of_10000_candidates_at_the_limit_watched_continuously_at_most_alpha_passes() -> None:
    passed = np.concatenate([crossing_times(outcomes(0.05, 1000, 500, seed), "safe", 0.05) < 10**9 for seed in range(10)])
    assert passed.mean() <= 0.05


def test_naive_peeking_is_what_this_prevents() -> None:
    """The exact test, looked at after each prompt, passes a candidate at the limit several times too often."""
    least = np.array([least_samples(harms, 0.05, 0.05) for harms in range(20)])
    best = np.array([(least <= n).sum() - 1 for n in range(1, 301)])
    harms = np.cumsum(outcomes(0.05, 2000, 300), axis=1)
    assert (harms <= best).any(axis=1).mean() > 0.1


@pytest.mark.parametrize(("rate", "median"), [(0.2, 37), (0.1, 310)])
def test_delay_of_a_rollback(rate: float, median: int) -> None:
    assert np.median(crossing_times(outcomes(rate, 2000, 2000), "harmful", 0.01)) <= median


def test_a_regression_is_found_with_thirty_percent_fewer_samples_than_mann_whitney() -> None:
    """Against the fixed-horizon test sized for the same level and 80 % power on the same shift of 5 % to 20 % harm."""
    generator = np.random.default_rng(5)

    def power(n: int) -> float:
        old, new = generator.random((400, n)) < 0.05, generator.random((400, n)) < 0.2
        return float((stats.mannwhitneyu(new, old, alternative="greater", axis=1).pvalue <= 0.01).mean())

    horizon = next(n for n in range(40, 400, 5) if power(n) >= 0.8)
    times = crossing_times(outcomes(0.2, 2000, 400), "harmful", 0.01)
    assert np.minimum(times, 400).mean() <= 0.7 * horizon


def test_scalar_and_vector_forms_agree() -> None:
    stream = outcomes(0.1, 1, 200)[0]
    process = EProcess(limit=0.05, direction="harmful")
    largest = [process.update(bool(harm)) for harm in stream]
    assert crossing_times(np.ones((1, 50), dtype=bool), "harmful", 0.01)[0] == 3
    vector = log_e_value(np.arange(1, 201), np.cumsum(stream), 0.05, "harmful")
    assert largest == pytest.approx(np.maximum(np.maximum.accumulate(vector), 0.0))


def test_limits_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        EProcess(limit=0.0, direction="harmful")
    assert caught.value.field == "limit"


def test_the_table_holds_the_values() -> None:
    table = log_e_table(20, 0.05, "safe")
    assert table[10, 3] == log_e_value(np.array([10]), np.array([3]), 0.05, "safe")[0]
    assert table[0, 0] == pytest.approx(0.0)
