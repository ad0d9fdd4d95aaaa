"""What happened to each step of a plan; append-only, in the order of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builderbrain.errors import classify

Status = Literal["done", "failed", "skipped", "blocked", "cancelled", "unknown", "undone"]
"""`done` ran; `failed` ran and failed; `skipped` its own `if` was false; `blocked` what it needs failed or gave nothing;
`cancelled` was stopped because a critical step failed; `unknown` was called, and whether it had its effect is not known;
`undone` ran and was taken back."""


_CLASSED = ("error_class", "severity", "recovery")


@dataclass(frozen=True, kw_only=True)
class TraceEntry:
    """One step.

    Args:
        args: arguments as the tool got them, references resolved, defaults filled in; as planned where the step did not run.
        output: results by name, None when there are none.
        seconds: wall time of the tool, 0.0 when it did not run.
        error: why it failed, was skipped or blocked; None when done.
        error_code: code of the error class for a failed step, else None.
        attempts: how often the tool was called; 0 when it did not run, or ran before a restart.
        age_seconds: how old the results were where they come from an earlier or equal call; None where the tool was called.
    """

    id: str
    skill: str
    args: Mapping[str, Any]
    status: Status
    output: Mapping[str, Any] | None
    seconds: float
    error: str | None = None
    error_code: str | None = None
    attempts: int = 0
    age_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the step ran without a failure."""
        return self.status == "done"

    def to_json(self) -> dict[str, Any]:
        """The shape of the HTTP reply."""
        return {
            "id": self.id,
            "skill": self.skill,
            "args": dict(self.args),
            "ok": self.ok,
            "output": dict(self.output) if self.output is not None else None,
            "seconds": round(self.seconds, 6),
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            **({key: None for key in _CLASSED} if self.error_code is None else classify(self.error_code).to_json()),
            "age_seconds": None if self.age_seconds is None else round(self.age_seconds, 6),
        }
