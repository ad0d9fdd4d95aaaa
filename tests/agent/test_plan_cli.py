"""`python -m builderbrain.plan {repair,dry-run,run,resume}` as a person uses it: what is printed where, and exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from builderbrain.agent.plan_cli import main
from builderbrain.cli import main as bb
from builderbrain.errors import ToolError
from tests.agent.workshop import Effects, workshop

GATE = 's1=search(pattern="gate")\ns2=read(path=s1.first_path)\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.md").write_text("the gate\n")
    return tmp_path


def written(folder: Path, text: str | dict[str, Any]) -> str:
    path = folder / "plan"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(path)


@pytest.fixture
def effects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """The workshop's tools in place of the registry's."""
    workshop()
    made = Effects(folder / "effects")
    monkeypatch.setattr("builderbrain.agent.tool_call.tools_of", lambda name, version, settings=None: made.tools)
    return made


def shop(folder: Path, *steps: Any) -> str:
    plan = {
        "domain": "workshop",
        "version": 1,
        "steps": [{"id": f"s{at}", "args": {}, **step} for at, step in enumerate(steps, 1)],
    }
    return written(folder, plan)


def test_a_repaired_plan_is_printed_and_its_changes_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(folder, "s1=list()\ns2=read(path=s1.first_path) after s9\n")
    assert main(["repair", path]) == 0
    said = capsys.readouterr()
    assert said.out == "s1=list()\ns2=read(path=s1.first_path)\n"
    assert "changed: s2 does not wait for s9" in said.err
    assert "since dangling_need" in said.err
    assert main(["repair", "--json", path]) == 0
    assert json.loads(capsys.readouterr().out)["tried"][0]["kept"] is True
    assert main(["repair", written(folder, 's1=read(path="../x")')]) == 1
    assert "no further change helps" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_asked(folder: Path, effects: Effects, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dry-run", shop(folder, {"skill": "paint"}), "--grant", "mutating"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Nothing was run. The plan:")
    assert "s1: confirm, since the schema of workshop asks" in said
    assert effects.lines() == []


def test_a_plan_is_run_and_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bb(["plan", "run", written(folder, GATE), "--root", str(folder / "root")]) == 0
    assert "a.md:1: the gate" in capsys.readouterr().out


def test_json_has_the_journal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", written(folder, GATE), "--root", str(folder / "root"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "finished"
    assert [event["event"] for event in told["journal"]] == ["started", "attempt", "attempt", "ended"]


@pytest.mark.parametrize(
    ("plan", "options", "code", "said"),
    [
        ('s1=read(path="../x")', [], 1, "[path_escape]"),
        ("hello", [], 2, "line 1"),
        (GATE, ["--root", "nowhere"], 2, "--root"),
        (GATE, ["--domain", "nowhere"], 2, "expected a domain"),
        ('s1=read(path="no.md")', [], 3, "Could not read no.md"),
        ('s1=do(act="walk")', ["--domain", "scan"], 2, "has no tool"),
    ],
)
def test_exit_codes_and_what_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], plan: str, options: list[str], code: int, said: str
) -> None:
    root = [] if "--root" in options else ["--root", str(folder / "root")]
    assert main(["run", written(folder, plan), *root, *options]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_effects_need_a_ledger_and_a_yes(
    folder: Path, effects: Effects, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = shop(folder, {"skill": "paint"})
    state = str(folder / "state")
    options = ["--grant", "mutating", "--root", str(folder / "root")]
    assert main(["run", plan, *options]) == 2
    assert "ledger" in capsys.readouterr().err
    assert main(["run", plan, *options, "--state-dir", state]) == 1
    assert "needs a person's yes" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    assert main(["run", plan, *options, "--state-dir", str(folder / "state2")]) == 1
    assert effects.lines() == []
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert main(["run", plan, *options, "--state-dir", str(folder / "state3")]) == 0
    assert main(["run", plan, *options, "--state-dir", str(folder / "state4"), "--yes"]) == 0
    assert effects.counts() == {"paint": 2}


def test_what_is_unsettled_is_resumed(folder: Path, effects: Effects, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(folder / "state")
    effects.fail["release"] = ToolError("stuck")
    effects.fail["pay"] = ToolError("no money")
    plan = shop(
        folder, {"skill": "reserve", "args": {"item": "bench"}}, {"skill": "pay", "args": {"amount": 1}, "needs": ["s1"]}
    )
    run = ["run", plan, "--grant", "mutating", "--root", str(folder / "root"), "--state-dir", state, "--json"]
    assert main(run) == 4
    name = json.loads(capsys.readouterr().out)["execution"]
    del effects.fail["release"]
    assert main(["resume", name, "--state-dir", state]) == 3
    assert "no money" in capsys.readouterr().err
    assert main(["resume", "nothing", "--state-dir", state]) == 2
    assert "no execution 'nothing'" in capsys.readouterr().err
