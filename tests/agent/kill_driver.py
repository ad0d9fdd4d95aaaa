"""Runs executions in processes of their own that kill themselves (SIGKILL) at the n-th point, then resumes what is left.

    python -m tests.agent.kill_driver FOLDER SCENARIO

A point is the moment before or after a write to the ledger or an effect of a tool. One JSON line for each n, until a run
passes no n-th point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from builderbrain.agent.executor import Runtime, WorkingRoot, resume, run_plan
from builderbrain.agent.ledger import Ledger
from builderbrain.errors import ToolError
from builderbrain.plan import CheckedPlan
from tests.agent.workshop import Effects, plan_of

STEPS: tuple[Any, ...] = (
    "look",
    {"skill": "reserve", "args": {"item": "bench"}, "needs": ["s1"]},
    {"skill": "pay", "args": {"amount": 7}, "needs": ["s2"]},
    {"skill": "write", "needs": ["s3"]},
    {"skill": "send", "needs": ["s4"]},
)


def scenario(name: str) -> tuple[CheckedPlan, dict[str, Exception]]:
    """A plan and the tools that fail in it."""
    if name == "finishes":
        return plan_of(*STEPS), {}
    return plan_of(*STEPS, {"skill": "inspect", "needs": ["s5"], "if": "s4.ok or s5.ok"}), {
        "inspect": ToolError("it is broken")
    }


class Killer:
    """Kills its own process at the n-th point; 0 never."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed: list[str] = []

    def __call__(self, where: str) -> None:
        self.passed.append(where)
        if len(self.passed) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class KilledLedger(Ledger):
    """A ledger with a point before and after every write."""

    point: Callable[[str], None] = staticmethod(lambda _: None)


def _with_points(name: str) -> Callable[..., Any]:
    original = getattr(Ledger, name)

    def write(self: KilledLedger, *arguments: Any, **named: Any) -> Any:
        self.point(f"before {name}")
        result = original(self, *arguments, **named)
        self.point(f"after {name}")
        return result

    return write


for _name in ("begin", "claim", "record", "move"):
    setattr(KilledLedger, _name, _with_points(_name))


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the child must not run the parent's code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
    return os.waitpid(child, 0)[1]


def start(folder: Path, name: str, at: int) -> None:
    """Run the scenario, killed at a point."""
    plan, fail = scenario(name)
    killer = Killer(at)
    ledger = KilledLedger(folder / "ledger.db")
    ledger.point = killer  # type: ignore[method-assign]
    effects = Effects(folder / "effects", fail=fail, point=killer)
    runtime = Runtime(ledger=ledger, journal_folder=folder)

    async def main() -> None:
        await run_plan(plan, WorkingRoot(folder), tools=effects.tools, runtime=runtime)

    anyio.run(main)
    (folder / "passed").write_text(json.dumps(killer.passed))


def go_on(folder: Path, name: str, at: int) -> None:
    """Resume what the ledger holds, killed at a point; write the report when it comes to an end."""
    _, fail = scenario(name)
    killer = Killer(at)
    ledger = KilledLedger(folder / "ledger.db")
    ledger.point = killer  # type: ignore[method-assign]
    effects = Effects(folder / "effects", fail=fail, point=killer)
    runtime = Runtime(ledger=ledger, journal_folder=folder)

    async def main() -> None:
        for execution in ledger.unfinished():
            report = await resume(execution, runtime=runtime, tools=effects.tools)
            (folder / "report").write_text(json.dumps(report.to_json()))

    anyio.run(main)


def state(folder: Path, at: int, *, killed: bool) -> dict[str, Any]:
    """What a run and its resumes left."""
    effects = Effects(folder / "effects")
    ledger = Ledger(folder / "ledger.db")
    rows = ledger._connection.execute("SELECT id, status FROM executions").fetchall()
    entries = [
        {"step": entry.step, "role": entry.role, "skill": entry.skill, "status": entry.status}
        for identifier, _ in rows
        for entry in ledger.entries(identifier)
    ]
    ledger.close()
    report = folder / "report"
    return {
        "at": at,
        "killed": killed,
        "order": [skill for skill, _ in effects.lines()],
        "executions": [status for _, status in rows],
        "entries": entries,
        "report": json.loads(report.read_text()) if report.exists() else None,
    }


def main() -> None:
    """Every point of a scenario; after the first kill a second one, at another place each time, then to the end."""
    base, name = Path(sys.argv[1]), sys.argv[2]
    anyio.run(anyio.sleep, 0)  # loads the event loop once, for all children
    scenario(name)
    at = 0
    while True:
        at += 1
        folder = base / f"{name}-{at}"
        folder.mkdir()
        killed = os.WIFSIGNALED(in_child(lambda: start(folder, name, at)))  # noqa: B023 - runs before the next round
        if killed:
            in_child(lambda: go_on(folder, name, at * 5 % 9 + 1))  # noqa: B023
            failed = in_child(lambda: go_on(folder, name, 0))  # noqa: B023
            if failed:
                sys.exit(f"point {at}: the resume failed")
        print(json.dumps(state(folder, at, killed=killed)))
        if not killed:
            return


if __name__ == "__main__":
    main()
