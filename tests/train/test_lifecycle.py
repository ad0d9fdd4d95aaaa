"""The life of a skill in a run: triggers fire when planted and not otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.errors import CheckpointError, ConfigError, SkillError
from builderbrain.rail.checkpoint import load_rail
from builderbrain.train.__main__ import main
from builderbrain.train.lifecycle import LifeWindows, SkillsSection
from builderbrain.train.lifecycle.events import SkillHistory
from builderbrain.train.lifecycle.measure import measure
from builderbrain.train.lifecycle.rows import skill_tensors
from builderbrain.train.trainer import Trainer
from builderbrain.train.watch.skills import SkillWatch
from tests.train.lifecycle_runs import BIRTHS, BOOK, SCAN, TARGETS, copy_row, kinds, log, trainer, used

# --- triggers ----------------------------------------------------------------------------------------------------------


def windows(steps: int, *, usage: tuple[float, ...] = (4, 3, 2, 1, 0), **readings: float) -> LifeWindows:
    made = LifeWindows(SkillsSection(births=True, every=10, window=5, retire_under=0.05, retire_window=8), rows=5)
    for _ in range(steps):
        made.observe(usage, readings)
    return made


@pytest.mark.parametrize(
    ("readings", "asks"),
    [
        ({"reuse": 1.5, "build": 0.9}, {"reuse", "build"}),
        ({"reuse": 1.5, "build": 0.4, "g2g": 0.3}, {"reuse", "g2g"}),
        ({"reuse": 1.5, "build": 0.4, "g2g": 0.05}, None),  # no pressure
        ({"reuse": 2.5, "build": 0.9, "g2g": 0.3}, None),  # the known skills are not used yet
        ({"build": 0.9}, None),
        ({"reuse": 1.5}, None),
    ],
)
def test_a_birth_needs_high_reuse_and_lasting_pressure(readings: dict[str, float], asks: set[str] | None) -> None:
    found = windows(10, **readings).wants_birth(10, BOOK, TARGETS)
    assert (None if found is None else {name for name in found if not name.endswith("_target")}) == asks
    if found is not None:
        assert all(found[name] == readings[name] and found[f"{name}_target"] == TARGETS[name] for name in asks or ())


def test_births_wait_for_a_window_for_the_interval_and_for_a_free_row() -> None:
    pressed = {"reuse": 1.5, "build": 0.9}
    assert windows(4, **pressed).wants_birth(10, BOOK, TARGETS) is None, "the window is not full"
    made = windows(10, **pressed)
    assert made.wants_birth(9, BOOK, TARGETS) is None
    full = BOOK.with_records([replace(BOOK[3], id=4, name="skill_4", row=4)])
    assert made.wants_birth(10, full, TARGETS) is None
    made.born(10)
    for _ in range(9):
        made.observe((1,) * 5, pressed)
        assert made.wants_birth(19, BOOK, TARGETS) is None
    assert made.wants_birth(20, BOOK, TARGETS) is not None


def test_skills_are_unused_after_a_whole_window_and_pinned_ones_never() -> None:
    assert windows(7, usage=(0, 50, 49, 1, 0)).unused(BOOK) == {}
    assert windows(8, usage=(0, 50, 49, 1, 0)).unused(BOOK) == {3: pytest.approx(0.01)}
    assert windows(8, usage=(0, 50, 40, 10, 0)).unused(BOOK) == {}
    made = windows(8, usage=(0, 50, 50, 0, 0))
    assert made.dead_fraction(BOOK) == 0.5
    made.born(8)
    assert made.unused(BOOK) == {}, "a newborn has its own window first"


def test_restored_windows_go_on_as_they_were() -> None:
    one = windows(7, reuse=1.5, build=0.9)
    two = windows(0)
    two.restore(json.loads(json.dumps(one.state())))
    for made in (one, two):
        made.observe((0, 0, 1, 0, 0), {"reuse": 1.0, "build": 2.0})
    assert one.state() == two.state()
    assert one.wants_birth(10, BOOK, TARGETS) == two.wants_birth(10, BOOK, TARGETS) is not None
    with pytest.raises(CheckpointError, match="usage of 3 skills"):
        LifeWindows(SkillsSection(), rows=3).restore(one.state())


def test_one_skill_for_all_alarms_after_a_window_and_closed_rows_are_not_dead() -> None:
    watch = SkillWatch(4)
    for step in range(5):
        assert [alarm.name for alarm in watch.alarms()] == (["skill_collapse"] if step > 3 else [])
        watch.observe((97.0, 3.0, 0.0), closed={2})
    other = SkillWatch(4)
    other.restore(json.loads(json.dumps(watch.state())))
    assert other.alarms() == watch.alarms()
    watch.observe((90.0, 10.0, 0.0), closed={2})
    assert watch.alarms() == []
    only = SkillWatch(1)
    only.observe((5.0, 0.0), closed={1})
    assert only.alarms() == []


# --- in a run ----------------------------------------------------------------------------------------------------------


def test_a_newborn_has_a_long_window_before_it_can_be_merged(base: Path, tmp_path: Path) -> None:
    keys = (*BIRTHS, "skills.merges=true", "skills.merge_cosine=0.5", "skills.tolerance=100", "learning_rate=0.001", "steps=6")

    def merged(name: str, window: int) -> set[int]:
        trainer(base, tmp_path / name, *keys, f"skills.retire_window={window}").run()
        events = SkillHistory(tmp_path / name).events
        assert (events[0].kind, events[0].skills) == ("birth", (2,))
        return {skill for event in events if event.kind == "merge" for skill in event.skills}

    assert 2 not in merged("young", 50)
    assert 2 in merged("grown", 1)


def test_skills_are_born_in_a_run_one_at_a_time_and_logged(base: Path, tmp_path: Path) -> None:
    trainer(base, tmp_path, *BIRTHS).run()
    events = SkillHistory(tmp_path).events
    assert kinds(tmp_path) == [(2, "birth"), (5, "birth"), (8, "birth")]
    assert [event.skills for event in events] == [(2,), (3,), (4,)]
    for event in events:
        assert event.parents
        assert event.parents[0] < event.skills[0]
        assert event.trigger["build"] > event.trigger["build_target"]
        assert event.trigger["reuse"] <= event.trigger["reuse_target"]
        assert event.after == pytest.approx(event.before, abs=0.05)
    rows = log(tmp_path)
    assert [row["skills"]["live"] for row in rows] == [2, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    assert [row["skills"]["born"] for row in rows] == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0]
    assert set(rows[-1]["skills"]["usage"]) == {"0", "1", "2", "3", "4"}
    assert rows[8]["skills"]["similarity"]["skills"] == [0, 1, 2, 3, 4]
    assert all(row["skills_used"] <= row["skills"]["live"] for row in rows)
    book = load_rail(tmp_path / "rail").book
    assert [record.born for record in book.live] == [0, 0, 3, 6, 9]
    assert book.free_rows == (5,)
    assert all(record.tokens for record in book.live)


@pytest.mark.parametrize("keys", [("constraints.build.target=4",), ("constraints.reuse.target=0",), ("skills.births=false",)])
def test_without_its_trigger_no_skill_is_born(keys: tuple[str, ...], base: Path, tmp_path: Path) -> None:
    trainer(base, tmp_path, *BIRTHS, *keys, "steps=5").run()
    assert kinds(tmp_path) == []
    assert log(tmp_path)[-1]["skills"]["live"] == 2


ALL = (*BIRTHS, "skills.live=4", "skills.merges=true", "skills.merge_cosine=0", "skills.tolerance=100",
       "skills.retirements=true", "skills.retire_window=3", "skills.retire_under=0.2", "steps=8",
       "evaluation_rows=2")  # fmt: skip


def test_a_run_cut_between_births_and_deaths_goes_on_bit_equal(base: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer(base, whole, *ALL).run()
    assert {"birth", "merge", "retire"} <= {kind for _, kind in kinds(whole)}
    started = trainer(base, cut, *ALL)
    for started.state.step in range(7):
        if started.state.step == 4:
            started.save()
        started.train_step()
    assert len(kinds(cut)) > sum(step is not None and step < 4 for step, _ in kinds(whole)), "killed after an event"
    trainer(base, cut, *ALL).run()
    for name in (
        "rail/rail.safetensors",
        "rail/skills.json",
        "skills.jsonl",
        *(f"skills/{e.file_name}" for e in SkillHistory(whole).events),
    ):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    assert log(cut) == log(whole)[4:]


MERGES = ("skills.merges=true", "skills.every=1", "rail.proposal_rank=2", "learning_rate=0", "muon_learning_rate=0")


def stirred(base: Path, output: Path, *keys: str, seed: int = 1) -> Trainer:
    """A run that learns nothing, of a rail that does something."""
    made = trainer(base, output, *MERGES, *keys)
    with torch.no_grad():
        for parameter in made.rail.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return made


def test_equal_skills_are_merged_in_a_run_and_unlike_ones_are_not(base: Path, tmp_path: Path) -> None:
    unlike = stirred(base, tmp_path / "unlike")
    unlike.train_step()
    assert kinds(tmp_path / "unlike") == []
    twins = stirred(base, tmp_path / "twins")
    first, second = used(twins)[:2]
    copy_row(twins.rail, first, second)
    twins.train_step()
    (event,) = SkillHistory(tmp_path / "twins").events
    assert event.kind == "merge"
    assert set(event.skills) == {first, second}
    assert event.trigger["cosine"] == pytest.approx(1.0)
    assert event.after == pytest.approx(event.before, abs=1e-4)


def test_a_merge_that_costs_more_held_out_loss_than_allowed_is_taken_back(base: Path, tmp_path: Path) -> None:
    cost = 0.0
    for seed in range(8):
        tried = stirred(base, tmp_path / f"{seed}", "skills.merge_cosine=0", "skills.tolerance=100", seed=seed)
        tried.train_step()
        for event in SkillHistory(tmp_path / f"{seed}").events:
            cost = (event.after or 0.0) - (event.before or 0.0)
        if cost > 1e-3:
            break
    assert cost > 1e-3
    run = stirred(base, tmp_path / "run", "skills.merge_cosine=0", f"skills.tolerance={cost / 2}", seed=seed)
    before, loss = (
        {name: tensor.clone() for name, tensor in run.rail.state_dict().items()},
        measure(run.pair, run.held_out.batch).loss,
    )
    run.train_step()
    assert kinds(tmp_path / "run") == []
    assert len(run.rail.book.live) == 6
    assert all(torch.equal(tensor, before[name]) for name, tensor in skill_tensors(run.rail).items())
    assert measure(run.pair, run.held_out.batch).loss == loss


def test_a_watched_run_is_the_run_that_nobody_watched(base: Path, tmp_path: Path) -> None:
    trainer(base, tmp_path / "plain", "steps=4").run()
    trainer(base, tmp_path / "watched", "steps=4", "skills.watch=true", "skills.every=2").run()
    plain, watched = (load_rail(tmp_path / name / "rail") for name in ("plain", "watched"))
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in watched.state_dict().items())
    assert [row["plan"] for row in log(tmp_path / "plain")] == [row["plan"] for row in log(tmp_path / "watched")]
    assert not (tmp_path / "plain" / "rail" / "skills.json").exists()
    assert "skills" not in log(tmp_path / "plain")[0]


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        (("skills.births=true", "constraints.reuse.enabled=false"), "skills.births"),
        (("skills.births=true", "constraints.build.enabled=false"), "skills.births"),
        (("skills.births=true", "skills.window=30", "skills.every=20"), "skills.window"),
        (("skills.merge_cosine=1.5",), "skills.merge_cosine"),
        (("skills.live=1",), "constraints.reuse.skills"),
        (("skills.live=7",), "skills.live"),
        (("skills.live=3", "rail.pinned=true"), "skills.live"),
    ],
)
def test_a_bad_value_names_its_key(keys: tuple[str, ...], field: str, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        trainer(base, tmp_path, *keys)
    assert caught.value.field == field
    assert field.rpartition(".")[2] in caught.value.message


# --- commands ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a short run with births."""
    output = tmp_path_factory.mktemp("finished") / "run"
    trainer(base, output, *BIRTHS, "steps=6").run()
    return output


