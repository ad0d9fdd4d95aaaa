"""Bounds of sampling parameters and of the context, checked before a model runs."""

from __future__ import annotations

import math

from builderbrain.decode.base import SamplingParameters
from builderbrain.errors import ContextLengthError, InvalidRequestError


def _require(field: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise InvalidRequestError(f"{field}: expected {expected}, got {value!r:.80}; change it", field=field)


def check_parameters(parameters: SamplingParameters) -> None:
    """Raises InvalidRequestError, naming the field, when a value is out of bounds."""
    p = parameters
    _require("max_tokens", p.max_tokens, p.max_tokens >= 1, "an integer >= 1")
    _require("temperature", p.temperature, math.isfinite(p.temperature) and p.temperature >= 0, "a number >= 0")
    _require("top_p", p.top_p, 0 < p.top_p <= 1, "a number over 0 and at most 1")
    _require("top_k", p.top_k, p.top_k >= 0, "an integer >= 0 (0: off)")
    _require("min_p", p.min_p, 0 <= p.min_p <= 1, "a number from 0 to 1")
    repetition = p.repetition_penalty
    _require("repetition_penalty", repetition, math.isfinite(repetition) and repetition > 0, "a number over 0")
    _require("presence_penalty", p.presence_penalty, abs(p.presence_penalty) <= 2, "a number from -2 to 2")
    _require("frequency_penalty", p.frequency_penalty, abs(p.frequency_penalty) <= 2, "a number from -2 to 2")
    _require("stop", p.stop, all(p.stop), "strings that are not empty")
    _require("logprobs", p.logprobs, p.logprobs is None or p.logprobs >= 0, "an integer >= 0")


def check_context(prompt_tokens: int, max_tokens: int, max_length: int) -> None:
    """Raises InvalidRequestError for an empty prompt and ContextLengthError when prompt and output do not fit."""
    if prompt_tokens == 0:
        raise InvalidRequestError("prompt: expected at least one token, got none; send a prompt", field="prompt")
    if prompt_tokens + max_tokens > max_length:
        raise ContextLengthError(
            f"expected prompt and output within {max_length} tokens, got {prompt_tokens} prompt tokens and "
            f"max_tokens {max_tokens}; shorten the prompt or lower max_tokens",
            field="max_tokens" if prompt_tokens < max_length else "prompt",
        )
