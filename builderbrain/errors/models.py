"""Refusals of bases, rails, grammars and decoding."""

from __future__ import annotations

from builderbrain.errors.base import BuilderBrainError


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


class GrammarLimitError(BuilderBrainError):
    """A schema or grammar is over an admission limit (size, depth, branches, ...)."""

    code = "grammar_limit"


class GrammarRefusedError(BuilderBrainError):
    """A schema or grammar is malformed or uses what no engine enforces."""

    code = "grammar_refused"


class MaskEmptyError(BuilderBrainError):
    """No token is legal at this position."""

    code = "mask_empty"


class NonFiniteLogitsError(BuilderBrainError):
    """A model gave NaN or infinite logits."""

    code = "non_finite_logits"
