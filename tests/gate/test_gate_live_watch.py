"""The watch over live traffic: what was bad before is no harm, what became bad is, and silence is no success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builderbrain.errors import BuilderBrainError, DataError, TamperedVersionError
from builderbrain.gate import live_watch
from builderbrain.gate.canary_keeper import CanaryKeeper, Standing
from builderbrain.gate.evaluate import SubjectAnswer
from builderbrain.gate.features import BaseFeatures
from builderbrain.gate.live_watch import FormerVersion, LiveWatch, Served
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.train_judge import train_judge
from builderbrain.plan import Plan, parse_text
from tests.gate.test_gate_evaluate import toy_base

SAFE, OTHER = 's1=search(pattern="gate")', 's1=list(path="docs")'
DOMAIN = "repo_assistant"


@pytest.fixture(scope="module")
def judge() -> RiskJudge:
    return train_judge(toy_base, base_name="toy", examples=200)


MakeRail = Callable[[str], Path]


@pytest.fixture
def registry(tmp_path: Path, make_rail: MakeRail, evaluated: Callable[..., None]) -> Registry:
    """The second version is live, promoted over the first with a tolerance that no rise of these tests exceeds."""
    made = Registry(tmp_path / "versions")
    first = made.add(make_rail("first"))
    made.promote(first, expected_live=None)
    second = made.add(make_rail("second"), parent=first)
    evaluated(made, second)
    made.promote(second, expected_live=first)
    return made


class Old:
    """The version before; answers everything alike, or fails."""

    def __init__(self, plan: str | None = SAFE) -> None:
        self.plan = plan

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer:
        if self.plan is None:
            raise DataError("broken", field="x")
        return SubjectAnswer(plan_text=self.plan, response_text="Done.", valid=True)


class Watched:
    """A watch over a registry, and what it has said."""

    def __init__(
        self,
        registry: Registry,
        judge: RiskJudge,
        old: FormerVersion | BuilderBrainError | None = None,
        features: BaseFeatures = toy_base,
        tolerance: float = 1.0,
    ) -> None:
        self.registry = registry
        live = registry.live()
        assert live is not None
        self.version, self.former = live.version, live.previous[0]
        self.keeper = CanaryKeeper(registry, domains=(DOMAIN,), roll_back=self._roll_back)
        self.keeper._canary_of(self.version).tolerance = tolerance
        self.said: list[tuple[str, Standing]] = []
        self.evidence: list[Mapping[str, Any]] = []

        def opened(version: str) -> FormerVersion:
            if isinstance(old, BuilderBrainError):
                raise old
            return old or Old()

        self.watch = LiveWatch(self.keeper, registry, open_former=opened, judge=judge, features=features)
        self.watch.on_standing(lambda version, standing: self.said.append((version, standing)))

    def _roll_back(self, version: str, evidence: Mapping[str, Any]) -> None:
        self.evidence.append(evidence)
        self.registry.rollback(expected_live=version, evidence=evidence)

    def goals(self, count: int, plan: str = SAFE, *, accepted: bool = True, version: str | None = None, first: int = 0) -> None:
        for number in range(first, first + count):
            served = Served(
                ids=(f"t{number}", f"d{number}"), domain=DOMAIN, goal="find the gate", plan=plan_of(plan), accepted=accepted,
                answer="Done.",
            )  # fmt: skip
            self.watch.served(version or self.version, served)

    @property
    def live(self) -> str:
        found = self.registry.live()
        assert found is not None
        return found.version

    @property
    def harms(self) -> int:
        return self.keeper._canary_of(self.version).harmful["risk/"].harms


def plan_of(text: str) -> Plan:
    return parse_text(text, domain=DOMAIN)


@pytest.fixture
def watched(registry: Registry, judge: RiskJudge) -> Watched:
    return Watched(registry, judge)


def test_equal_answers_are_no_harm_however_often_they_are_called_wrong(watched: Watched) -> None:
    watched.goals(100)
    for number in range(100):
        watched.watch.called_wrong(f"t{number}")
    watched.watch.look()
    assert watched.live == watched.version
    assert (watched.keeper.readings(watched.version), watched.harms) == (100, 0)


def test_answers_of_another_version_are_not_counted_and_silence_never_passes(watched: Watched) -> None:
    watched.goals(5, version=watched.former)
    for _ in range(50):
        watched.watch.look()
    assert watched.keeper.readings(watched.version) == 0
    assert watched.said == [(watched.version, "watching")]
    assert watched.keeper.report()["phase"] == "watching"


def test_plans_that_are_refused_now_and_were_not_come_out(watched: Watched) -> None:
    watched.goals(20, OTHER, accepted=False)
    watched.watch.look()
    assert watched.live == watched.former
    assert watched.said[-1] == (watched.version, "rolled back")
    assert watched.keeper.report()["observed"] <= 8, "it does not take twenty"
    assert "violation" in str(watched.evidence[0]["canary"])
    entry = watched.registry.audit_entries()[-1]
    assert (entry.event, entry.details["canary"]) == ("rolled back", watched.evidence[0]["canary"])


def test_plans_that_were_refused_before_too_are_no_harm_of_the_promotion(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge, Old('s1=search(pattern="gate") s2=read(path="${s9.first_path}", needs=[s1])'))
    watched.goals(20, OTHER, accepted=False)
    watched.watch.look()
    assert watched.live == watched.version


def test_changed_plans_that_callers_call_wrong_come_out_and_each_counts_once(watched: Watched) -> None:
    watched.goals(10, OTHER)
    watched.watch.look()
    assert watched.harms == 0
    for _ in range(5):
        watched.watch.called_wrong("t0")
        watched.watch.called_wrong("d0")  # the same goal by its other name
        watched.watch.look()
    assert watched.harms == 1
    assert watched.keeper.readings(watched.version) == 10, "a goal that turns out wrong is no further goal"
    for number in range(1, 10):
        watched.watch.called_wrong(f"d{number}")
    watched.watch.look()
    assert watched.live == watched.former


def test_a_complaint_that_comes_before_its_goal_is_compared_is_heard_later(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_watch, "QUEUE", 4)
    watched.goals(6, OTHER)
    watched.watch.called_wrong("t5")
    watched.watch.look()
    assert (watched.keeper.readings(watched.version), watched.harms) == (4, 0)
    watched.watch.look()
    assert (watched.keeper.readings(watched.version), watched.harms) == (6, 1)


def test_a_version_before_that_gives_no_answer_is_no_reading_and_that_is_harm(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge, Old(None))
    watched.goals(10)
    watched.watch.look()
    assert watched.live == watched.former


def test_a_version_before_that_cannot_be_loaded_is_no_fault_of_live(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge, TamperedVersionError("altered", field="version"))
    watched.goals(50, OTHER)
    watched.watch.look()
    assert watched.live == watched.version
    assert watched.said[-1] == (watched.version, "nothing to compare with")
    assert watched.keeper.report()["phase"] == "watching", "and it does not pass either"


def test_a_risk_that_is_not_finite_is_harm(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge, features=lambda texts: np.full((len(texts), 8), np.nan))
    watched.goals(10, OTHER)
    watched.watch.look()
    assert watched.live == watched.former


def test_a_riskier_plan_is_harm_where_it_rises_above_the_tolerance(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge, tolerance=0.0)
    watched.goals(30, 's1=read(path="../../.ssh/id_rsa")')
    watched.watch.look()
    assert watched.live == watched.former


def test_the_first_version_has_nothing_before_it_and_is_not_watched(
    tmp_path: Path, judge: RiskJudge, make_rail: MakeRail
) -> None:
    registry = Registry(tmp_path / "versions")
    version = registry.add(make_rail("first"))
    registry.promote(version, expected_live=None)
    keeper = CanaryKeeper(registry)
    watch = LiveWatch(keeper, registry, open_former=lambda version: Old(), judge=judge, features=toy_base)
    watch.served(version, Served(ids=(), domain=DOMAIN, goal="x", plan=None, accepted=False, answer="No."))
    watch.look()
    assert keeper.readings(version) == 0
    assert watch.report() | {"bar": 0} == {
        "version": version, "phase": "watching", "standing": "nothing to compare with", "observed": 0, "log_evidence": 0.0,
        "bar": 0, "missing": [], "reason": None,
    }  # fmt: skip


def test_after_a_rollback_the_report_is_of_what_is_live_now(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge)
    watched.goals(3)
    watched.watch.look()
    assert watched.watch.report()["observed"] == 3
    registry.rollback()
    assert (watched.watch.report()["version"], watched.watch.report()["observed"]) == (watched.former, 0)


def test_what_was_seen_and_decided_survives_a_restart(registry: Registry, judge: RiskJudge) -> None:
    watched = Watched(registry, judge)
    watched.goals(2, OTHER, accepted=False)
    watched.watch.look()
    watched.keeper.save()
    again = Watched(registry, judge)
    assert again.keeper.readings(again.version) == 2
    again.goals(20, OTHER, accepted=False, first=2)
    again.watch.look()
    assert again.live == again.former
    assert again.keeper.report()["observed"] <= 8


def test_a_promotion_by_somebody_else_begins_a_new_watch(
    registry: Registry, judge: RiskJudge, make_rail: MakeRail, evaluated: Callable[..., None]
) -> None:
    watched = Watched(registry, judge)
    watched.goals(1, OTHER, accepted=False)
    watched.watch.look()
    third = registry.add(make_rail("third"), parent=watched.version)
    evaluated(registry, third)
    registry.promote(third, expected_live=watched.version)
    watched.goals(3, version=third)
    watched.watch.look()
    assert watched.keeper.report()["version"] == third
    assert watched.keeper.readings(third) == 3


def test_memory_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_watch, "REMEMBERED", 100)
    for start in range(0, 300, 100):
        watched.goals(100, OTHER, first=start)
        watched.watch.look()
    assert len(watched.watch._differing) <= 100
