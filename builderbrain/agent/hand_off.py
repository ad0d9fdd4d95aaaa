"""A goal that no plan was accepted for is handed to a person."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread

from builderbrain.agent.clock import Clock, SystemClock
from builderbrain.plan import Plan, Verdict, plan_to_json


@dataclass(frozen=True, kw_only=True)
class HandOff:
    """What a person has to know: the goal, the last plan that could be read, what is wrong with it, and what was tried."""

    goal: str
    domain: str
    plan: Plan | None
    verdict: Verdict
    tried: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """One line of a file."""
        return {
            "goal": self.goal,
            "domain": self.domain,
            "plan": None if self.plan is None else plan_to_json(self.plan),
            "verdict": self.verdict.to_json(),
            "tried": list(self.tried),
        }


HandOver = Callable[[HandOff], Awaitable[None]]
"""Hands a goal to a person. Raises OSError when it cannot."""


def handed_to_file(path: Path, clock: Clock | None = None) -> HandOver:
    """Appends each goal as a line of JSON to a file that its owner alone may read, on disk before the answer is given."""
    watch = clock if clock is not None else SystemClock()

    def append(line: str) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line.encode("utf-8", errors="backslashreplace"))
            os.fsync(handle)
        finally:
            os.close(handle)

    async def hand_over(goal: HandOff) -> None:
        stamp = datetime.fromtimestamp(watch.now(), UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": stamp, **goal.to_json()}, ensure_ascii=False)
        await anyio.to_thread.run_sync(append, f"{line}\n")

    return hand_over
