"""The commands of docs/skills.md that change the skills of a rail run as they are printed, one after another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from builderbrain.rail.checkpoint import load_rail, rail_version
from builderbrain.train.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^python -m builderbrain\.train (skills (?:.*\\\n)*.*)$", re.MULTILINE)


def test_the_commands_of_the_guide_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (ROOT / "docs/skills.md").read_text(encoding="utf-8")
    commands = [shlex.split(text.replace("\\\n", "")) for text in COMMAND.findall(guide)]
    assert [command[1] for command in commands] == ["show", "retire", "merge", "pack", "undo"]
    (tmp_path / "builderbrain").symlink_to(ROOT / "builderbrain")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert main(command) == 0, command
    merged, packed, unpacked = (load_rail(tmp_path / "runs" / name / "rail") for name in ("merged", "packed", "unpacked"))
    assert packed.config.num_skills == 30
    assert rail_version(unpacked) == rail_version(merged)
