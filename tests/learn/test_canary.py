"""The watch after a promotion: what was bad before is no harm, what became bad is, and silence is no success."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builderbrain.errors import DataError
from builderbrain.gate.evaluate import SubjectAnswer
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.train_judge import train_judge
from builderbrain.learn.canary import Answers, CanaryWatch, Served, Watched
from tests.gate.test_gate_evaluate import toy_base
from tests.learn.serving import plan_of

SAFE, OTHER = 's1=search(pattern="gate")', 's1=list(path="docs")'


@pytest.fixture(scope="module")
def judge() -> RiskJudge:
    return train_judge(toy_base, base_name="toy", examples=200)


class Old:
    """The version before; answers everything alike, or fails."""

    def __init__(self, plan: str | None = SAFE) -> None:
        self.plan = plan

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer:
        if self.plan is None:
            raise DataError("broken", field="x")
        return SubjectAnswer(plan_text=self.plan, response_text="Done.", valid=True)


def watch_over(path: Path, judge: RiskJudge, old: Answers) -> CanaryWatch:
    return CanaryWatch(path / "canary.json", former=lambda version: old, judge=judge, features=toy_base, tolerance=1.0)


@pytest.fixture
def watch(tmp_path: Path, judge: RiskJudge) -> CanaryWatch:
    made = watch_over(tmp_path, judge, Old())
    made.begin(Watched(version="new", former="old"))
    return made


def served(number: int, plan: str = SAFE, *, accepted: bool = True) -> Served:
    return Served(id=f"t{number}", goal="find the gate", plan=plan_of(plan), accepted=accepted, answer="Done.")


def test_equal_answers_are_no_harm_however_often_they_are_called_wrong(watch: CanaryWatch) -> None:
    for number in range(100):
        watch.served("new", served(number))
        watch.called_wrong(f"t{number}")
    assert not watch.look()
    assert (watch.readings, watch.harms) == (100, 0)


def test_answers_of_another_version_are_not_counted_and_silence_never_ends_the_watch(watch: CanaryWatch) -> None:
    watch.served("old", served(1))
    for _ in range(50):
        assert not watch.look()
    assert watch.readings == 0
    assert watch.watched == Watched(version="new", former="old")


def test_plans_that_are_refused_now_and_were_not_come_out(watch: CanaryWatch) -> None:
    for number in range(20):
        watch.served("new", served(number, OTHER, accepted=False))
    assert watch.look()
    assert watch.harms <= 5, "it does not take twenty"
    assert watch.look(), "the decision latches"


def test_changed_plans_that_callers_call_wrong_come_out(watch: CanaryWatch) -> None:
    for number in range(10):
        watch.served("new", served(number, OTHER))
    assert not watch.look()
    assert watch.harms == 0
    for number in range(10):
        watch.called_wrong(f"t{number}")
    assert watch.look()


def test_a_version_before_that_cannot_answer_is_no_reading_and_that_is_harm(tmp_path: Path, judge: RiskJudge) -> None:
    watch = watch_over(tmp_path, judge, Old(None))
    watch.begin(Watched(version="new", former="old"))
    for number in range(10):
        watch.served("new", served(number))
    assert watch.look()


def test_a_risk_that_is_not_finite_is_harm(tmp_path: Path, judge: RiskJudge) -> None:
    watch = CanaryWatch(
        tmp_path / "canary.json",
        former=lambda version: Old(),
        judge=judge,
        features=lambda texts: np.full((len(texts), 8), np.nan),
        tolerance=1.0,
    )
    watch.begin(Watched(version="new", former="old"))
    for number in range(10):
        watch.served("new", served(number, OTHER))
    assert watch.look()


def test_what_was_seen_survives_a_restart(tmp_path: Path, judge: RiskJudge) -> None:
    watch = watch_over(tmp_path, judge, Old())
    watch.begin(Watched(version="new", former="old"))
    for number in range(2):
        watch.served("new", served(number, OTHER, accepted=False))
    watch.look()
    again = watch_over(tmp_path, judge, Old())
    assert (again.watched, again.readings, again.harms) == (watch.watched, 2, 2)
    again.end()
    assert watch_over(tmp_path, judge, Old()).watched is None
