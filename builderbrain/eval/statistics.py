"""How sure a score is: one interval over the goals, one over the seeds.

They answer different questions and are never pooled. The items of a bench are the same under every seed, so counting
them once per seed would make the interval narrower than the evidence: over the goals we give Wilson's interval at the
size of the bench, over the seeds Student's interval of the per-seed scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval; of a share within [0, 1]."""

    low: float
    high: float


def wilson_interval(rate: float, total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927); exact ends at 0 and 1, sensible at 21 of 21.

    Args:
        rate: share of successes; may be a mean over seeds.
        total: number of independent trials, here goals.

    Raises:
        ValueError: no trial, or a rate outside [0, 1].
    """
    if total < 1 or not 0.0 <= rate <= 1.0:
        raise ValueError(f"expected total >= 1 and 0 <= rate <= 1, got total {total}, rate {rate}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    spread = z * z / total
    centre = rate + spread / 2
    half = z * math.sqrt(rate * (1 - rate) / total + spread / (4 * total))
    low = 0.0 if rate == 0 else (centre - half) / (1 + spread)
    high = 1.0 if rate == 1 else (centre + half) / (1 + spread)
    return Interval(low=low, high=high)


def seed_interval(rates: Sequence[float], *, confidence: float = 0.95) -> Interval | None:
    """Student's t interval of the mean score over seeds, cut to [0, 1]; None for fewer than two seeds."""
    if len(rates) < 2:
        return None
    half = _student_quantile(0.5 + confidence / 2, len(rates) - 1) * stdev(rates) / math.sqrt(len(rates))
    mean = fmean(rates)
    return Interval(low=max(0.0, mean - half), high=min(1.0, mean + half))


def pooled_f1_interval(
    counts: Sequence[tuple[int, int, int]], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap over requests of a pooled F1 (Efron 1979); the seed is fixed, so that a report can be repeated.

    Args:
        counts: (right, given, wanted) of each request.

    Raises:
        ValueError: there is no request.
    """
    if not counts:
        raise ValueError("expected counts of at least one request, got none")
    table = np.asarray(counts, dtype=np.int64)
    draws = np.random.default_rng(seed).integers(0, len(table), (resamples, len(table)))
    sums = np.stack([np.bincount(draw, minlength=len(table)) @ table for draw in draws])
    size = sums[:, 1] + sums[:, 2]
    f1 = np.where(size > 0, 2 * sums[:, 0] / np.maximum(size, 1), 1.0)
    low, high = np.quantile(f1, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))


def ratio_interval(
    sums: Sequence[float], counts: Sequence[int], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap over groups of total / number (Efron 1979), such as utility per request of whole sessions.

    Args:
        sums: total of each group; differences of two totals for a paired comparison.
        counts: number of items in each group.

    Raises:
        ValueError: there is no group.
    """
    if not sums:
        raise ValueError("expected at least one group, got none")
    totals, numbers = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(totals), (resamples, len(totals)))
    ratios = totals[draws].sum(1) / numbers[draws].sum(1)
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))


def _student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t by bisection; `probability` >= 0.5."""
    low, high = 0.0, 1.0
    while _student_distribution(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_distribution(middle, freedom) < probability else (low, middle)
    return high


def _student_distribution(t: float, freedom: int) -> float:
    """P(T <= t) for whole degrees of freedom and t >= 0, by the closed series (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for order in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (order - 1) / order
    between = (2 / math.pi) * (angle + sine * total) if odd else sine * total
    return 0.5 + between / 2
