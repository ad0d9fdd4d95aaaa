"""The stacking suite: which rail a task starts from, when it counts as mastered, and what is asked again afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from builderbrain.errors import ConfigError, SubjectError
from builderbrain.eval import stacking
from builderbrain.eval.measure_stacking import measure_stacking
from builderbrain.train.config import TrainConfig

CONFIG = TrainConfig(data="scan", start="trunk", start_skills="new", steps=40)


class FakeTrainer:
    """Learns a task in `needs` steps when it starts from scratch, in half of them when it goes on from a rail of its own."""

    needs: ClassVar = {"verb": 20, "way": 30, "times": 1000}
    started: ClassVar[list[tuple[str, str, str]]] = []

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.state = config, SimpleNamespace(step=0)
        self.rail = SimpleNamespace(eval=lambda: None)
        own = config.start_skills == "keep"
        self.wanted = self.needs[config.scan.task] / (2 if own else 1)
        FakeTrainer.started.append((config.scan.task, config.start, config.start_skills))

    def check(self) -> None: ...

    def train_step(self) -> None: ...

    def evaluate(self) -> dict[str, Any]:
        return {"held_out_exact": 1.0 if self.state.step >= self.wanted else 0.5}


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTrainer.started = []
    summary = SimpleNamespace(trainable_parameters=7)
    monkeypatch.setattr(stacking, "build_trainer", lambda config, host: (FakeTrainer(config), summary))
    monkeypatch.setattr(stacking, "save_rail", lambda rail, target: None)


def run(condition: stacking.Condition, folder: Path) -> list[stacking.TaskRun]:
    return stacking.run_condition(condition, CONFIG, folder, None, seed=3, tasks=("verb", "way", "times"))  # type: ignore[arg-type]


@pytest.mark.usefixtures("faked")
def test_stacked_tasks_go_on_from_the_one_before_and_others_from_the_trunk(tmp_path: Path) -> None:
    stacked = run("stacked", tmp_path)
    learned = [one for one in FakeTrainer.started if one[1] == "trunk" or "stacked-3" in one[1]]
    assert learned[0] == ("verb", "trunk", "new")
    assert ("way", str(tmp_path / "stacked-3" / "verb" / "rail"), "keep") in learned
    assert ("times", str(tmp_path / "stacked-3" / "way" / "rail"), "keep") in learned
    assert [one.steps for one in stacked] == [20, 15, None]  # the first of two evaluations in a row
    assert [list(one.earlier) for one in stacked] == [[], ["verb"], ["verb", "way"]]
    FakeTrainer.started = []
    alone = run("alone", tmp_path)
    assert [one.steps for one in alone] == [20, 30, None]
    assert FakeTrainer.started == [(task, "trunk", "new") for task in ("verb", "way", "times")]
    assert not any(one.earlier for one in alone)


@pytest.mark.usefixtures("faked")
def test_a_report_compares_both_and_says_what_was_not_mastered(tmp_path: Path) -> None:
    runs = run("stacked", tmp_path) + run("alone", tmp_path)
    lines = stacking.lines_of(runs)
    assert [point.y for point in lines["stacked"]] == [20, 15, 40]
    assert [point.y for point in lines["alone"]] == [20, 30, 40]
    value = json.loads(json.dumps(stacking.as_json(runs)))
    assert [one["steps"] for one in value["runs"]] == [20, 15, None, 20, 30, None]
    assert value["runs"][0]["exact"][-2:] == [1.0, 1.0]


def test_one_good_evaluation_is_no_mastery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faked: None) -> None:
    shares = iter([0.5, 0.96, 0.9, 0.96, 0.95] + [0.0] * 20)
    monkeypatch.setattr(FakeTrainer, "evaluate", lambda self: {"held_out_exact": next(shares)})
    (verb,) = stacking.run_condition("alone", CONFIG, tmp_path, None, seed=0, tasks=("verb",))  # type: ignore[arg-type]
    assert verb.steps == 20


def test_a_configuration_without_a_trunk_seeds_or_room_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    with pytest.raises(ConfigError, match="data=scan and start=FOLDER start_skills=new"):
        measure_stacking(TrainConfig(data="scan"), target, tmp_path, seeds=[0])
    with pytest.raises(SubjectError, match="--seeds"):
        measure_stacking(CONFIG, target, tmp_path, seeds=[])
    (tmp_path / "alone-0").mkdir()
    with pytest.raises(SubjectError, match="got alone-0; remove it"):
        measure_stacking(CONFIG, target, tmp_path, seeds=[0])
