"""Bounds of sampling parameters and of the context, checked before a model runs."""

from __future__ import annotations

import math

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.temperature import TemperatureSchedule
from builderbrain.errors import ContextLengthError, InvalidRequestError

MAX_BIAS = 100.0
"""Of `logit_bias`, either way; OpenAI's."""
_LEAST = 2.0**-126
"""Below it a float32 is 0 or close to it, and what must be over 0 is no more when tokens are drawn."""


def _require(field: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise InvalidRequestError(f"{field}: expected {expected}, got {value!r:.80}; change it", field=field)


def check_parameters(parameters: SamplingParameters) -> None:
    """Raises InvalidRequestError, naming the field, when a value is out of bounds."""
    p = parameters
    _require("max_tokens", p.max_tokens, p.max_tokens >= 1, "an integer >= 1")
    if isinstance(p.temperature, TemperatureSchedule):
        if (fault := p.temperature.fault()) is not None:
            raise InvalidRequestError(f"temperature_schedule.{fault}; change it", field="temperature_schedule")
    else:
        _require("temperature", p.temperature, math.isfinite(p.temperature) and p.temperature >= 0, "a number >= 0")
    _require("top_p", p.top_p, _LEAST <= p.top_p <= 1, f"a number over 0 ({_LEAST:.2g} at least) and at most 1")
    _require("top_k", p.top_k, p.top_k >= 0, "an integer >= 0 (0: off)")
    _require("min_p", p.min_p, 0 <= p.min_p <= 1, "a number from 0 to 1")
    repetition = p.repetition_penalty
    allowed = math.isfinite(repetition) and repetition >= _LEAST
    _require("repetition_penalty", repetition, allowed, f"a number over 0 ({_LEAST:.2g} at least)")
    _require("presence_penalty", p.presence_penalty, abs(p.presence_penalty) <= 2, "a number from -2 to 2")
    _require("frequency_penalty", p.frequency_penalty, abs(p.frequency_penalty) <= 2, "a number from -2 to 2")
    _require("stop", p.stop, all(p.stop) and all(p.stop_included), "strings that are not empty")
    _require("logprobs", p.logprobs, p.logprobs is None or p.logprobs >= 0, "an integer >= 0")
    biased = dict(p.logit_bias)
    within = all(-MAX_BIAS <= value <= MAX_BIAS for value in biased.values())
    _require("logit_bias", p.logit_bias, within, f"numbers from -{MAX_BIAS:g} to {MAX_BIAS:g}")
    _require("logit_bias", p.logit_bias, len(biased) == len(p.logit_bias), "each token once")
    most = p.max_tokens
    _require("min_tokens", p.min_tokens, 0 <= p.min_tokens <= most, f"an integer from 0 to max_tokens, which is {most}")
    scale = p.energy_scale
    _require("energy_scale", scale, scale is None or (math.isfinite(scale) and scale >= 0), "a number >= 0")


def check_token_ids(parameters: SamplingParameters, vocab_size: int) -> None:
    """Raises InvalidRequestError, naming the field, for a token of `logit_bias` or `stop_token_ids` beyond the vocabulary."""
    for field, tokens in (
        ("logit_bias", [token for token, _ in parameters.logit_bias]),
        ("stop_token_ids", parameters.stop_token_ids),
    ):
        outside = [token for token in tokens if not 0 <= token < vocab_size]
        if outside:
            raise InvalidRequestError(
                f"{field}: expected token ids in 0..{vocab_size - 1}, got {outside[0]}; /tokenize tells the ids of a text",
                field=field,
            )


def check_constraint(parameters: SamplingParameters, *, constrained: bool) -> None:
    """Raises InvalidRequestError, naming the field, for what makes sense only with a constraint, or only without one."""
    if parameters.ignore_eos and constrained:
        raise InvalidRequestError(
            "ignore_eos: an output under a constraint ends where the constraint does; remove one of them", field="ignore_eos"
        )
    if parameters.energy_scale is not None and not constrained:
        raise InvalidRequestError(
            "energy_scale: expected a constraint, without which no token is illegal; add one", field="energy_scale"
        )


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
