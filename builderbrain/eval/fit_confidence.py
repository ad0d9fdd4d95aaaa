"""Fitting a `Confidence`: logistic regression and isotonic regression on one set of goals, thresholds on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from builderbrain.deferral.fixed_sequence import coverage_sequence, fixed_sequence, least_answered
from builderbrain.gate.logistic import fit_logistic
from builderbrain.rail.confidence import Confidence, Threshold

LEVELS = (0.02, 0.05, 0.1, 0.2)
"""Shares of wrong plans among the answered that thresholds are fitted for."""
CERTAINTY = 0.95
_PENALTY = 1e-3


def fit_confidence(
    evidence: np.ndarray,
    right: np.ndarray,
    held_evidence: np.ndarray,
    held_right: np.ndarray,
    *,
    weight_version: str,
    report: Mapping[str, Any],
) -> Confidence:
    """Fit the map on one set and the thresholds on the other.

    Args:
        evidence, right: float64 [N, E], and 0 or 1 [N]: goals for the map.
        held_evidence, held_right: the same of M other goals, for the thresholds.
    """
    mean, scale = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    free = np.zeros(evidence.shape[1], dtype=bool)
    fit = fit_logistic((evidence - mean) / scale, right, non_negative=free, penalty=_PENALTY)
    shape = Confidence(
        weight_version=weight_version,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(fit.weights.tolist()),
        bias=fit.bias,
        knots=((0.0, 0.0),),
        thresholds=(),
        certainty=CERTAINTY,
        report=dict(report),
    )
    knots = isotonic_knots(shape.scores(evidence), right)
    mapped = Confidence(**{**vars(shape), "knots": knots})
    tried = coverage_sequence(mapped.probabilities(evidence))
    held = mapped.probabilities(held_evidence)
    thresholds = tuple(fit_threshold(held, held_right, tried, level=level) for level in LEVELS)
    return Confidence(**{**vars(mapped), "thresholds": thresholds})


def fit_threshold(probabilities: np.ndarray, right: np.ndarray, tried: Sequence[float], *, level: float) -> Threshold:
    """The loosest threshold that holds the level at CERTAINTY, by `deferral.fixed_sequence`; none for too few goals.

    Args:
        probabilities, right: of M goals that the map was not fitted on.
        tried: thresholds chosen without these goals, in any order.
    """
    if len(right) < least_answered(level, CERTAINTY):
        return Threshold(level=level, probability=None, answered=0, wrong=0, total=len(right))
    found = fixed_sequence(probabilities, right, tried, level=level, certainty=CERTAINTY)
    return Threshold(level=level, probability=found.least, answered=found.answered, wrong=found.wrong, total=found.requests)


def isotonic_knots(scores: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The non-decreasing step function of the scores with the least squared error: pool adjacent violators.

    Ayer et al. 1955. Goals of equal score share a step. Returns (score at which a step begins, its value).
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[list[float]] = []  # first score, sum of rights, count
    for score, value in zip(scores[order].tolist(), right[order].tolist(), strict=True):
        if blocks and blocks[-1][0] == score and blocks[-1][2] > 0:
            blocks[-1][1] += value
            blocks[-1][2] += 1
        else:
            blocks.append([score, value, 1])
    merged: list[list[float]] = []
    for block in blocks:
        merged.append(block)
        while len(merged) > 1 and merged[-2][1] * merged[-1][2] >= merged[-1][1] * merged[-2][2]:
            _, total, count = merged.pop()
            merged[-1][1] += total
            merged[-1][2] += count
    return tuple((score, total / count) for score, total, count in merged)
