"""Refusals of plans, tools and executions."""

from __future__ import annotations

from collections.abc import Mapping

from builderbrain.errors.base import BuilderBrainError, Classification


class SchemaError(BuilderBrainError):
    """A domain schema file breaks the schema language."""

    code = "invalid_domain_schema"
    classification = Classification("plan", "medium", "correct")


class PlanSyntaxError(BuilderBrainError):
    """Text that is not a plan, in JSON or in the text form."""

    code = "invalid_plan"
    classification = Classification("plan", "low", "repair")


class PlanRejectedError(BuilderBrainError):
    """The planchecker refused a plan. `verdict` is its `builderbrain.plan.Verdict`, with every fault."""

    code = "plan_rejected"
    classification = Classification("plan", "low", "repair")

    def __init__(self, message: str, *, field: str | None = None, verdict: object = None) -> None:
        super().__init__(message, field=field)
        self.verdict = verdict


class ScanError(BuilderBrainError):
    """A command, plan, grammar or file of SCAN cannot be read or means nothing."""

    code = "invalid_scan"
    classification = Classification("plan", "low", "correct")


class SimulationError(BuilderBrainError):
    """A simulated world is described wrongly, or is asked for by a name that there is not."""

    code = "invalid_simulation"
    classification = Classification("integration", "medium", "correct")


class PathEscapeError(BuilderBrainError):
    """A path leaves the working root, directly or through a link."""

    code = "path_escape"
    classification = Classification("safety", "medium", "correct")


class ToolError(BuilderBrainError):
    """A tool failed in a way it declares: missing file, timeout, bad argument. `details`, as JSON, are for its fallback."""

    code = "tool_failed"
    classification = Classification("integration", "medium", "fallback")

    def __init__(self, message: str, *, field: str | None = None, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message, field=field)
        self.details = details


class ToolTimeoutError(ToolError):
    """A tool ran into its time limit and was stopped."""

    code = "tool_timeout"


class BrokenToolError(ToolError):
    """A tool broke after it began (it ended, or answered with what is no answer): whether it changed something is not known."""

    code = "tool_broke"
    classification = Classification("integration", "high", "fallback")


class UncertainToolError(ToolError):
    """A tool says that it failed, but not that nothing was changed."""

    code = "tool_uncertain"
    classification = Classification("integration", "high", "ask")


class ServerChangedError(ToolError):
    """The tools of a server are not those that were approved, so none of them is called."""

    code = "tools_changed"
    classification = Classification("safety", "high", "operate")


class TransientToolError(ToolError):
    """What a tool needs does not answer for now, and nothing was done; the same call may well succeed later."""

    code = "tool_unavailable"
    classification = Classification("integration", "low", "retry")


class UnfinishedToolError(UncertainToolError):
    """A tool was cut off from outside on its way: its effect may have been had. Whether it was, the tool is asked."""

    code = "tool_unfinished"


class LostAnswerError(TransientToolError):
    """A request was sent and no answer came, so that its effect may have happened; idempotent ones may be sent again."""

    code = "answer_lost"
    classification = Classification("integration", "medium", "retry")


class GarbageAnswerError(BrokenToolError):
    """What a tool talks to answered something that its own description does not allow."""

    code = "garbage_answer"


class ToolCoolingDownError(ToolError):
    """A tool failed several times in a row and is not called until it has cooled down."""

    code = "tool_cooling_down"
    classification = Classification("resource", "medium", "retry")


class SandboxError(ToolError):
    """This machine cannot confine a tool as its safety level asks, so it is not run."""

    code = "no_sandbox"
    classification = Classification("safety", "high", "operate")


class PolicyError(BuilderBrainError):
    """A level that this server does not grant, or a step of a checked plan that its policy blocks; nothing was run."""

    code = "policy_refused"
    classification = Classification("safety", "low", "correct")


class NotConfirmedError(PolicyError):
    """A step needs a person's yes, and there was none; nothing was run."""

    code = "not_confirmed"
    classification = Classification("safety", "low", "ask")


class ConfirmationNotFoundError(BuilderBrainError):
    """No plan waits under this token for a person's yes."""

    code = "confirmation_not_found"
    classification = Classification("plan", "low", "correct")


class NoToolsError(BuilderBrainError):
    """The skills of this domain have no tools here, so its plans can be checked and not run."""

    code = "no_tools"
    classification = Classification("integration", "medium", "operate")


class NoRailError(BuilderBrainError):
    """Nothing here makes plans of this domain from words: it has no rail, or one that cannot be used."""

    code = "no_rail"
    classification = Classification("resource", "medium", "operate")


class LedgerError(BuilderBrainError):
    """The ledger of executions refuses: a step claimed twice, an unknown execution, a file that is no ledger."""

    code = "ledger_refused"
    classification = Classification("resource", "medium", "operate")


class LedgerInconsistentError(LedgerError):
    """The ledger does not agree with what is about to be written: an effect was claimed before, or its claim is gone."""

    code = "ledger_inconsistent"
    classification = Classification("safety", "critical", "roll_back")


class LedgerBusyError(LedgerError):
    """Another process writes this ledger."""

    code = "ledger_busy"
    classification = Classification("resource", "high", "operate")


class ExecutionNotFoundError(LedgerError):
    """The ledger holds no such execution."""

    code = "execution_not_found"
    classification = Classification("plan", "low", "correct")
