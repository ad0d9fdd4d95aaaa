"""The command for promotions in a row: what it does in which order, and that it goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import three_promotions
from builderbrain.gate.registry import Registry
from builderbrain.storage import write_directory_atomic
from tests.gate.conftest import report_of

REFUSED: set[str] = set()
"""Candidates whose evaluation rejects."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training, mixing and evaluation replaced by ones that only write what theirs leave behind; what was called."""
    called: list[str] = []

    def write(folder: Path) -> Path:
        files = {"rail.safetensors": folder.name.encode(), "config.json": b"{}"}
        write_directory_atomic(folder, files, information={})
        return folder

    def train(keys: Sequence[str]) -> int:
        values = dict(key.split("=", 1) for key in keys)
        folder = Path(values["output"])
        if not folder.exists():
            called.append(folder.name)
            folder.mkdir(parents=True)
            write(folder / "rail")
            (folder / "log.jsonl").write_text(json.dumps({"held_out_plan": 0.25, "held_out_exact": 0.5}) + "\n")
        return 0

    def between(live: Path, end: Path, keep: float, folder: Path) -> Path:
        called.append(f"{folder.name} keeps {keep:g}")
        return write(folder)

    def gate(arguments: Sequence[str]) -> int:
        registry, version = Registry(Path(arguments[1])), arguments[3]
        name = (registry.root / version / "rail.safetensors").read_text()
        live = registry.live()
        report = report_of(
            version,
            live.version if live else None,
            registry.begin_attempt(version),
            delta=0.5 if name in REFUSED else 0.0,
            count=300,
        )
        registry.record_report(report)
        return 0

    monkeypatch.setattr(three_promotions, "train", train)
    monkeypatch.setattr(three_promotions, "between", between)
    monkeypatch.setattr(three_promotions, "gate", gate)
    REFUSED.clear()
    return called


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    first = tmp_path / "first-rail"
    write_directory_atomic(first, {"rail.safetensors": b"first" * 9, "config.json": b"{}"}, information={})
    return ["--folder", str(tmp_path / "runs"), "--start", str(first), "--out", str(tmp_path / "out")]


def test_three_promotions_and_their_reports(
    calls: list[str], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert three_promotions.main(command) == 0
    steps = [(f"run-{n}", f"candidate-{n}-1 keeps 0.5", f"held-out-{n}-1", f"mixed-{n}") for n in (1, 2, 3)]
    assert calls == ["held-out-first", "mixed-first", *(step for stage in steps for step in stage)]
    registry = Registry(tmp_path / "runs" / "versions")
    assert sum(entry.event == "promoted" for entry in registry.audit_entries()) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "diff-1.html", "diff-2.html", "diff-3.html", "report-1.json", "report-2.json", "report-3.json",
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "first: held-out 0.2500, 50.0% exact; with requests 0.2500, 50.0%" in out
    assert (
        "after 0 refused, held-out 0.2500, 50.0% exact; with requests 0.2500, 50.0%, mean delta V_s +0.0000 over prompts" in out
    )
    calls.clear()
    assert three_promotions.main(command) == 0
    assert calls == []


def test_of_a_refused_candidates_change_half_is_kept_and_the_gate_asked_again(
    calls: list[str], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    REFUSED.add("candidate-1-1")
    assert three_promotions.main([*command, "--count", "1"]) == 0
    assert calls[2:5] == ["run-1", "candidate-1-1 keeps 0.5", "held-out-1-1"]
    assert calls[5:] == ["candidate-1-2 keeps 0.25", "held-out-1-2", "mixed-1"]
    assert "after 1 refused" in capsys.readouterr().out


def test_where_all_are_refused_live_stays(
    calls: list[str], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert three_promotions.main([*command, "--count", "1"]) == 0
    live = Registry(tmp_path / "runs" / "versions").live_path().name
    REFUSED.update({"candidate-2-1", "candidate-2-2"})
    assert three_promotions.main([*command, "--count", "3", "--tries", "2"]) == 1
    assert Registry(tmp_path / "runs" / "versions").live_path().name == live
    assert "promotion 2 was refused" in capsys.readouterr().out
