"""The binomial distribution, exactly."""

from __future__ import annotations

import math

import numpy as np


def binomial_cdf(successes: int, trials: int, rate: float) -> float:
    """P(Binomial(trials, rate) <= successes), summed in log space."""
    if successes >= trials or rate <= 0.0:
        return 1.0
    if successes < 0 or rate >= 1.0:
        return 0.0
    k = np.arange(successes + 1)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, trials + 1)))))
    log_choose = log_factorial[trials] - log_factorial[k] - log_factorial[trials - k]
    log_mass = log_choose + k * math.log(rate) + (trials - k) * math.log1p(-rate)
    return min(1.0, float(np.exp(log_mass).sum()))
