"""`python -m builderbrain.plan goal` as a person uses it: what is printed where, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builderbrain.agent import PlanProposal, PlanRequest, goal_cli
from builderbrain.agent.plan_cli import main
from builderbrain.rail.checkpoint import save_rail
from tests.rail.conftest import family_host, make_rail

LOOK, STOP, RESUME = 's1=look(zone="tray")', "s1=stop()", "s1=resume()"
CHAT = 's1=answer(text="Well.")'


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the model say a plan for every goal."""

    def say(text: str) -> None:
        def load(domain: str, *, rail: Path | None, base: str) -> Callable[[PlanRequest], PlanProposal]:
            return lambda request: PlanProposal(text=text, weight_version="v1")

        monkeypatch.setattr(goal_cli, "load_planner", load)

    return say


def test_a_goal_is_planned_run_and_answered(said: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(LOOK)
    assert main(["goal", "what lies in the tray?", "--domain", "robot_cell", "--root", str(tmp_path)]) == 0
    assert "look" in capsys.readouterr().out
    said(CHAT)
    assert main(["goal", "say well", "--domain", "chat_social", "--root", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["trace"][0]["output"]["said"], told["weight_version"]) == ("Well.", "v1")


def test_effects_need_a_grant_a_ledger_and_perhaps_a_yes(said: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = ["goal", "do it", "--domain", "robot_cell", "--root", str(tmp_path)]
    granted = [*goal, "--grant", "mutating"]
    kept = [*granted, "--state-dir", str(tmp_path / "state")]
    said(STOP)
    assert main(goal) == 1
    assert "stop is mutating, granted: read_only" in capsys.readouterr().out
    assert main(granted) == 2
    assert "ledger" in capsys.readouterr().err
    assert main([*kept, "--dry-run"]) == 0
    assert "Nothing was run" in capsys.readouterr().out
    assert main(kept) == 0
    said(RESUME)
    assert main(kept) == 1
    assert "add --yes" in capsys.readouterr().err
    assert main([*kept, "--yes"]) == 0


def test_bad_input_is_refused_before_a_base_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = family_host("llama")
    rail = make_rail(host)
    rail.config = replace(rail.config, actions=("greet", "verify"))
    save_rail(rail, tmp_path / "phone")
    for arguments, words in (
        ([" "], "nothing but blanks"),
        (["x", "--domain", "robot_sell"], "robot_cell"),
        (["x", "--domain", "robot_cell", "--rail", str(tmp_path / "none")], "missing"),
        (["x", "--domain", "robot_cell", "--rail", str(tmp_path / "phone")], "robot_cell has no skill greet"),
        (["x", "--domain", "robot_cell", "--model", str(tmp_path)], "name its folder with --rail"),
        (["x", "--root", str(tmp_path / "none")], "--root"),
    ):
        assert main(["goal", *arguments]) == 2, words
        assert words in capsys.readouterr().err