def test_commands_write_new_folders_whose_events_can_be_taken_back(
    finished: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--set", f"model={base}", *SCAN, "evaluation_rows=4", "device=cpu"]
    original = {path: path.read_bytes() for path in sorted(finished.rglob("*")) if path.is_file()}
    one, two, three, back = (tmp_path / name for name in ("one", "two", "three", "back"))

    def skills(*arguments: str) -> tuple[int, str]:
        status = main(["skills", *arguments])
        output = capsys.readouterr()
        return status, output.out + output.err

    assert skills("show", str(finished))[1].count("live") == 0
    assert "from 1" in skills("show", str(finished))[1] or "from 0" in skills("show", str(finished))[1]
    assert "cosine" in skills("show", str(finished), *data)[1]
    loose = [*data, "skills.tolerance=9", "skills.merge_cosine=0", "skills.retire_under=1"]
    status, text = skills("merge", str(finished), "--output", str(one), "--keep", "0", "--give", "1", *data,
                          "skills.merge_cosine=1")  # fmt: skip
    assert status == 2
    assert "lower skills.merge_cosine" in text
    assert not one.exists()
    assert skills("retire", str(finished), "--output", str(one), "--skill", "2", *loose)[0] == 0
    assert skills("distil", str(one), "--output", str(two), "--skills", "0", "1", *loose)[0] == 0
    assert skills("pack", str(two), "--output", str(three), *loose)[0] == 0
    assert load_rail(three / "rail").config.num_skills == 2
    status, text = skills("pack", str(two), "--output", str(three), *loose)
    assert status == 2
    assert "does not exist yet" in text
    assert skills("undo", str(three), "--output", str(back))[0] == 0
    for name in ("rail.safetensors", "skills.json", "config.json"):
        assert (back / "rail" / name).read_bytes() == (two / "rail" / name).read_bytes()
    assert skills("undo", str(back), "--output", str(tmp_path / "more"))[0] == 0
    assert skills("undo", str(tmp_path / "more"), "--output", str(tmp_path / "most"))[0] == 0
    again, first = load_rail(tmp_path / "most" / "rail"), load_rail(finished / "rail")
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in again.state_dict().items())
    assert again.book.records[:-1] == first.book.records
    assert again.book.records[-1].state == "withdrawn"
    assert [kind for _, kind in kinds(tmp_path / "most")] == ["birth"] * 2 + ["retire", "distil", "pack"] + ["undo"] * 3
    assert {path: path.read_bytes() for path in original} == original


def test_nothing_can_be_taken_back_in_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills", "undo", str(tmp_path / "nothere"), "--output", str(tmp_path / "out")]) == 2
    assert f"there is no folder {tmp_path / 'nothere'}" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["skills", "undo", str(tmp_path / "empty"), "--output", str(tmp_path / "out")]) == 2
    assert "expected an event to take back" in capsys.readouterr().err


def test_a_torn_history_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    made = SkillHistory(finished).copy_to(tmp_path / "copy")
    (tmp_path / "copy" / "skills" / made.last().file_name).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="missing or torn"):
        made.change_of(made.last())
    (tmp_path / "copy" / "skills.jsonl").write_bytes((finished / "skills.jsonl").read_bytes()[:-20])
    with pytest.raises(CheckpointError, match="torn at line 2"):
        SkillHistory(tmp_path / "copy")
    with pytest.raises(SkillError, match="there is no folder"):
        SkillHistory(tmp_path / "none").last()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SkillError, match="an event to take back"):
        SkillHistory(tmp_path / "empty").last()
