"""A bound on the share of wrong among the answered: the fixed-sequence test of "Learn then Test" (Angelopoulos et al. 2021).

For thresholds t_1 > t_2 > ... that were chosen without the labelled requests, the hypothesis

    H_j:  P(wrong | c >= t_j) > level

is tested at delta = 1 - certainty with the exact binomial p-value P(Binomial(m, level) <= k), where m of the requests are
answered at t_j and k of them wrong; given m, k is binomial. The sequence is walked from the strictest on and stops at the
first that cannot be rejected; the last that was is the threshold. The first true hypothesis is rejected with probability of at
most delta, and nothing behind it is looked at, so with probability of at least `certainty` over the draw of the requests

    P(wrong | answered) <= level.

Without an error H is rejected from m = log(delta) / log(1 - level) on: 59 answered for 5 % at a certainty of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from builderbrain.deferral.binomial import binomial_cdf
from builderbrain.deferral.labelled import Numbers, checked_labels
from builderbrain.deferral.thresholds import WRONG_GIVEN_ANSWERED, FittedThreshold, check_level
from builderbrain.errors import DataError

COVERAGES = tuple(share / 20 for share in range(4, 21))
"""Shares of answered requests that are tried, the strictest first; fewer than a fifth would prove little."""


def least_answered(level: float, certainty: float) -> int:
    """The fewest answered requests that can hold a level, none of them wrong."""
    return math.ceil(math.log(1.0 - certainty) / math.log1p(-level) - 1e-9)


def coverage_sequence(confidences: Numbers, coverages: Sequence[float] = COVERAGES) -> tuple[float, ...]:
    """Thresholds at which so many of these requests are answered; they must not be those that test them."""
    sure = np.asarray(confidences, dtype=np.float64)
    found = {float(np.quantile(sure, 1.0 - share, method="higher")) for share in coverages}
    return tuple(sorted(found, reverse=True))


def fixed_sequence(
    confidences: Numbers, right: Numbers, sequence: Sequence[float], *, level: float, certainty: float
) -> FittedThreshold:
    """The loosest threshold of a sequence that holds a level of wrong among the answered; `least` None where none does.

    Args:
        confidences, right: [N], of requests that neither the confidence nor the sequence was fitted on.
        sequence: thresholds, in any order.

    Raises:
        DataError: a confidence is none, or there are too few requests for the level at this certainty.
    """
    check_level(level)
    check_level(certainty, field="certainty")
    sure, labels = checked_labels(confidences, right)
    needed = least_answered(level, certainty)
    if len(sure) < needed:
        raise DataError(
            f"expected at least {needed} labelled requests for {level:g} wrong among the answered at a certainty of "
            f"{certainty:g}, got {len(sure)}; label more, the level is not lowered",
            field="requests",
        )
    best: tuple[float, int, int] | None = None
    reason = "the sequence of thresholds is empty"
    for threshold in sorted(set(sequence), reverse=True):
        answered = sure >= threshold
        count, wrong = int(answered.sum()), int((answered & ~labels).sum())
        if binomial_cdf(wrong, count, level) > 1.0 - certainty or count == 0:
            few = f", of at least {needed} that it needs without an error" if count < needed else ""
            reason = f"at the strictest threshold {threshold:.4g} there are {wrong} wrong among {count} answered{few}"
            break
        best = (threshold, count, wrong)
    return FittedThreshold(
        bound=WRONG_GIVEN_ANSWERED,
        level=level,
        certainty=certainty,
        least=None if best is None else best[0],
        reason=reason if best is None else None,
        requests=len(sure),
        answered=0 if best is None else best[1],
        wrong=0 if best is None else best[2],
    )
