"""`python -m builderbrain.mcp` as a person uses it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from builderbrain.cli import main as bb
from builderbrain.mcp.approval import approval_path
from builderbrain.mcp.command import main
from tests.mcp.conftest import Desk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")


def test_list_and_approve_say_what_is_there_and_what_changed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.configure("hostile", "changes", tools={"look": {"safety": "read_only"}})
    root = ["--root", str(desk.root.folder)]
    assert main(["list", str(desk.config), *root]) == 1
    said = capsys.readouterr().out
    assert "hostile: not approved" in said
    assert "hostile_look(text?: text) -> text: text  [read_only]" in said
    assert "'act': cannot be used: the configuration does not name it" in said
    assert main(["approve", str(desk.config), *root]) == 0
    assert "approved; wrote" in capsys.readouterr().err
    assert bb(["mcp", "list", str(desk.config), *root]) == 0
    assert "hostile: approved" in capsys.readouterr().out
    (desk.root.folder / "changed").write_text("[]")
    assert main(["list", "--json", str(desk.config), *root]) == 1
    (listing,) = json.loads(capsys.readouterr().out)
    assert listing["status"] == "changed"


def test_what_a_server_says_is_spelled_in_ascii(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.configure("hostile", "hostile_names")
    assert main(["list", str(desk.config)]) == 1
    said = capsys.readouterr().out
    assert said.isascii()
    assert "\x1b" not in said
    assert "'../look': cannot be used" in said
    assert "'\\u0430dd': cannot be used" in said
    assert said.count("hostile_") == said.count("hostile_ok(") + said.count("called hostile_look")
    assert max(map(len, said.splitlines())) < 700


def test_a_server_that_does_not_answer_is_not_approved(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.configure("hostile", "no_start")
    assert main(["approve", str(desk.config)]) == 1
    said = capsys.readouterr()
    assert "hostile: does not answer (the server hostile ended with status 1" in said.out
    assert "nothing was approved" in said.err
    assert not approval_path(desk.config).exists()


def test_unusable_input_is_an_error_without_a_traceback(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: expected a readable YAML file")
    desk.configure("hostile", "fine")
    assert main(["list", str(desk.config), "--server", "hostle"]) == 2
    assert "did you mean hostile" in capsys.readouterr().err
