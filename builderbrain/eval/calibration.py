"""The calibration suite: how often a plan is right, against how sure its rail was, and what deferring the unsure ones buys.

The map from evidence to probability is fitted on generated goals, its thresholds on others, and both are judged on yet others
of the same kind, then on benches that people wrote: those are a shift, and no promise is made for them.

    ECE   = sum over 15 bins of equal width of |B| / n * |accuracy(B) - mean confidence(B)|        Naeini et al. 2015
    Brier = mean (confidence - right)^2                                                             Brier 1950
    AURC  = mean over k of the error of the k surest                                                Geifman and El-Yaniv 2017
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.eval.compare import plans_equal
from builderbrain.eval.models import MAX_PLAN_TOKENS
from builderbrain.eval.plot import Bar
from builderbrain.eval.statistics import Interval, wilson_interval
from builderbrain.gate.logistic import area_under_curve
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.rail.confidence import Confidence, evidence_of
from builderbrain.rail.greedy import decode_with_guesses
from builderbrain.rail.pair import Pair

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a rail made of N goals: `evidence` float64 [N, E], `right` 0 or 1 [N]."""

    evidence: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Goals whose confidence lies in one of the bins."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """What a threshold did: `answered` of all goals, `wrong` of them; `held` when the observed error is within the level."""

    level: float
    threshold: float | None
    answered: int
    wrong: int
    total: int
    error_interval: Interval | None

    @property
    def held(self) -> bool:
        """A level without a threshold answers nothing, and holds."""
        return self.wrong <= self.level * self.answered


@dataclass(frozen=True, kw_only=True)
class CalibrationResult:
    """One rail on one set of goals. `plain_ece`: of the plan's own probability, before any fit."""

    goals: str
    seed: int | None
    total: int
    accuracy: float
    confidence: float
    ece: float
    ece_interval: Interval
    plain_ece: float
    brier: float
    auroc: float
    aurc: float
    bins: tuple[Bin, ...]
    deferrals: tuple[Deferral, ...]


def answer(
    pair: Pair,
    goals: Sequence[tuple[str, str]],
    grammar: CompiledConstraint,
    *,
    right: Callable[[str, str], bool] = plans_equal,
    on_goals: Callable[[int], None] = lambda count: None,
) -> Answers:
    """Decode the plan of every goal; `goals` are pairs of a goal and its reference plan, which `right` compares with a text."""
    tokenizer = pair.host.tokenizer
    prompts = [plan_prompt(tokenizer, goal) for goal, _ in goals]
    guesses = [[*tokenizer.encode(plan), tokenizer.eos_token_id] for _, plan in goals]
    texts = decode_with_guesses(pair, prompts, guesses, grammar, max_tokens=MAX_PLAN_TOKENS, on_rows=on_goals)
    found = [
        text.finished and right(plan, tokenizer.decode(list(text.tokens))) for (_, plan), text in zip(goals, texts, strict=True)
    ]
    return Answers(evidence=np.stack([evidence_of(text) for text in texts]), right=np.array(found, dtype=np.float64))


def judge(confidence: Confidence, answers: Answers, *, goals: str, seed: int | None) -> CalibrationResult:
    """All readings of a set of goals."""
    probability, right = confidence.probabilities(answers.evidence), answers.right
    plain = np.exp(-np.exp(answers.evidence[:, 0]))
    order = np.argsort(-probability, kind="stable")
    errors = np.cumsum(1.0 - right[order]) / np.arange(1, len(right) + 1)
    mixed = 0.0 < right.mean() < 1.0
    return CalibrationResult(
        goals=goals,
        seed=seed,
        total=len(right),
        accuracy=float(right.mean()),
        confidence=float(probability.mean()),
        ece=expected_calibration_error(probability, right),
        ece_interval=ece_interval(probability, right),
        plain_ece=expected_calibration_error(plain, right),
        brier=float(((probability - right) ** 2).mean()),
        auroc=area_under_curve(probability, right) if mixed else float("nan"),
        aurc=float(errors.mean()),
        bins=tuple(_bins(probability, right)),
        deferrals=tuple(_deferral(confidence, threshold.level, probability, right) for threshold in confidence.thresholds),
    )


