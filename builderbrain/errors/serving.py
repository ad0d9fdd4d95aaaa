"""Refusals of the server and of promotion."""

from __future__ import annotations

from builderbrain.errors.base import BuilderBrainError, Classification


class VersionNotFoundError(BuilderBrainError):
    """The registry holds no such version."""

    code = "version_not_found"
    classification = Classification("resource", "low", "correct")


class TamperedVersionError(BuilderBrainError):
    """A file of a version does not match its manifest or signature."""

    code = "tampered_version"
    classification = Classification("safety", "critical", "roll_back")


class RegistryBusyError(BuilderBrainError):
    """Another promoter holds the registry, or live moved since it was read."""

    code = "registry_busy"
    classification = Classification("resource", "low", "retry")


class JudgeError(BuilderBrainError):
    """The risk judge is missing, altered, or was fitted for another base."""

    code = "invalid_judge"
    classification = Classification("safety", "high", "operate")


class BatteryError(BuilderBrainError):
    """The battery is missing, too small, or overlaps the training data."""

    code = "invalid_battery"
    classification = Classification("safety", "high", "operate")


class InvalidRequestError(BuilderBrainError):
    """A request field is missing, of the wrong type, or out of bounds."""

    code = "invalid_request"
    classification = Classification("integration", "low", "correct")


class ContextLengthError(InvalidRequestError):
    """The prompt and max_tokens do not fit the context."""

    code = "context_length_exceeded"
    classification = Classification("resource", "low", "correct")


class UnknownModelError(InvalidRequestError):
    """A request names a model that this server does not serve."""

    code = "model_not_found"
    classification = Classification("resource", "low", "correct")


class ResourceNotFoundError(InvalidRequestError):
    """A request names a file, a job or a session that is not there."""

    code = "resource_not_found"
    classification = Classification("resource", "low", "correct")


class AuthenticationError(BuilderBrainError):
    """The API key is missing or wrong."""

    code = "invalid_api_key"
    classification = Classification("safety", "low", "correct")


class AdministrationError(BuilderBrainError):
    """The route changes the server and needs the administrator's key."""

    code = "admin_key_required"
    classification = Classification("safety", "low", "correct")


class BodyTooLargeError(BuilderBrainError):
    """The request body is over the limit."""

    code = "body_too_large"
    classification = Classification("resource", "low", "correct")


class QueueFullError(BuilderBrainError):
    """As many requests wait as may wait; try again later."""

    code = "queue_full"
    classification = Classification("resource", "medium", "retry")


class RateLimitError(BuilderBrainError):
    """A caller asks more often than it may. `retry_after` is in seconds."""

    code = "rate_limit_exceeded"
    classification = Classification("resource", "low", "retry")

    def __init__(self, message: str, *, field: str | None = None, retry_after: float) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after


class NotReadyError(BuilderBrainError):
    """The server is loading, draining or broken and takes no work."""

    code = "not_ready"
    classification = Classification("resource", "medium", "retry")


class PausedError(NotReadyError):
    """An operator paused the server before this output was finished."""

    code = "paused"
    classification = Classification("resource", "low", "retry")


class ConflictError(BuilderBrainError):
    """What is asked for does not fit the state that the server is in."""

    code = "conflict"
    classification = Classification("resource", "low", "correct")


class UncalibratedError(ConflictError):
    """Calibrated answers were asked for, and no calibration was fitted for this model and kind of question."""

    code = "not_calibrated"
    classification = Classification("resource", "low", "operate")


class GateRefusedError(BuilderBrainError):
    """The promotion gate has not passed what is to be served."""

    code = "gate_refused"
    classification = Classification("safety", "medium", "operate")


class DeadlineError(BuilderBrainError):
    """A request ran longer than it may."""

    code = "deadline_exceeded"
    classification = Classification("resource", "medium", "retry")


class ConstraintViolatedError(BuilderBrainError):
    """A finished output failed the independent validator, so it is not returned as a success."""

    code = "constraint_violated"
    classification = Classification("grammar", "medium", "correct")


class PortTakenError(BuilderBrainError):
    """Another process listens on the port."""

    code = "port_taken"
    classification = Classification("resource", "high", "operate")
