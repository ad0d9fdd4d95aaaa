"""The playbooks of docs/domains: their plans, the goals in words that ask for them, their rows, and what a row is judged by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import pytest

from builderbrain.agent import DomainRuntime, ExecutionReport
from tests.domains.faults import inject
from tests.domains.stages import Stage
from tests.plan.conftest import ROOT

DOMAINS = ("repo_assistant", "robot_cell", "phone_flow", "api_json", "ui_macro", "chat_social")


@dataclass(frozen=True)
class Row:
    """One row of a playbook. `step` is where the fault happens; `-` in a cell is nothing."""

    domain: str
    plan: str
    fault: str
    step: str
    becomes: str
    fallbacks: str
    execution: str
    afterwards: str

    @property
    def name(self) -> str:
        return f"{self.domain}-{self.plan}-{self.fault}-{self.step}"


@dataclass(frozen=True)
class Playbook:
    """Plans by name, the goals that ask for them in words, and the rows of the table."""

    plans: Mapping[str, str]
    goals: Mapping[str, str]
    rows: tuple[Row, ...]


@cache
def playbook(domain: str) -> Playbook:
    """The playbook of a domain."""
    text = (ROOT / "docs" / "domains" / f"{domain}.playbook.md").read_text(encoding="utf-8")
    found = re.findall(r"^Plan `(\w+)`(?:, asked for as\n> ([^\n]*)\n\n|:\n\n)```\n(.*?)\n```", text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (\S+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return Playbook(
        plans={name: plan for name, _, plan in found},
        goals={name: goal for name, goal, _ in found if goal},
        rows=tuple(Row(domain, *(cell.strip().replace("`", "") for cell in row)) for row in rows),
    )


def check_row(
    row: Row, stage: Stage, run: Callable[[DomainRuntime], ExecutionReport], patch: pytest.MonkeyPatch
) -> ExecutionReport:
    """Run with the fault of a row; it ends as the row says, nothing forbidden happens, and the journal tells it."""
    home = stage.home
    if row.step != "-":
        home = inject(row.fault, home.parse(playbook(row.domain).plans[row.plan]), row.step, stage, patch)
    report = run(home)
    assert stage.forbidden(report) == []
    assert outcome(row, stage, report) == row
    the_trace_tells(row, report)
    return report


def outcome(row: Row, stage: Stage, report: ExecutionReport) -> Row:
    """The row as it should be, by what happened."""
    step = _step(row, report)
    becomes = {entry.id: entry.status for entry in report.entries}[step]
    return replace(
        row,
        becomes=f"{step} {becomes}" if row.step != step else becomes,
        fallbacks=", ".join(f"{one.skill} {one.status}" for one in report.fallbacks) or "-",
        execution=report.status,
        afterwards=stage.afterwards(report),
    )


def the_trace_tells(row: Row, report: ExecutionReport) -> None:
    """The journal has, in order: the failure, each fallback, the stop, each undo, the end."""
    step = _step(row, report)
    kinds = [(event.kind, event.step) for event in report.events]
    assert kinds[-1] == ("ended", None)
    entry = next(entry for entry in report.entries if entry.id == step)
    if entry.status in ("failed", "unknown"):
        first = kinds.index(("precondition_lost" if entry.error_code == "precondition_lost" else "attempt", step))
        told = [event for event in report.events if event.kind == "fallback"]
        assert [event.details["skill"] for event in told] == [one.skill for one in report.fallbacks]
        assert all(event.step == step and report.events.index(event) > first for event in told)
        assert entry.error is not None
        said = [event.said for event in report.events if event.step == step]
        if entry.status == "failed":
            assert any(entry.error in one for one in said)
        else:  # what went wrong, and that the tool could not say what came of it
            assert any(entry.error.startswith(one.partition(": ")[2]) for one in said if ": " in one)
            assert kinds.index(("settled", step)) > first
    if report.status == "stopped" or report.reason is not None:
        assert report.reason is not None
        assert kinds.index(("stopped", None)) < kinds.index(("ended", None))
        assert [event.step for event in report.events if event.kind == "undo"] == [undo.step for undo in report.undos]
    assert all(entry.error for entry in report.entries if entry.status in ("failed", "blocked", "unknown", "undone"))


def _step(row: Row, report: ExecutionReport) -> str:
    hit = next((entry for entry in report.entries if entry.status in ("failed", "unknown")), None)
    return hit.id if hit is not None else row.step if row.step != "-" else report.entries[-1].id
