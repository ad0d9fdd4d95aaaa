"""What all refusals have in common, and those of configuration and files."""

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


class ConfigError(BuilderBrainError):
    """A configuration key is unknown or its value has the wrong type or range."""

    code = "invalid_config"


class CheckpointError(BuilderBrainError):
    """A checkpoint is missing, truncated, or does not match its manifest."""

    code = "invalid_checkpoint"
