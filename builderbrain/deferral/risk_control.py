"""Conformal risk control (Angelopoulos et al. 2022) of the share of requests that are answered and wrong.

A request is answered when its confidence c is at least the threshold t. The loss is 1 where it is answered and wrong, which
falls as t rises. With n labelled requests and k(t) of them answered and wrong,

    t = inf {t : (k(t) + 1) / (n + 1) <= level}        then        P(answered and wrong) <= level

for one more request that is exchangeable with the n, on average over both. The infimum is one beyond the confidence of a
wrong answer: the next number that a float64 can be. Answering nothing has k = 0, so a threshold exists exactly when
1 / (n + 1) <= level, that is from n = 1 / level - 1 on: 19 for 5 %.
"""

from __future__ import annotations

import math

import numpy as np

from builderbrain.deferral.labelled import Numbers, checked_labels
from builderbrain.deferral.thresholds import ANSWERED_AND_WRONG, FittedThreshold, check_level
from builderbrain.errors import DataError

_ROUNDING = 1e-9
RECOMMENDED = 500
"""Requests from which on a threshold of 5 % is steady."""


def least_requests(level: float) -> int:
    """The fewest labelled requests with which a level can be promised: ceil(1 / level - 1)."""
    return max(1, math.ceil(1.0 / level - 1.0 - _ROUNDING))


def risk_threshold(wrong: np.ndarray, requests: int, level: float) -> float | None:
    """The threshold t of the module; above 1 it answers nothing. None where the level cannot be promised.

    Args:
        wrong: confidences of the wrong ones among the requests, the greatest first.
        requests: n.
    """
    allowed = math.floor(level * (requests + 1) + _ROUNDING) - 1
    if allowed < 0:
        return None
    return 0.0 if allowed >= len(wrong) else float(np.nextafter(wrong[allowed], 2.0))


def control_risk(confidences: Numbers, right: Numbers, *, level: float) -> FittedThreshold:
    """The loosest threshold that holds a level of answered and wrong.

    Args:
        confidences, right: [N], of requests that the confidence was not fitted on.

    Raises:
        DataError: a confidence is none, or there are too few requests for the level.
    """
    check_level(level)
    sure, labels = checked_labels(confidences, right)
    if len(sure) < least_requests(level):
        raise DataError(
            f"expected at least {least_requests(level)} labelled requests for a level of {level:g}, got {len(sure)}; label "
            f"more ({RECOMMENDED} make a steady threshold), the level is not lowered",
            field="requests",
        )
    threshold = risk_threshold(np.sort(sure[~labels])[::-1], len(sure), level)
    answered = sure >= (np.inf if threshold is None else threshold)
    return FittedThreshold(
        bound=ANSWERED_AND_WRONG,
        level=level,
        certainty=None,
        least=threshold,
        reason=None,
        requests=len(sure),
        answered=int(answered.sum()),
        wrong=int((answered & ~labels).sum()),
    )