def expected_calibration_error(probability: np.ndarray, right: np.ndarray) -> float:
    """See the module."""
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(place, weights=probability - right, minlength=BINS)).sum() / len(right))


def ece_interval(probability: np.ndarray, right: np.ndarray, *, resamples: int = 1000) -> Interval:
    """Percentile bootstrap over goals of a fixed seed. ECE is biased upwards, and so is this."""
    draws = np.random.default_rng(0).integers(0, len(right), (resamples, len(right)))
    values = [expected_calibration_error(probability[draw], right[draw]) for draw in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def _bins(probability: np.ndarray, right: np.ndarray) -> list[Bin]:
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    found = []
    for number in range(BINS):
        here = place == number
        if here.any():
            found.append(
                Bin(count=int(here.sum()), confidence=float(probability[here].mean()), accuracy=float(right[here].mean()))
            )
    return found


def _deferral(confidence: Confidence, level: float, probability: np.ndarray, right: np.ndarray) -> Deferral:
    answered = np.array([not confidence.defers(float(one), level) for one in probability])
    threshold = next(one.probability for one in confidence.thresholds if one.level == level)
    count, wrong = int(answered.sum()), int((1.0 - right[answered]).sum())
    interval = wilson_interval(wrong / count, count) if count else None
    return Deferral(level=level, threshold=threshold, answered=count, wrong=wrong, total=len(right), error_interval=interval)


def as_json(results: Sequence[CalibrationResult]) -> dict[str, Any]:
    """The whole report as JSON values."""

    def one(result: CalibrationResult) -> dict[str, Any]:
        value = asdict(result)
        for deferral, entry in zip(result.deferrals, value["deferrals"], strict=True):
            entry["held"] = deferral.held
        return value

    return {"suite": "calibration", "bins": BINS, "results": [one(result) for result in results]}


def print_report(results: Sequence[CalibrationResult], console: Console) -> None:
    """Print one line per set of goals and seed, then what deferring did."""
    table = Table(title="calibration: how sure of its plan, and how often right")
    for heading in ("goals", "seed", "number", "right", "confidence", "ECE (95 %)", "before fit", "Brier", "AUROC", "AURC"):
        table.add_column(heading, justify="left" if heading == "goals" else "right")
    for one in results:
        table.add_row(
            one.goals,
            _seed(one.seed),
            str(one.total),
            f"{one.accuracy:.1%}",
            f"{one.confidence:.1%}",
            f"{one.ece:.3f} ({one.ece_interval.low:.3f} .. {one.ece_interval.high:.3f})",
            f"{one.plain_ece:.3f}",
            f"{one.brier:.3f}",
            f"{one.auroc:.3f}",
            f"{one.aurc:.3f}",
        )
    console.print(table)
    table = Table(title="deferral: at most so many of the answered may be wrong")
    for heading in ("goals", "seed", "level", "answered", "wrong of them", "held"):
        table.add_column(heading, justify="left" if heading == "goals" else "right")
    for one in results:
        for deferral in one.deferrals:
            error = f"{deferral.wrong / deferral.answered:.1%}" if deferral.answered else "-"
            table.add_row(
                one.goals,
                _seed(one.seed),
                f"{deferral.level:.0%}",
                f"{deferral.answered / deferral.total:.1%}",
                error,
                "yes" if deferral.held else "no",
            )
    console.print(table)


def bars_of(results: Sequence[CalibrationResult]) -> list[Bar]:
    """One bar per set of goals and seed: the ECE."""
    return [
        Bar(subject=f"{one.goals} {_seed(one.seed)}".strip(), score=one.ece, goals_interval=one.ece_interval) for one in results
    ]


def _seed(seed: int | None) -> str:
    return "" if seed is None else str(seed)
