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
"""Runs whose rail's evaluation rejects."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training and evaluation replaced by ones that only write what theirs leave behind; what was called."""
    called: list[str] = []

    def train(keys: Sequence[str]) -> int:
        values = dict(key.split("=", 1) for key in keys)
        folder = Path(values["output"])
        called.append(f"train {folder.name}")
        if not (folder / "rail").exists():
            folder.mkdir(parents=True, exist_ok=True)
            number = int(values["seed"])
            files = {"rail.safetensors": bytes([number]) * 99, "config.json": b"{}"}
            write_directory_atomic(folder / "rail", files, information={"step": number})
            (folder / "log.jsonl").write_text(json.dumps({"held_out_plan": 1.0 / (1 + number), "held_out_exact": 0.5}) + "\n")
        return 0

    def gate(arguments: Sequence[str]) -> int:
        registry, version = Registry(Path(arguments[1])), arguments[3]
        called.append("evaluate")
        live = registry.live()
        seed = (registry.root / version / "rail.safetensors").read_bytes()[0]
        rise = 0.5 if f"run-{seed // 10}-{seed % 10}" in REFUSED else 0.0
        registry.record_report(
            report_of(version, live.version if live else None, registry.begin_attempt(version), delta=rise, count=300)
        )
        return 0

    monkeypatch.setattr(three_promotions, "train", train)
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
    assert calls == ["train first", *(step for n in (1, 2, 3) for step in (f"train run-{n}-1", "evaluate"))]
    registry = Registry(tmp_path / "runs" / "versions")
    assert sum(entry.event == "promoted" for entry in registry.audit_entries()) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "diff-1.html", "diff-2.html", "diff-3.html", "report-1.json", "report-2.json", "report-3.json",
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "first: held-out 1.0000, 50.0% exact" in out
    assert "after 0 refused, held-out 0.0312, 50.0% exact, mean delta V_s +0.0000" in out
    calls.clear()
    assert three_promotions.main(command) == 0
    assert calls == ["train first"]


def test_a_refused_candidate_is_trained_on_and_asked_again(
    calls: list[str], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    REFUSED.add("run-1-1")
    assert three_promotions.main([*command, "--count", "1"]) == 0
    assert calls == ["train first", "train run-1-1", "evaluate", "train run-1-2", "evaluate"]
    assert "after 1 refused" in capsys.readouterr().out


def test_where_all_are_refused_live_stays(
    calls: list[str], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert three_promotions.main([*command, "--count", "1"]) == 0
    live = Registry(tmp_path / "runs" / "versions").live_path().name
    REFUSED.update({"run-2-1", "run-2-2"})
    assert three_promotions.main([*command, "--count", "3", "--tries", "2"]) == 1
    assert Registry(tmp_path / "runs" / "versions").live_path().name == live
    assert "promotion 2 was refused" in capsys.readouterr().out
