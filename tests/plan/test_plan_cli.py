"""`python -m builderbrain.plan` as a person uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builderbrain.plan.cli import main

TEXT = 's1=search(pattern="x")\ns2=read(path=s1.first_path)\n'


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.txt"
    path.write_text(TEXT)
    return path


def test_check_accepts(plan_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(plan_file)]) == 0
    assert capsys.readouterr().out == "accepted\n"


def test_check_names_every_fault_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"domain": "repo_assistant", "version": 1, "steps": [{"id": "s1", "skill": "lst", "args": {}}, 3]}')
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr().out
    assert "2 faults" in said
    assert "did you mean list" in said
    assert main(["check", "--json", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["accepted"] is False


@pytest.mark.parametrize(("form", "mark"), [("text", "s2=read(path="), ("mermaid", "flowchart"), ("graphviz", "digraph")])
def test_show_prints_other_forms(plan_file: Path, capsys: pytest.CaptureFixture[str], form: str, mark: str) -> None:
    assert main(["show", str(plan_file), "--as", form]) == 0
    assert mark in capsys.readouterr().out


def test_show_json_can_be_shown_as_text_again(plan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(plan_file), "--as", "json"]) == 0
    (tmp_path / "plan.json").write_text(capsys.readouterr().out)
    assert main(["show", str(tmp_path / "plan.json")]) == 0
    assert capsys.readouterr().out == TEXT


def test_unusable_input_is_an_error_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad").write_text("hello")
    for name in ("missing", "bad"):
        assert main(["check", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_generate_check_runs_as_a_module_and_standard_input_is_read() -> None:
    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "builderbrain.plan", *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)

    assert run("generate", "--check").returncode == 0
    assert run("check", "-", given=TEXT).stdout == "accepted\n"
