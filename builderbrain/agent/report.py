"""What became of an execution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from builderbrain.agent.compensation import Undo
from builderbrain.agent.journal import Event
from builderbrain.agent.trace import TraceEntry


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """A skill that was run because a step failed for good, and what it gave."""

    step: str
    skill: str
    status: Literal["done", "failed", "unknown"]
    error: str | None
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExecutionReport:
    """An execution that is over, or as far as it came.

    Args:
        execution: its name in the ledger, made by the runtime.
        status: `finished` every step came to its end; `stopped` a critical step failed and what could be taken back was;
            `unsettled` something needs a person or another resume: an unknown effect, an undo that failed.
        reason: why it stopped, None when it did not.
        entries: one a step, in the order of the plan.
        undos: what became of the steps with effects of a stopped plan, the last first.
        fallbacks: what was run instead of failed steps.
        events: the journal.
    """

    execution: str
    status: Literal["finished", "stopped", "unsettled"]
    reason: str | None
    entries: tuple[TraceEntry, ...]
    undos: tuple[Undo, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    events: tuple[Event, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a reply or a file; without the journal, which has its own lines."""
        return {
            "execution": self.execution,
            "status": self.status,
            "reason": self.reason,
            "steps": [entry.to_json() for entry in self.entries],
            "undos": [
                {"step": undo.step, "skill": undo.skill, "status": undo.status, "said": undo.said} for undo in self.undos
            ],
            "fallbacks": [
                {"step": one.step, "skill": one.skill, "status": one.status, "error": one.error, "output": dict(one.results)}
                for one in self.fallbacks
            ],
        }
