"""Fitting a `DecisionCalibration`: a temperature and isotonic regression on one part of the questions, thresholds on another.

A third part, which neither touched, judges both: what the report says of it is what to expect of questions like those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from builderbrain.errors import DataError
from builderbrain.eval.calibration import expected_calibration_error
from builderbrain.eval.fit_confidence import isotonic_knots
from builderbrain.serve.decision_calibration import CalibrationMap, ConformalThreshold, Kind, temper

LEVELS = (0.05, 0.1, 0.2)
"""Error levels that thresholds are fitted for, unless others are named."""
SHARES = (0.4, 0.4)
"""Of the questions, for the map and for the thresholds; the rest judges."""
TEMPERATURES = np.exp(np.linspace(math.log(0.1), math.log(10.0), 93))
"""Steps of 5 %."""
LEAST_QUESTIONS = 100
"""Of one kind; fewer say next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One question: probabilities float64 [K] of its answers, and the place of the right one."""

    probabilities: np.ndarray
    right: int


def fit_map(kind: Kind, *, ends: bool, questions: Sequence[Labelled], levels: Sequence[float], seed: int) -> CalibrationMap:
    """Fit a map for questions of one kind.

    Args:
        ends: see `CalibrationMap.ends`.
        seed: of the split into three parts.

    Raises:
        DataError: there are too few questions.
    """
    if len(questions) < LEAST_QUESTIONS:
        raise DataError(
            f"expected at least {LEAST_QUESTIONS} questions of type {kind}, got {len(questions)}; add more, or leave it out",
            field="questions",
        )
    first, second, third = split_questions(questions, seed)
    temperature = fit_temperature(first)
    scores = np.concatenate([temper(question.probabilities, temperature) for question in first])
    right = np.concatenate([np.eye(len(question.probabilities))[question.right] for question in first])
    plain = CalibrationMap(
        kind=kind,
        ends=ends,
        temperature=temperature,
        knots=isotonic_knots(scores, right),
        floor=1.0 / (len(scores) + 2.0),
        thresholds=tuple(ConformalThreshold(level=level, score=None, questions=0) for level in levels),
        report={},
    )
    nonconformity = np.sort([1.0 - plain.calibrate(question.probabilities)[question.right] for question in second])
    thresholds = tuple(
        ConformalThreshold(level=level, score=conformal_score(nonconformity, level), questions=len(second)) for level in levels
    )
    fitted = CalibrationMap(**{**vars(plain), "thresholds": thresholds})
    return CalibrationMap(**{**vars(fitted), "report": judge(fitted, third)})


def split_questions(questions: Sequence[Labelled], seed: int) -> tuple[list[Labelled], list[Labelled], list[Labelled]]:
    """Those for the map, those for the thresholds, and those that judge."""
    order = np.random.default_rng(seed).permutation(len(questions))
    cuts = np.cumsum([round(share * len(questions)) for share in SHARES])
    first, second, third = ([questions[place] for place in part] for part in np.split(order, cuts))
    return first, second, third


def fit_temperature(questions: Sequence[Labelled]) -> float:
    """The temperature of a fixed grid under which the right answers are likeliest."""
    widest = max(len(question.probabilities) for question in questions)
    # An answer that a question does not have is one of probability 0.
    rows = np.stack([np.pad(question.probabilities, (0, widest - len(question.probabilities))) for question in questions])
    right = np.array([question.right for question in questions])

    def loss(temperature: float) -> float:
        found = temper(rows, temperature)[np.arange(len(rows)), right]
        return -float(np.log(np.maximum(found, 1e-300)).sum())

    return float(min(TEMPERATURES, key=loss))


def conformal_score(nonconformity: np.ndarray, level: float) -> float | None:
    """The ceil((n + 1)(1 - level))-th smallest of n sorted values; None where n is too small for the level."""
    rank = math.ceil((len(nonconformity) + 1) * (1.0 - level) - 1e-9)
    return None if rank > len(nonconformity) else float(nonconformity[rank - 1])


def judge(fitted: CalibrationMap, questions: Sequence[Labelled]) -> dict[str, Any]:
    """Readings on questions that the map was not fitted on: calibration error before and after, coverage and abstention."""
    raw = [question.probabilities for question in questions]
    calibrated = [fitted.calibrate(one) for one in raw]
    best = [int(np.argmax(one)) for one in raw]
    right = np.array([float(place == question.right) for place, question in zip(best, questions, strict=True)])

    def error(found: Sequence[np.ndarray]) -> float:
        return expected_calibration_error(np.array([one[place] for one, place in zip(found, best, strict=True)]), right)

    levels = []
    for threshold in fitted.thresholds:
        sets = [set(threshold.conforming(one).tolist()) for one in calibrated]
        covered = sum(question.right in found for question, found in zip(questions, sets, strict=True))
        decided = [place for place, found in enumerate(sets) if len(found) == 1]
        levels.append(
            {
                "level": threshold.level,
                "coverage": covered / len(questions),
                "decided": len(decided),
                "wrong": int(sum(1.0 - right[place] for place in decided)),
            }
        )
    return {
        "questions": len(questions),
        "accuracy": float(right.mean()),
        "ece_raw": error(raw),
        "ece": error(calibrated),
        "levels": levels,
    }
