"""The two bounds hold at their level, by simulation, and say so where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from builderbrain.deferral.fixed_sequence import coverage_sequence, fixed_sequence, least_answered
from builderbrain.deferral.risk_control import control_risk, least_requests
from builderbrain.errors import ConfigError, DataError
from tests.deferral.requests import drawn

DRAWS = 1000


@pytest.mark.parametrize(("level", "count"), [(0.05, 19), (0.05, 100), (0.1, 60), (0.2, 4)])
@pytest.mark.parametrize("ties", [False, True])
def test_answered_and_wrong_holds_on_average(level: float, count: int, ties: bool) -> None:
    rng = np.random.default_rng(1)
    losses = np.zeros(DRAWS)
    for draw in range(DRAWS):
        threshold = control_risk(*drawn(rng, count, ties=ties), level=level).least
        confidence, right = drawn(rng, 200, ties=ties)
        assert threshold is not None
        losses[draw] = np.mean((confidence >= threshold) & (right == 0))
    noise = losses.std() / np.sqrt(DRAWS)
    assert losses.mean() <= level + 3 * noise
    if not ties:  # nor is it held by answering next to nothing: the bound is tight up to 1 / (n + 1)
        assert losses.mean() >= level - 2 / (count + 1) - 3 * noise


@pytest.mark.parametrize("ties", [False, True])
def test_wrong_given_answered_fails_as_seldom_as_stated(ties: bool) -> None:
    rng = np.random.default_rng(2)
    everybody = drawn(rng, 200_000, ties=ties)
    level, certainty, broken, answered = 0.2, 0.9, 0, 0
    for _ in range(DRAWS):
        sequence = coverage_sequence(drawn(rng, 150, ties=ties)[0])
        found = fixed_sequence(*drawn(rng, 300, ties=ties), sequence, level=level, certainty=certainty)
        if found.least is not None:
            chosen = everybody[0] >= found.least
            broken += bool((1 - everybody[1][chosen]).mean() > level)
            answered += 1
    assert answered > 100, "the test has to have thresholds to judge"
    assert broken <= stats.binom.ppf(0.999, DRAWS, 1 - certainty)


def test_without_enough_requests_no_level_is_promised() -> None:
    assert (least_requests(0.05), least_requests(0.2), least_requests(0.5)) == (19, 4, 1)
    with pytest.raises(DataError, match=r"expected at least 19 labelled requests .* got 18.*500.*not lowered") as caught:
        control_risk(np.ones(18), np.ones(18), level=0.05)
    assert caught.value.field == "requests"
    assert control_risk(np.ones(19), np.ones(19), level=0.05).least == 0.0
    assert least_answered(0.05, 0.95) == 59
    with pytest.raises(DataError, match="at least 59"):
        fixed_sequence(np.ones(58), np.ones(58), [0.5], level=0.05, certainty=0.95)
    assert fixed_sequence(np.ones(59), np.ones(59), [0.5], level=0.05, certainty=0.95).least == 0.5


def test_all_wrong_answers_nothing_and_all_right_answers_everything() -> None:
    sure = np.linspace(0.1, 1.0, 100)
    nothing = control_risk(sure, np.zeros(100), level=0.05)
    assert nothing.answered == nothing.wrong == 4  # 5 of 101 may be wrong, the next request among them
    assert control_risk(np.ones(100), np.zeros(100), level=0.05).answered == 0
    assert control_risk(sure, np.ones(100), level=0.05).answered == 100
    refused = fixed_sequence(sure, np.zeros(100), [0.9, 0.5], level=0.05, certainty=0.95)
    assert (refused.least, refused.answered) == (None, 0)
    assert "wrong among" in (refused.reason or "")


def test_a_level_that_cannot_be_held_is_reported_and_not_lowered() -> None:
    sure, right = np.linspace(0, 1, 200), np.tile([0.0, 1.0], 100)
    found = fixed_sequence(sure, right, coverage_sequence(sure), level=0.05, certainty=0.95)
    assert (found.level, found.least) == (0.05, None)
    assert found.reason is not None
    few = fixed_sequence(sure, np.ones(200), [0.99, 0.0], level=0.05, certainty=0.95)
    assert "of at least 59 that it needs" in (few.reason or "")


def test_the_sequence_stops_at_the_first_that_fails() -> None:
    sure = np.array([0.9] * 100 + [0.5] * 2000)
    right = np.array([0.0] * 50 + [1.0] * 2050)
    assert fixed_sequence(sure, right, [0.9, 0.5], level=0.1, certainty=0.95).least is None


@pytest.mark.parametrize(
    ("confidences", "right", "field", "message"),
    [
        ([0.5, float("nan")], [1, 1], "confidences", "got nan at place 1"),
        ([0.5, 1.5], [1, 1], "confidences", "got 1.5 at place 1"),
        ([0.5, 0.5], [1, 2], "right", "expected 0 or 1, got 2.0 at place 1"),
        ([0.5], [1, 1], "confidences", "shapes"),
    ],
)
def test_what_is_no_confidence_or_label_is_refused_by_name(
    confidences: list[float], right: list[float], field: str, message: str
) -> None:
    for fit in (
        lambda: control_risk(confidences, right, level=0.5),
        lambda: fixed_sequence(confidences, right, [0.5], level=0.5, certainty=0.5),
    ):
        with pytest.raises(DataError, match=message) as caught:
            fit()
        assert caught.value.field == field


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan"), -0.1])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="level"):
        control_risk([0.5] * 30, [1] * 30, level=level)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.booleans()), min_size=19, max_size=60),
    st.sampled_from([0.05, 0.1, 0.3]),
)
@settings(max_examples=100, deadline=None)
def test_the_threshold_is_the_loosest_that_the_formula_allows(rows: list[tuple[float, bool]], level: float) -> None:
    sure, right = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    found = control_risk(sure, right, level=level)
    assert found.least is not None

    def allowed(least: float) -> bool:
        return bool((np.sum((sure >= least) & (right == 0)) + 1) / (len(rows) + 1) <= level + 1e-9)

    assert allowed(found.least)
    looser = [least for least in [0.0, *np.nextafter(sure, 2.0)] if least < found.least]
    assert not any(allowed(least) for least in looser)
