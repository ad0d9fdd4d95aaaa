"""The calibration suite: a map that is right is found to be, one that is not is not, and levels are held as often as stated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.errors import SubjectError
from builderbrain.eval.calibration import Answers, as_json, bars_of, expected_calibration_error, judge
from builderbrain.eval.fit_confidence import CERTAINTY, LEVELS, fit_confidence, fit_threshold, isotonic_knots
from builderbrain.eval.measure_calibration import measure_calibration
from builderbrain.eval.workbench import Workbench
from builderbrain.rail.confidence import EVIDENCE


def drawn(count: int, seed: int, *, shift: float = 0.0) -> Answers:
    """Goals whose plans are right with a probability that the first two pieces of evidence tell."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(count, len(EVIDENCE)))
    chance = 1 / (1 + np.exp(-(2.0 + 1.5 * evidence[:, 0] - evidence[:, 1] - shift)))
    return Answers(evidence=evidence, right=(rng.random(count) < chance).astype(float))


def fitted(seed: int = 0, count: int = 1500):  # type: ignore[no-untyped-def]
    first, second = drawn(count, seed), drawn(count, seed + 1)
    return fit_confidence(first.evidence, first.right, second.evidence, second.right, weight_version="v", report={})


def test_a_fit_is_calibrated_where_it_was_fitted_and_not_under_a_shift() -> None:
    confidence = fitted(count=4000)
    same = judge(confidence, drawn(4000, 11), goals="same", seed=0)
    assert same.ece < 0.03
    assert same.plain_ece > 2 * same.ece
    assert same.auroc > 0.75
    assert same.aurc < 1 - same.accuracy
    assert same.ece_interval.low <= same.ece <= same.ece_interval.high
    assert sum(one.count for one in same.bins) == 4000
    assert judge(confidence, drawn(4000, 11, shift=2.0), goals="shifted", seed=0).ece > 0.15


def test_levels_are_held_as_often_as_stated() -> None:
    confidences = [fitted(seed) for seed in range(0, 60, 2)]
    test = drawn(20_000, 999)
    for level in LEVELS:
        errors = []
        for confidence in confidences:
            (deferral,) = (d for d in judge(confidence, test, goals="t", seed=0).deferrals if d.level == level)
            errors.append(deferral.wrong / deferral.answered if deferral.answered else 0.0)
        broken = sum(error > level for error in errors)
        assert broken <= 5, (level, broken)  # of 30; 1.5 expected at most, and 5 has a chance of 1 %
    loose = [d for d in judge(confidences[0], test, goals="t", seed=0).deferrals if d.level == LEVELS[-1]]
    assert loose[0].answered > 0.5 * 20_000


def test_a_threshold_needs_evidence() -> None:
    few = fit_threshold(np.ones(20), np.ones(20), [0.5, 0.9], level=0.02)
    assert few.probability is None
    enough = fit_threshold(np.ones(200), np.ones(200), [0.5, 0.9], level=0.02)
    assert (enough.probability, enough.answered, enough.wrong) == (0.5, 200, 0)
    assert CERTAINTY == 0.95


def test_a_threshold_stops_at_the_first_that_fails_even_if_a_looser_one_would_pass() -> None:
    probability = np.array([0.9] * 100 + [0.5] * 2000)
    right = np.array([0.0] * 50 + [1.0] * 2050)
    assert fit_threshold(probability, right, [0.9, 0.5], level=0.1).probability is None
    assert fit_threshold(probability, right, [0.5], level=0.1).probability == 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12))
def test_isotonic_steps_are_the_least_squares_fit(items: list[tuple[int, bool]]) -> None:
    scores = np.array([score / 6 for score, _ in items])
    right = np.array([float(one) for _, one in items])
    knots = isotonic_knots(scores, right)
    places, values = zip(*knots, strict=True)
    assert list(places) == sorted(set(places))
    assert list(values) == sorted(values)
    found = np.array([values[np.searchsorted(places, score, side="right") - 1] for score in scores])
    # min-max formula: the fit at x is the largest over a <= x of the smallest over b >= x of the mean on [a, b]
    for score, value in zip(scores, found, strict=True):
        best = max(min(right[(scores >= a) & (scores <= b)].mean() for b in scores if b >= score) for a in scores if a <= score)
        assert value == pytest.approx(best)


def test_calibration_error_of_hand_cases() -> None:
    ones, half = np.ones(10), np.array([1.0, 0.0] * 5)
    assert expected_calibration_error(ones, ones) == 0
    assert expected_calibration_error(ones, half) == 0.5
    assert expected_calibration_error(half * 0.4 + 0.3, half) == pytest.approx(0.3)


def test_the_report_is_json() -> None:
    result = judge(fitted(), drawn(300, 5), goals="generated", seed=1)
    value = json.loads(json.dumps(as_json([result])))
    assert value["results"][0]["deferrals"][0]["held"] in (True, False)
    assert bars_of([result])[0].subject == "generated 1"


def test_too_few_goals_and_one_file_for_many_rails_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    bench = Workbench(model="builderbrain-nano", rail=str(tmp_path / "{seed}"), seeds=(0, 1))
    with pytest.raises(SubjectError, match="--goals of at least 100"):
        measure_calibration(bench, tmp_path / "x.json", seeds=(0, 1), goals=10, save=None)
    with pytest.raises(SubjectError, match=r"\{seed\} for several seeds"):
        measure_calibration(bench, tmp_path / "x.json", seeds=(0, 1), goals=100, save="one.json")
