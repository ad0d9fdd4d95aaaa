"""The deferral suite: curves and bounds are those of their definitions, and the command writes what a server reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from builderbrain.deferral import DeferralTable
from builderbrain.deferral.shift import LEVEL
from builderbrain.errors import SubjectError
from builderbrain.eval import measure_deferral as command
from builderbrain.eval.calibration import Answers
from builderbrain.eval.deferral import Judged, as_json, fit_bounds, judge, lines_of, look_for_shift, print_report, risk_coverage
from builderbrain.eval.workbench import Workbench
from builderbrain.rail.confidence import EVIDENCE, Confidence
from builderbrain.serve.deferral import CONFIDENCE, THRESHOLDS

ENFORCED = command.Enforced(bound="answered_and_wrong", level=0.1)


def drawn(count: int, seed: int, *, worse: float = 0.0) -> Judged:
    """Goals whose plans are right as often as their confidence says, less `worse`."""
    rng = np.random.default_rng(seed)
    sure = np.round(rng.beta(5, 1.5, count) * (1 - worse), 2)
    return Judged(confidences=sure, right=(rng.random(count) < sure - worse).astype(float), features={"confidence": sure})


def test_risk_falls_with_coverage_and_ends_at_the_error_of_all() -> None:
    goals = drawn(2000, 0)
    curve = risk_coverage(goals.confidences, goals.right)
    assert [round(point.coverage, 2) for point in curve] == [round(share / 20, 2) for share in range(1, 21)]
    assert curve[-1].risk == pytest.approx(1 - goals.right.mean())
    assert curve[3].risk < curve[10].risk < curve[-1].risk
    assert all(point.interval.low <= point.risk <= point.interval.high for point in curve)


def test_goals_of_equal_confidence_have_no_order() -> None:
    for right in ([1, 1, 0, 0], [0, 0, 1, 1]):
        curve = risk_coverage(np.full(4, 0.5), np.array(right, dtype=float))
        assert {point.risk for point in curve} == {0.5}


def test_bounds_hold_where_they_were_fitted_and_a_shift_is_found() -> None:
    bounds = fit_bounds(drawn(500, 1), drawn(500, 2), (0.05, 0.2))
    assert [(bound.bound, bound.level) for bound in bounds] == [
        ("answered_and_wrong", 0.05),
        ("wrong_given_answered", 0.05),
        ("answered_and_wrong", 0.2),
        ("wrong_given_answered", 0.2),
    ]
    reference = {"confidence": drawn(500, 2).confidences.tolist()}
    same = judge(drawn(2000, 3), bounds, reference, domain="d", goals="same", seed=None)
    assert same.bounds[3].held
    assert (same.bounds[2].share or 1.0) < 0.23  # it holds on average over fits, and this is one
    assert same.bounds[0].answered < same.bounds[2].answered
    # In any order with a probability of at most 1 %, so in 10 of 20 with at most 2 %; below, how often it really is.
    assert (same.shift.orders, same.shift.asked) == (20, 2000)
    assert same.shift.alarms < 10
    assert same.ece < 0.05
    assert same.aurc_interval.low <= same.aurc <= same.aurc_interval.high < 1 - same.accuracy
    shifted = judge(drawn(300, 4, worse=0.3), bounds, reference, domain="d", goals="shifted", seed=None)
    assert shifted.ece > 0.2
    assert shifted.shift.alarms == shifted.shift.orders
    assert shifted.shift.requests is not None
    assert shifted.shift.requests < 60
    print_report([same, shifted], Console(quiet=True))
    assert set(lines_of([same, shifted])) == {"d same", "d shifted"}
    json.dumps(as_json([same, shifted]), allow_nan=False)


def test_goals_like_those_of_the_fit_give_no_more_false_alarms_than_promised() -> None:
    """The promise is over draws of both: the fit, and what is asked after it."""
    fits = 120
    alarms = 0
    for fit in range(fits):
        reference = {"confidence": drawn(500, 1000 + fit).confidences.tolist()}
        alarms += look_for_shift(drawn(500, 2000 + fit), reference, orders=1).alarms
    assert alarms <= stats.binom.ppf(0.999, fits, LEVEL)


def test_too_few_goals_are_reported_for_each_level() -> None:
    bounds = fit_bounds(drawn(30, 1), drawn(30, 2), (0.01, 0.05))
    assert [bound.least is None for bound in bounds] == [True, True, False, True]
    assert "expected at least 99 labelled requests" in (bounds[0].reason or "")
    assert "at least 59" in (bounds[3].reason or "")


def test_the_command_writes_what_a_server_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bundled rail, whose answers are replaced by drawn ones: decoding is tested elsewhere and slow."""
    seeds = iter(range(10))

    def answered(pair: object, rows: command.Rows, grammar: object, **_: object) -> Answers:
        rng = np.random.default_rng(next(seeds))
        evidence = rng.normal(size=(len(rows), len(EVIDENCE)))
        chance = 1 / (1 + np.exp(-(2.0 + 2.5 * evidence[:, 0])))
        return Answers(evidence=evidence, right=(rng.random(len(rows)) < chance).astype(float))

    monkeypatch.setattr(command, "answer_goals", answered)
    bench = Workbench(model="builderbrain-nano")
    report, saved = tmp_path / "report.json", tmp_path / "saved"
    assert command.measure_deferral(bench, report, seeds=(None,), rows=None, goals=120, enforced=ENFORCED, save=str(saved)) == 0
    value = json.loads(report.read_text())
    assert [one["goals"] for one in value["results"]] == ["generated", "held-out", "wordings"]
    assert report.with_suffix(".svg").read_text().count("<polyline") == 3
    version = json.loads((saved / THRESHOLDS).read_text())["weight_version"]
    table = DeferralTable.load(saved / THRESHOLDS, weight_version=version)
    (domain,) = table.domains
    assert (domain.domain, domain.level, domain.threshold.bound) == ("repo_assistant", 0.1, "answered_and_wrong")
    assert set(domain.reference) == {"confidence", "tokens"}
    assert len(domain.reference["tokens"]) == 120
    assert Confidence.load(saved / CONFIDENCE, weight_version=version).weight_version == version


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "expected DOMAIN.jsonl in the folder"),
        ('{"goal": "list it", "plan": "s1=list()"}\n{"goal": "x"}\n', "line 2: expected a goal and its plan"),
        ('{"goal": "list it", "plan": "s1=list("}\n', "line 1: expected a goal and its plan"),
        ('{"goal": "list it", "plan": "s1=list()"}\n' * 99, "expected at least 100 goals"),
    ],
)
def test_rows_that_are_none_are_refused(tmp_path: Path, rows: str | None, message: str) -> None:
    if rows is not None:
        (tmp_path / "repo_assistant.jsonl").write_text(rows)
    with pytest.raises(SubjectError, match=message) as caught:
        command.measure_deferral(
            Workbench(model="none"), tmp_path / "r.json", seeds=(None,), rows=tmp_path, goals=1000, enforced=ENFORCED, save=None
        )
    assert caught.value.field == "rows"


def test_rows_of_a_domain_are_split_into_three() -> None:
    goals = command._generated(100)
    assert {len(goals.fitting), len(goals.tuning), len(goals.judging["generated"])} == {100}
    assert not set(goals.fitting) & set(goals.tuning) & set(goals.judging["generated"])
