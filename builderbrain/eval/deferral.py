"""The deferral suite: for each domain, what answering only the sure requests costs and saves, and whether the bounds hold.

    risk(c)  = share of wrong among the c surest of all requests, c the coverage      El-Yaniv and Wiener 2010
    AURC     = mean of the risk over all coverages                                    Geifman and El-Yaniv 2017
    ECE      = see `calibration`

The confidence is fitted on one set of goals, the thresholds on another, and both are judged on goals that neither has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from builderbrain.deferral.fixed_sequence import coverage_sequence, fixed_sequence
from builderbrain.deferral.risk_control import control_risk
from builderbrain.deferral.shift import ShiftTest
from builderbrain.deferral.thresholds import ANSWERED_AND_WRONG, WRONG_GIVEN_ANSWERED, Bound, FittedThreshold
from builderbrain.errors import DataError
from builderbrain.eval.calibration import ece_interval, expected_calibration_error
from builderbrain.eval.plot import Point
from builderbrain.eval.statistics import Interval, wilson_interval

COVERAGES = tuple(share / 20 for share in range(1, 21))
CERTAINTY = 0.95
ORDERS = 20
"""Orders of the goals in which a shift is looked for."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """N goals of a domain: `confidences` [N], `right` 0 or 1 [N], and `features` of the shift test by name, each [N]."""

    confidences: np.ndarray
    right: np.ndarray
    features: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Covered:
    """The `risk` of the surest share `coverage`."""

    coverage: float
    risk: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class HeldBound:
    """What a fitted threshold did to goals that it was not fitted on.

    `share` is what it bounds: answered and wrong of all, or wrong of the answered; None where nothing was answered.
    """

    threshold: FittedThreshold
    answered: int
    wrong: int
    total: int
    share: float | None
    interval: Interval | None

    @property
    def held(self) -> bool:
        """Whether the share that was seen is within the level; of nothing answered it is."""
        return self.share is None or self.share <= self.threshold.level


@dataclass(frozen=True, kw_only=True)
class ShiftFound:
    """Of `orders` in which the goals were asked the test gave alarm in `alarms`, in the middle one of them after `requests`."""

    orders: int
    alarms: int
    requests: int | None
    asked: int


@dataclass(frozen=True, kw_only=True)
class DeferralResult:
    """One domain of one rail on one set of goals."""

    domain: str
    goals: str
    seed: int | None
    total: int
    accuracy: float
    ece: float
    ece_interval: Interval
    aurc: float
    aurc_interval: Interval
    curve: tuple[Covered, ...]
    bounds: tuple[HeldBound, ...]
    shift: ShiftFound


def fit_bounds(fitted: Judged, tuned: Judged, levels: Sequence[float]) -> tuple[FittedThreshold, ...]:
    """Both bounds for every level; one that cannot be had says why.

    Args:
        fitted: what the confidence was fitted on, which gives the sequence that is tested.
        tuned: what neither saw.
    """
    sequence = coverage_sequence(fitted.confidences)
    found = []
    for level in levels:
        for bound, certainty in ((ANSWERED_AND_WRONG, None), (WRONG_GIVEN_ANSWERED, CERTAINTY)):
            try:
                if certainty is None:
                    found.append(control_risk(tuned.confidences, tuned.right, level=level))
                else:
                    found.append(fixed_sequence(tuned.confidences, tuned.right, sequence, level=level, certainty=certainty))
            except DataError as error:
                found.append(_infeasible(bound, level, certainty, error.message, len(tuned.right)))
    return tuple(found)


def judge(
    judged: Judged,
    thresholds: Sequence[FittedThreshold],
    reference: Mapping[str, Sequence[float]],
    *,
    domain: str,
    goals: str,
    seed: int | None,
) -> DeferralResult:
    """All readings of a set of goals; `reference` is what a shift is looked for against."""
    low, high = np.quantile(
        [
            _aurc(judged.confidences[draw], judged.right[draw])
            for draw in np.random.default_rng(0).integers(0, len(judged.right), (1000, len(judged.right)))
        ],
        [0.025, 0.975],
    )
    return DeferralResult(
        domain=domain,
        goals=goals,
        seed=seed,
        total=len(judged.right),
        accuracy=float(judged.right.mean()),
        ece=expected_calibration_error(judged.confidences, judged.right),
        ece_interval=ece_interval(judged.confidences, judged.right),
        aurc=_aurc(judged.confidences, judged.right),
        aurc_interval=Interval(low=float(low), high=float(high)),
        curve=tuple(risk_coverage(judged.confidences, judged.right)),
        bounds=tuple(_held(threshold, judged) for threshold in thresholds),
        shift=look_for_shift(judged, reference),
    )


def risk_coverage(confidences: np.ndarray, right: np.ndarray) -> list[Covered]:
    """The curve at COVERAGES. Among goals of equal confidence, wrong ones are spread evenly: their order means nothing."""
    wrong = np.cumsum(_expected_wrong(confidences, right))
    found = []
    for coverage in COVERAGES:
        count = max(1, round(coverage * len(right)))
        risk = min(1.0, float(wrong[count - 1] / count))
        found.append(Covered(coverage=count / len(right), risk=risk, interval=wilson_interval(risk, count)))
    return found


def _aurc(confidences: np.ndarray, right: np.ndarray) -> float:
    return float((np.cumsum(_expected_wrong(confidences, right)) / np.arange(1, len(right) + 1)).mean())


def _expected_wrong(confidences: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The surest first: chance of each place to be wrong, over the orders of those of equal confidence."""
    values, place, counts = np.unique(-confidences, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=1.0 - right, minlength=len(values)) / counts
    result: np.ndarray = np.repeat(share, counts)
    return result


