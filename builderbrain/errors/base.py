"""What all refusals have in common, and those of configuration and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

ErrorClass = Literal["grammar", "plan", "resource", "safety", "integration"]
"""What an error is about: the shape of an output, what is to be done, what the system stands on, what may be done, or what the
system talks to (tools, servers, clients)."""
Severity = Literal["critical", "high", "medium", "low"]
"""`critical`: nothing of what is served may be trusted; `high`: somebody has to look; `medium`: what was asked for was not
done; `low`: the answer is the error, and whoever asked can go on."""
Recovery = Literal["correct", "retry", "repair", "fallback", "ask", "operate", "roll_back"]
"""What is done about it, see `RECOVERIES`."""

RECOVERIES: dict[Recovery, str] = {
    "correct": "whoever asked changes what the message names, and asks again",
    "retry": "the same works later; the project tries again by itself where a call may be repeated",
    "repair": "repair mends the plan, or another one is made",
    "fallback": "the fallback of the skill, or a slower way, takes its place",
    "ask": "a person looks and answers",
    "operate": "an operator mends what the message names",
    "roll_back": "the server goes back to the version before, once, and tells the operator (an incident)",
}


@dataclass(frozen=True, order=True)
class Classification:
    """How an error is classed."""

    error_class: ErrorClass
    severity: Severity
    recovery: Recovery

    def to_json(self) -> dict[str, str]:
        """Fields of a reply or an event."""
        return {"error_class": self.error_class, "severity": self.severity, "recovery": self.recovery}


SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The worst first."""


class BuilderBrainError(Exception):
    """Base of all refusals.

    Args:
        message: what was expected, what came, and what to do.
        field: the input at fault, or None when no single input is.
    """

    code = "error"
    """Stable machine-readable name, the `code` of an OpenAI-shaped error."""
    classification: ClassVar[Classification] = Classification("resource", "medium", "correct")
    """Class, severity and recovery; of a subclass its own where they differ."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class ConfigError(BuilderBrainError):
    """A configuration key is unknown or its value has the wrong type or range."""

    code = "invalid_config"


class CheckpointError(BuilderBrainError):
    """A checkpoint is missing, truncated, or does not match its manifest."""

    code = "invalid_checkpoint"
    classification = Classification("resource", "high", "operate")
