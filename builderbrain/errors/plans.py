"""Refusals of plans, tools and executions."""

from __future__ import annotations

from collections.abc import Mapping

from builderbrain.errors.base import BuilderBrainError


class SchemaError(BuilderBrainError):
    """A domain schema file breaks the schema language."""

    code = "invalid_domain_schema"


class PlanSyntaxError(BuilderBrainError):
    """Text that is not a plan, in JSON or in the text form."""

    code = "invalid_plan"


class PlanRejectedError(BuilderBrainError):
    """The planchecker refused a plan. `verdict` is its `builderbrain.plan.Verdict`, with every fault."""

    code = "plan_rejected"

    def __init__(self, message: str, *, field: str | None = None, verdict: object = None) -> None:
        super().__init__(message, field=field)
        self.verdict = verdict


class ScanError(BuilderBrainError):
    """A command, plan, grammar or file of SCAN cannot be read or means nothing."""

    code = "invalid_scan"


class SimulationError(BuilderBrainError):
    """A simulated world is described wrongly, or is asked for by a name that there is not."""

    code = "invalid_simulation"


class PathEscapeError(BuilderBrainError):
    """A path leaves the working root, directly or through a link."""

    code = "path_escape"


class ToolError(BuilderBrainError):
    """A tool failed in a way it declares: missing file, timeout, bad argument. `details`, as JSON, are for its fallback."""

    code = "tool_failed"

    def __init__(self, message: str, *, field: str | None = None, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message, field=field)
        self.details = details


class ToolTimeoutError(ToolError):
    """A tool ran into its time limit and was stopped."""

    code = "tool_timeout"


class BrokenToolError(ToolError):
    """A tool broke after it began (it ended, or answered with what is no answer): whether it changed something is not known."""

    code = "tool_broke"


class UncertainToolError(ToolError):
    """A tool says that it failed, but not that nothing was changed."""

    code = "tool_uncertain"


class ServerChangedError(ToolError):
    """The tools of a server are not those that were approved, so none of them is called."""

    code = "tools_changed"


class TransientToolError(ToolError):
    """What a tool needs does not answer for now, and nothing was done; the same call may well succeed later."""

    code = "tool_unavailable"


class UnfinishedToolError(UncertainToolError):
    """A tool was cut off from outside on its way: its effect may have been had. Whether it was, the tool is asked."""

    code = "tool_unfinished"


class LostAnswerError(TransientToolError):
    """A request was sent and no answer came, so that its effect may have happened; idempotent ones may be sent again."""

    code = "answer_lost"


class GarbageAnswerError(BrokenToolError):
    """What a tool talks to answered something that its own description does not allow."""

    code = "garbage_answer"


class ToolCoolingDownError(ToolError):
    """A tool failed several times in a row and is not called until it has cooled down."""

    code = "tool_cooling_down"


class SandboxError(ToolError):
    """This machine cannot confine a tool as its safety level asks, so it is not run."""

    code = "no_sandbox"


class PolicyError(BuilderBrainError):
    """A level that this server does not grant, or a step of a checked plan that its policy blocks; nothing was run."""

    code = "policy_refused"


class NotConfirmedError(PolicyError):
    """A step needs a person's yes, and there was none; nothing was run."""

    code = "not_confirmed"


class ConfirmationNotFoundError(BuilderBrainError):
    """No plan waits under this token for a person's yes."""

    code = "confirmation_not_found"


class NoToolsError(BuilderBrainError):
    """The skills of this domain have no tools here, so its plans can be checked and not run."""

    code = "no_tools"


class NoRailError(BuilderBrainError):
    """Nothing here makes plans of this domain from words: it has no rail, or one that cannot be used."""

    code = "no_rail"


class LedgerError(BuilderBrainError):
    """The ledger of executions refuses: a step claimed twice, an unknown execution, a file that is no ledger."""

    code = "ledger_refused"


class LedgerBusyError(LedgerError):
    """Another process writes this ledger."""

    code = "ledger_busy"


class ExecutionNotFoundError(LedgerError):
    """The ledger holds no such execution."""

    code = "execution_not_found"