def look_for_shift(judged: Judged, reference: Mapping[str, Sequence[float]], *, orders: int = ORDERS) -> ShiftFound:
    """Ask the goals in some orders, each of a fixed seed.

    What the test promises, a false alarm with a probability of at most `shift.LEVEL`, holds for each order. The orders are of
    the same goals against the same reference, so that alarms in several of them are no independent evidence.
    """
    delays = []
    for order in range(orders):
        test = ShiftTest(reference, seed=order)
        asked = np.random.default_rng(order).permutation(len(judged.right))
        rows = ({name: float(judged.features[name][place]) for name in reference} for place in asked)
        delays.append(next((number for number, row in enumerate(rows, start=1) if test.observe(row)), None))
    found = sorted(one for one in delays if one is not None)
    return ShiftFound(
        orders=orders, alarms=len(found), requests=found[len(found) // 2] if found else None, asked=len(judged.right)
    )


def _held(threshold: FittedThreshold, judged: Judged) -> HeldBound:
    answered = judged.confidences >= (np.inf if threshold.least is None else threshold.least)
    count, wrong, total = int(answered.sum()), int((1.0 - judged.right[answered]).sum()), len(judged.right)
    of = total if threshold.bound == ANSWERED_AND_WRONG else count
    return HeldBound(
        threshold=threshold,
        answered=count,
        wrong=wrong,
        total=total,
        share=wrong / of if of else None,
        interval=wilson_interval(wrong / of, of) if of else None,
    )


def _infeasible(bound: Bound, level: float, certainty: float | None, reason: str, requests: int) -> FittedThreshold:
    return FittedThreshold(
        bound=bound, level=level, certainty=certainty, least=None, reason=reason, requests=requests, answered=0, wrong=0
    )


def as_json(results: Sequence[DeferralResult]) -> dict[str, Any]:
    """The whole report as JSON values."""

    def one(result: DeferralResult) -> dict[str, Any]:
        value = asdict(result)
        for bound, entry in zip(result.bounds, value["bounds"], strict=True):
            entry["held"] = bound.held
        return value

    return {"suite": "deferral", "certainty": CERTAINTY, "results": [one(result) for result in results]}


def lines_of(results: Sequence[DeferralResult]) -> dict[str, list[Point]]:
    """The risk-coverage curves by name."""
    return {
        " ".join(filter(None, (one.domain, one.goals, _seed(one.seed)))): [
            Point(x=point.coverage, y=point.risk, interval=point.interval) for point in one.curve
        ]
        for one in results
    }


def print_report(results: Sequence[DeferralResult], console: Console) -> None:
    """Print a line for each domain and set of goals, then what each bound did."""
    table = Table(title="deferral: how sure, how often right, and whether a shift is found")
    for heading in ("domain", "goals", "seed", "number", "right", "ECE (95 %)", "AURC (95 %)", "shift found", "after"):
        table.add_column(heading, justify="left" if heading in ("domain", "goals") else "right")
    for one in results:
        table.add_row(
            one.domain,
            one.goals,
            _seed(one.seed),
            str(one.total),
            f"{one.accuracy:.1%}",
            f"{one.ece:.3f} ({one.ece_interval.low:.3f} .. {one.ece_interval.high:.3f})",
            f"{one.aurc:.3f} ({one.aurc_interval.low:.3f} .. {one.aurc_interval.high:.3f})",
            f"{one.shift.alarms}/{one.shift.orders}",
            "" if one.shift.requests is None else str(one.shift.requests),
        )
    console.print(table)
    table = Table(title="bounds")
    for heading in ("domain", "goals", "bound", "level", "threshold", "answered", "share (95 %)", "held"):
        table.add_column(heading, justify="left" if heading in ("domain", "goals", "bound") else "right")
    for one in results:
        for bound in one.bounds:
            share = "-"
            if bound.share is not None and bound.interval is not None:
                share = f"{bound.share:.1%} ({bound.interval.low:.1%} .. {bound.interval.high:.1%})"
            table.add_row(
                one.domain,
                one.goals,
                bound.threshold.bound.replace("_", " "),
                f"{bound.threshold.level:.0%}",
                "none" if bound.threshold.least is None else f"{bound.threshold.least:.3f}",
                f"{bound.answered / bound.total:.1%}",
                share,
                "yes" if bound.held else "no",
            )
    console.print(table)
    for reason in dict.fromkeys(bound.threshold.reason for one in results for bound in one.bounds if bound.threshold.reason):
        console.print(f"no threshold: {reason}", markup=False, soft_wrap=True)


def _seed(seed: int | None) -> str:
    return "" if seed is None else str(seed)
