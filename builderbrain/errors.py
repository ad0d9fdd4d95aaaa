"""Every refusal of the project, one class each.

A message says what was expected, what came, and what to do about it. `field` names the input at fault (a dotted config
key, a JSON pointer, a command line option), so that the HTTP layer can fill OpenAI's `param` and a person can find it.
"""

from __future__ import annotations


class BuilderBrainError(Exception):
    """Base of all refusals.

    Args:
        message: what was expected, what came, and what to do.
        field: the input at fault, or None when no single input is.
    """

    code = "error"
    """Stable machine-readable name, the `code` of an OpenAI-shaped error."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


# --- configuration and files ---------------------------------------------------------------------------------------


class ConfigError(BuilderBrainError):
    """A configuration key is unknown or its value has the wrong type or range."""

    code = "invalid_config"


class CheckpointError(BuilderBrainError):
    """A checkpoint is missing, truncated, or does not match its manifest."""

    code = "invalid_checkpoint"


# --- hosts and rail ------------------------------------------------------------------------------------------------


class ModelNotFoundError(BuilderBrainError):
    """The model folder or hub name cannot be loaded."""

    code = "model_not_found"


class UnsupportedModelError(BuilderBrainError):
    """The model loads, but is not a decoder whose layers can be tapped."""

    code = "unsupported_model"


class RecordingError(BuilderBrainError):
    """What a base does in a pass cannot be captured in a CUDA graph; the message says why, in a few words."""

    code = "recording_failed"


class TapError(BuilderBrainError):
    """A tap names a layer that the base does not have, or no tap was given."""

    code = "invalid_tap"


class DeadGradientError(BuilderBrainError):
    """A trainable parameter receives no finite, non-zero gradient."""

    code = "dead_gradient"


class SkillError(BuilderBrainError):
    """A skill does not exist, or may not be born, merged, distilled or retired as asked."""

    code = "skill_refused"


# --- grammars ------------------------------------------------------------------------------------------------------


class GrammarLimitError(BuilderBrainError):
    """A schema or grammar is over an admission limit (size, depth, branches, ...)."""

    code = "grammar_limit"


class GrammarRefusedError(BuilderBrainError):
    """A schema or grammar is malformed or uses what no engine enforces."""

    code = "grammar_refused"


class MaskEmptyError(BuilderBrainError):
    """No token is legal at this position."""

    code = "mask_empty"


# --- decoding ------------------------------------------------------------------------------------------------------


class NonFiniteLogitsError(BuilderBrainError):
    """A model gave NaN or infinite logits."""

    code = "non_finite_logits"


# --- plans and tools -----------------------------------------------------------------------------------------------


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


class PathEscapeError(BuilderBrainError):
    """A path leaves the working root, directly or through a link."""

    code = "path_escape"


class ToolError(BuilderBrainError):
    """A tool failed in a way it declares: missing file, timeout, bad argument."""

    code = "tool_failed"


class ToolTimeoutError(ToolError):
    """A tool ran into its time limit and was stopped."""

    code = "tool_timeout"


class TransientToolError(ToolError):
    """What a tool needs does not answer for now, and nothing was done; the same call may well succeed later."""

    code = "tool_unavailable"


class ToolCoolingDownError(ToolError):
    """A tool failed several times in a row and is not called until it has cooled down."""

    code = "tool_cooling_down"


class SandboxError(ToolError):
    """This machine cannot confine a tool as its safety level asks, so it is not run."""

    code = "no_sandbox"


class PolicyError(BuilderBrainError):
    """The policy blocks a step of a checked plan; nothing was run."""

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


class LedgerError(BuilderBrainError):
    """The ledger of executions refuses: a step claimed twice, an unknown execution, a file that is no ledger."""

    code = "ledger_refused"


class LedgerBusyError(LedgerError):
    """Another process writes this ledger."""

    code = "ledger_busy"


class ExecutionNotFoundError(LedgerError):
    """The ledger holds no such execution."""

    code = "execution_not_found"


# --- promotion -----------------------------------------------------------------------------------------------------


class VersionNotFoundError(BuilderBrainError):
    """The registry holds no such version."""

    code = "version_not_found"


class TamperedVersionError(BuilderBrainError):
    """A file of a version does not match its manifest or signature."""

    code = "tampered_version"


class RegistryBusyError(BuilderBrainError):
    """Another promoter holds the registry, or live moved since it was read."""

    code = "registry_busy"


class JudgeError(BuilderBrainError):
    """The risk judge is missing, altered, or was fitted for another base."""

    code = "invalid_judge"


class BatteryError(BuilderBrainError):
    """The battery is missing, too small, or overlaps the training data."""

    code = "invalid_battery"


# --- training ------------------------------------------------------------------------------------------------------


class OutputError(BuilderBrainError):
    """The output folder of a run cannot be written: its disk is full, gone or read-only."""

    code = "output_not_written"


class RankError(BuilderBrainError):
    """One of the processes of a run is gone, does not answer, or has come to another state than the others."""

    code = "rank_lost"


# --- training data -------------------------------------------------------------------------------------------------


class DataError(BuilderBrainError):
    """A file of training data, or one of its rows, is missing, malformed or altered."""

    code = "invalid_data"


# --- evaluation ----------------------------------------------------------------------------------------------------


class BenchError(BuilderBrainError):
    """A file of goals is missing or one of its items is malformed."""

    code = "invalid_bench"


class SubjectError(BuilderBrainError):
    """What is to be evaluated is unknown, or something it needs was not given."""

    code = "invalid_subject"


# --- serving -------------------------------------------------------------------------------------------------------


class InvalidRequestError(BuilderBrainError):
    """A request field is missing, of the wrong type, or out of bounds."""

    code = "invalid_request"


class ContextLengthError(InvalidRequestError):
    """The prompt and max_tokens do not fit the context."""

    code = "context_length_exceeded"


class UnknownModelError(InvalidRequestError):
    """A request names a model that this server does not serve."""

    code = "model_not_found"


class AuthenticationError(BuilderBrainError):
    """The API key is missing or wrong."""

    code = "invalid_api_key"


class AdministrationError(BuilderBrainError):
    """The route changes the server and needs the administrator's key."""

    code = "admin_key_required"


class BodyTooLargeError(BuilderBrainError):
    """The request body is over the limit."""

    code = "body_too_large"


class QueueFullError(BuilderBrainError):
    """As many requests wait as may wait; try again later."""

    code = "queue_full"


class RateLimitError(BuilderBrainError):
    """A caller asks more often than it may. `retry_after` is in seconds."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, field: str | None = None, retry_after: float) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after


class NotReadyError(BuilderBrainError):
    """The server is loading, draining or broken and takes no work."""

    code = "not_ready"


class PausedError(NotReadyError):
    """An operator paused the server before this output was finished."""

    code = "paused"


class ConflictError(BuilderBrainError):
    """What is asked for does not fit the state that the server is in."""

    code = "conflict"


class UncalibratedError(ConflictError):
    """Calibrated answers were asked for, and no calibration was fitted for this model and kind of question."""

    code = "not_calibrated"


class GateRefusedError(BuilderBrainError):
    """The promotion gate has not passed what is to be served."""

    code = "gate_refused"


class DeadlineError(BuilderBrainError):
    """A request ran longer than it may."""

    code = "deadline_exceeded"


class ConstraintViolatedError(BuilderBrainError):
    """A finished output failed the independent validator, so it is not returned as a success."""

    code = "constraint_violated"


class PortTakenError(BuilderBrainError):
    """Another process listens on the port."""

    code = "port_taken"
