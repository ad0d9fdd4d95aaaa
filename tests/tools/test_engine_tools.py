"""evaluate and train: only the settings that they allow reach the engine, and what it does wrong is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import BuilderBrainError, PathEscapeError, ToolError, ToolTimeoutError
from builderbrain.tools import engine_run, engine_worker
from tests.tools.repository import FLOOD, HANGING, MISBEHAVING, asked, call

REPORT = {"suite": "plan-bench", "subjects": [{"subject": "rail", "right": 20.0, "total": 21, "score": 20 / 21, "kinds": {}}]}
"""As `builderbrain.eval` writes it."""
EVALUATES = f"""
import json, sys
target = next(one.partition("=")[2] for one in sys.argv if one.startswith("--json="))
open(target, "w").write({json.dumps(json.dumps(REPORT))})
open(target + ".argv", "w").write(" ".join(sys.argv[1:]))
"""
TRAINS = """
import os, sys
output = next(one.partition("=")[2] for one in sys.argv if one.startswith("output="))
os.makedirs(output + "/rail")
open(output + "/rail/manifest.json", "w").write("{}")
print("loading ...")
print(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the script that runs in the place of the engine."""

    def setting(script: str) -> None:
        worker = root / "engine.py"
        worker.write_text(script)
        monkeypatch.setattr(engine_run, "_WORKER", worker)

    return setting


def test_a_bench_is_told_in_numbers_and_leaves_nothing(root: Path, engine: Callable[[str], None]) -> None:
    engine(EVALUATES)
    found = call(root, "evaluate")
    assert (found["right"], found["count"], found["score"]) == (20, 21, 20 / 21)
    assert found["text"] == "plan-bench, the bundled rail: 20 of 21 right, a score of 0.952"
    assert sorted(path.name for path in root.iterdir()) == ["engine.py"]
    assert asked(root, "evaluate") is None


def test_the_bench_gets_its_name_its_report_and_a_rail_and_no_more(root: Path, engine: Callable[[str], None]) -> None:
    engine(EVALUATES.replace('open(target + ".argv"', "print(sys.argv); sys.exit(' '.join(sys.argv[1:]))\nopen(target + '.x'"))
    (root / "runs" / "rail").mkdir(parents=True)
    with pytest.raises(ToolError) as refused:
        call(root, "evaluate", bench="held-out", rail="runs/rail")
    words = refused.value.message.split(": ", 1)[1].split()
    assert words[:2] == ["builderbrain.eval", "held-out"]
    assert words[2].startswith("--json=")
    assert words[3:] == ["--device=cpu", f"--rail={root}/runs/rail"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"bench": "everything"}, ToolError, "expected one of plan-bench"),
        ({"rail": "gone"}, ToolError, "there is no 'gone'"),
        ({"rail": "../outside"}, PathEscapeError, "leaves"),
        ({"rail": "engine.py"}, ToolError, "folder of a rail"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    root: Path, engine: Callable[[str], None], arguments: dict[str, str], error: type[BuilderBrainError], message: str
) -> None:
    engine(MISBEHAVING["crash"])
    with pytest.raises(error, match=message):
        call(root, "evaluate", **arguments)


@pytest.mark.parametrize(
    "report", ["", "[]", "{}", '{"subjects": []}', '{"subjects": [{"right": 1, "total": 0, "score": 2}]}', "[" * 100_000]
)
def test_a_report_of_another_form_is_no_result(root: Path, engine: Callable[[str], None], report: str) -> None:
    engine(EVALUATES.replace(json.dumps(json.dumps(REPORT)), repr(report)))
    with pytest.raises(ToolError, match="not of its form"):
        call(root, "evaluate")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (MISBEHAVING["crash"], "status 3: boom"),
        (MISBEHAVING["killed"], "status 137"),
        (MISBEHAVING["silence"], "without a report"),
        ("import sys; sys.stderr.write('noise\\nerror: the rail is torn\\n'); sys.exit(2)", "status 2: the rail is torn"),
        (FLOOD, "more than"),
        ("import os; os.mkdir('/etc/x')", "status 1"),
    ],
)
def test_an_engine_that_breaks_is_said(root: Path, engine: Callable[[str], None], script: str, message: str) -> None:
    engine(script)
    with pytest.raises(ToolError, match=message):
        call(root, "evaluate")


def test_a_bench_that_hangs_is_stopped(root: Path, engine: Callable[[str], None]) -> None:
    engine(HANGING)
    with pytest.raises(ToolTimeoutError):
        call(root, "evaluate", seconds=1.5)


def test_training_gets_its_settings_and_leaves_a_rail(root: Path, engine: Callable[[str], None]) -> None:
    engine(TRAINS)
    assert asked(root, "train", output="runs/a") is None
    found = call(root, "train", output="runs/./a", data="scan", steps=7, seed=3, minutes=1)
    assert found["rail"] == "runs/a/rail"
    assert found["text"] == "builderbrain.train output=runs/a data=scan steps=7 seed=3 device=cpu"
    assert asked(root, "train", output="runs/a") == {"rail": "runs/a/rail", "text": "The rail is there."}


@pytest.mark.parametrize("output", ["../a", "/a", ".", "a/..", "a\nsteps=9", "~/a"])
def test_a_run_stays_below_the_root_and_is_no_other_setting(root: Path, engine: Callable[[str], None], output: str) -> None:
    engine(TRAINS)
    with pytest.raises((ToolError, PathEscapeError)):
        call(root, "train", output=output)
    assert sorted(path.name for path in root.parent.iterdir()) == ["root"]


def test_training_through_a_link_out_of_the_root_writes_nothing(root: Path, engine: Callable[[str], None]) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    engine(TRAINS)
    with pytest.raises(ToolError, match="status 1"):
        call(root, "train", output="link/a")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (MISBEHAVING["garbage"], "without a rail in runs/a: no result at all"),
        ("import sys; sys.exit('error: another run is at work')", "another run is at work"),
    ],
)
def test_training_without_a_rail_has_failed(root: Path, engine: Callable[[str], None], script: str, message: str) -> None:
    engine(script)
    with pytest.raises(ToolError, match=message):
        call(root, "train", output="runs/a")


def test_training_that_takes_too_long_is_stopped_and_says_how_to_go_on(root: Path, engine: Callable[[str], None]) -> None:
    engine(HANGING)
    with pytest.raises(ToolTimeoutError, match="goes on from its last checkpoint"):
        call(root, "train", seconds=7.0, output="runs/a", minutes=30)
    assert asked(root, "train", output="runs/a") is None


def test_the_worker_runs_the_engine_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["engine_worker.py", "http.server"])
    with pytest.raises(SystemExit, match="expected one of"):
        engine_worker.main()
