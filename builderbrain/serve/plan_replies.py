"""What the replies about plans hold, for the OpenAPI document; see `reply_models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from builderbrain.serve.reply_models import FaultReply, TraceEntryReply, VerdictReply


class TriedReply(BaseModel):
    """One change that repair tried; `faults` is null where the checker was not asked, `refused` where it stayed."""

    round: int
    stage: Literal["arguments", "edges", "equivalent", "branch"]
    step: str | None
    said: str
    why: str
    kept: bool
    faults: int | None
    refused: str | None


class RepairReply(BaseModel):
    """A repaired plan, or as far as it came. `before` is what was wrong with the plan that was sent."""

    accepted: bool
    plan: dict[str, Any] | None
    verdict: VerdictReply
    before: list[FaultReply]
    tried: list[TriedReply]
    ended: str


class StepDecisionReply(BaseModel):
    """What may become of a step."""

    id: str
    skill: str
    decision: Literal["allow", "confirm", "block"]
    reason: str


class DryRunReply(BaseModel):
    """What running a plan would do; `decisions` is empty for a refused plan, `plan` null where it could not be read."""

    verdict: VerdictReply
    plan: dict[str, Any] | None
    decisions: list[StepDecisionReply]
    said: str


class StepReply(TraceEntryReply):
    """One step of an execution; `attempts` is how often its tool was called."""

    attempts: int


class UndoReply(BaseModel):
    """What became of a step that was to be taken back."""

    step: str
    skill: str | None
    status: str
    said: str


class StepFallbackReply(BaseModel):
    """What was run because a step failed for good."""

    step: str
    skill: str
    status: str
    error: str | None


class ExecutionReply(BaseModel):
    """An execution that is over, or as far as it came. `journal` is what happened, event by event."""

    execution: str
    status: Literal["finished", "stopped", "unsettled"]
    reason: str | None
    steps: list[StepReply]
    undos: list[UndoReply]
    fallbacks: list[StepFallbackReply]
    journal: list[dict[str, Any]]


class AskedStepReply(BaseModel):
    """A step that needs a person's yes, with its arguments as planned."""

    id: str
    skill: str
    reason: str
    args: dict[str, Any]


class ConfirmationReply(BaseModel):
    """Nothing was run: the plan waits for a yes to these steps, which `POST /v1/plans/confirm` gives with the token."""

    status: Literal["confirmation_required"]
    token: str
    expires_in_seconds: float
    steps: list[AskedStepReply]
    plan: dict[str, Any]


class DroppedReply(BaseModel):
    """The answer was no: the plan was dropped, and nothing was run."""

    status: Literal["dropped"]


class KnownExecutionReply(BaseModel):
    """An execution of the ledger. `running`: it runs right now; else an unfinished one can be resumed."""

    execution: str
    status: str
    reason: str | None
    domain: str
    running: bool


class ExecutionsReply(BaseModel):
    """Executions that are not over, oldest first."""

    executions: list[KnownExecutionReply]


class EntryReply(BaseModel):
    """One step with effects, undo or fallback of an execution, as the ledger holds it."""

    step: str
    role: str
    skill: str
    status: str
    error: str | None


class KnownExecutionDetailReply(KnownExecutionReply):
    """One execution with its plan and what is known of its steps."""

    plan: dict[str, Any]
    entries: list[EntryReply]


class RoundReply(BaseModel):
    """One plan of a loop. `execution` is null when it was not run to its end: refused, waiting, repeated or cut off."""

    plan: dict[str, Any] | None
    verdict: VerdictReply
    repair: dict[str, Any] | None
    fallback: list[dict[str, Any]]
    execution: dict[str, Any] | None


class LoopReply(BaseModel):
    """What became of a goal that several plans were made for. `ended` says why the last was the last; `complete` is true when
    nothing is open; `tokens` is what all plans cost; `confirmation` waits for a person's yes."""

    domain: str
    answer: str
    ended: Literal["done", "repeated", "refused", "stopped", "failed", "pending", "rounds", "steps", "tokens", "time"]
    complete: bool
    tokens: int
    rounds: list[RoundReply]
    confirmation: dict[str, Any] | None
    deferral_off: str | None = None
