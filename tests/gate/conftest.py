"""Small rail folders and reports for the registry's tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.gate.registry import Registry
from builderbrain.gate.verdict import Limits, Reading, decide
from builderbrain.storage import write_directory_atomic


def report_of(candidate: str, live: str | None, attempt: int, *, delta: float = 0.0, count: int = 150) -> dict[str, Any]:
    """A report whose verdict is what its readings give: promoted for delta 0, rejected for a rise."""
    limits = Limits()
    readings = [Reading(prompt=f"p{i}", family=f"f{i}", domain="repo_assistant", delta=delta, kl=0.0) for i in range(count)]
    verdict = decide(readings, [], limits=limits, attempt=attempt)
    return {
        "candidate": candidate,
        "live": live,
        "attempt": attempt,
        "limits": dataclasses.asdict(limits),
        "readings": [{**dataclasses.asdict(reading), "policy_failures": []} for reading in readings],
        "differences": [],
        "verdict": verdict.to_json(),
    }


@pytest.fixture
def make_rail(tmp_path: Path) -> Callable[[str], Path]:
    """A folder that looks like a trained rail, different for each name."""

    def make(name: str) -> Path:
        folder = tmp_path / "rails" / name
        folder.parent.mkdir(exist_ok=True)
        files = {"rail.safetensors": name.encode() * 100, "config.json": b"{}"}
        write_directory_atomic(folder, files, information={"seed": 7})
        return folder

    return make


@pytest.fixture
def evaluated() -> Callable[..., None]:
    """Record an evaluation of a version against what is live."""

    def record(registry: Registry, version: str, *, delta: float = 0.0) -> None:
        live = registry.live()
        attempt = registry.begin_attempt(version)
        registry.record_report(report_of(version, live.version if live else None, attempt, delta=delta))

    return record
