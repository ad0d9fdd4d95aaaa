"""kill -9 at every point of an execution and of its resume: nothing happens twice, nothing is forgotten, undo completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASKED = ("reserve", "pay", "refund")
"""Skills whose tools can say whether an effect happened."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where the machine has such a place: it survives a killed process, and forcing it to disk takes no time."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as made:
        yield Path(made)


def runs(folder: Path, scenario: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.agent.kill_driver", str(folder), scenario]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert finished.returncode == 0, finished.stderr[-2000:]
    found = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [run["killed"] for run in found] == [True] * (len(found) - 1) + [False]
    return found


def statuses(run: dict[str, Any], role: str) -> dict[str, str]:
    return {entry["skill"]: entry["status"] for entry in run["entries"] if entry["role"] == role}


def check_effects(run: dict[str, Any]) -> None:
    """What holds wherever the process was killed, and however often."""
    order = run["order"]
    for skill in ("reserve", "pay", "refund", "send"):
        assert order.count(skill) <= 1, run
    by_skill = {**statuses(run, "step"), **statuses(run, "undo")}
    for skill, status in by_skill.items():
        assert status != "claimed", run
        if status in ("done", "undone") and skill != "look":
            assert skill in order, run
        if status == "unknown":
            assert skill == "send", f"only a tool that cannot be asked may stay unknown: {run}"
    for skill in set(order) - set(by_skill):
        pytest.fail(f"{skill} happened and the ledger does not know it: {run}")


def test_a_plan_that_is_killed_at_every_point_goes_on_to_its_end(folder: Path) -> None:
    found = runs(folder, "finishes")
    assert len(found) > 25
    unknown = 0
    for run in found:
        check_effects(run)
        if not run["executions"]:
            assert run["order"] == []  # killed before the plan was in the ledger: nothing ran
            continue
        steps = statuses(run, "step")
        assert [steps[skill] for skill in ("look", "reserve", "pay", "write")] == ["done"] * 4, run
        assert [skill for skill in dict.fromkeys(run["order"]) if skill != "send"] == ["reserve", "pay", "write"]
        if steps["send"] == "unknown":
            unknown += 1
            assert run["executions"] == ["unsettled"]
            assert "not known" in next(step["error"] for step in run["report"]["steps"] if step["skill"] == "send")
        else:
            assert (steps["send"], run["executions"]) == ("done", ["finished"])
            assert run["order"].count("send") == 1
    assert 4 <= unknown <= 12  # between the claim of `send` and its record, in the first run or in the resume


def test_a_plan_that_stops_is_taken_back_whole_wherever_it_is_killed(folder: Path) -> None:
    found = runs(folder, "stops")
    assert len(found) > 40
    for run in found:
        check_effects(run)
        order = run["order"]
        if not run["executions"]:
            assert order == []
            continue
        assert run["executions"] in (["stopped"], ["unsettled"])
        steps = statuses(run, "step")
        assert (steps["pay"], steps["reserve"]) == ("undone", "undone"), run
        assert statuses(run, "undo") == {"refund": "done", "release": "done"}, run
        assert order.index("refund") < order.index("release"), run
        if run["report"] is not None:
            told = {undo["skill"]: undo["status"] for undo in run["report"]["undos"]}
            assert told["pay"] == told["reserve"] == "undone"
            assert told["send"] in ("irreversible", "unknown")
