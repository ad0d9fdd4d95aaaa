"""Refusals of bases, rails, grammars and decoding."""

from __future__ import annotations

from builderbrain.errors.base import BuilderBrainError, Classification


class ModelNotFoundError(BuilderBrainError):
    """The model folder or hub name cannot be loaded."""

    code = "model_not_found"
    classification = Classification("resource", "high", "operate")


class UnsupportedModelError(BuilderBrainError):
    """The model loads, but is not a decoder whose layers can be tapped."""

    code = "unsupported_model"
    classification = Classification("resource", "high", "operate")


class RecordingError(BuilderBrainError):
    """What a base does in a pass cannot be captured in a CUDA graph; the message says why, in a few words."""

    code = "recording_failed"
    classification = Classification("resource", "low", "fallback")


class TapError(BuilderBrainError):
    """A tap names a layer that the base does not have, or no tap was given."""

    code = "invalid_tap"
    classification = Classification("resource", "medium", "correct")


class DeadGradientError(BuilderBrainError):
    """A trainable parameter receives no finite, non-zero gradient."""

    code = "dead_gradient"
    classification = Classification("resource", "high", "operate")


class SkillError(BuilderBrainError):
    """A skill does not exist, or may not be born, merged, distilled or retired as asked."""

    code = "skill_refused"
    classification = Classification("resource", "medium", "correct")


class GrammarLimitError(BuilderBrainError):
    """A schema or grammar is over an admission limit (size, depth, branches, ...)."""

    code = "grammar_limit"
    classification = Classification("grammar", "low", "correct")


class GrammarRefusedError(BuilderBrainError):
    """A schema or grammar is malformed or uses what no engine enforces."""

    code = "grammar_refused"
    classification = Classification("grammar", "low", "correct")


class MaskEmptyError(BuilderBrainError):
    """No token is legal at this position."""

    code = "mask_empty"
    classification = Classification("grammar", "medium", "correct")


class NonFiniteLogitsError(BuilderBrainError):
    """A model gave NaN or infinite logits. `weight_version` is its version, where that is known."""

    code = "non_finite_logits"
    classification = Classification("resource", "critical", "roll_back")
    weight_version: str | None = None
