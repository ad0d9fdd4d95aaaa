"""The fields of a request that say how to draw tokens, where one value is not enough."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from builderbrain.decode.domain_temperatures import domain_temperatures
from builderbrain.decode.parameters import MAX_BIAS
from builderbrain.decode.temperature import (
    MAX_SCHEDULED_TOKENS,
    MAX_TEMPERATURE,
    ScheduleShape,
    Temperature,
    TemperatureSchedule,
)
from builderbrain.errors import InvalidRequestError
from builderbrain.serve.fields import MAX_NAME, RequestModel

MAX_BIASED_TOKENS = 1024
MAX_STOP_TOKENS = 128
MAX_ENERGY_SCALE = 1000.0
DEFAULT_ENERGY_SCALE = 8.0
"""An illegal token is 3,000 times less likely: led back unless the model all but insists."""
Enforcement = Literal["hard", "soft"]

_TOKEN_ID = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)


class ScheduleFields(RequestModel):
    """A `temperature_schedule`: `start` is the temperature of output token 0, `end` that of token `tokens` and behind it."""

    start: float = Field(ge=0, le=MAX_TEMPERATURE)
    end: float = Field(ge=0, le=MAX_TEMPERATURE)
    tokens: int = Field(ge=1, le=MAX_SCHEDULED_TOKENS)
    shape: ScheduleShape = "linear"


def _schedule_or_name(schedule: Any) -> Any:
    if isinstance(schedule, dict | ScheduleFields) or (isinstance(schedule, str) and schedule):
        return schedule
    raise PydanticCustomError("schedule", "expected an object with start, end and tokens, or the name of a domain")


ScheduleField = Annotated[
    ScheduleFields | Annotated[str, Field(min_length=1, max_length=MAX_NAME)], BeforeValidator(_schedule_or_name)
]
"""A schedule, or the name of a domain whose own is taken (schemas/temperatures.yaml)."""


def requested_temperature(schedule: ScheduleFields | str) -> Temperature:
    """The temperature that a `temperature_schedule` asks for.

    Raises:
        InvalidRequestError: no such domain; lists those there are.
    """
    if isinstance(schedule, ScheduleFields):
        return TemperatureSchedule(start=schedule.start, end=schedule.end, tokens=schedule.tokens, shape=schedule.shape)
    known = domain_temperatures()
    if schedule not in known:
        raise InvalidRequestError(
            f"temperature_schedule: expected start, end and tokens, or one of the domains {', '.join(sorted(known))}, "
            f"got {schedule!r:.80}",
            field="temperature_schedule",
        )
    return known[schedule]


def _bounded_bias(bias: Any) -> Any:
    # A dictionary does not end at its first wrong value as lists do, so that its length is looked at first.
    if isinstance(bias, dict):
        if len(bias) > MAX_BIASED_TOKENS:
            raise PydanticCustomError("logit_bias", f"expected at most {MAX_BIASED_TOKENS} token ids, got {len(bias)}")
        for key in bias:
            if not _TOKEN_ID.fullmatch(key):
                raise PydanticCustomError("logit_bias", "expected token ids as keys, such as the text 42")
    return bias


LogitBias = Annotated[
    dict[str, Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]],
    BeforeValidator(_bounded_bias, json_schema_input_type=dict[str, float]),
    Field(json_schema_extra={"maxProperties": MAX_BIASED_TOKENS, "propertyNames": {"pattern": f"^({_TOKEN_ID.pattern})$"}}),
]
"""OpenAI's: from token id, as text, to what is added to its logit."""
StopTokens = Annotated[list[Annotated[int, Field(ge=0, lt=1 << 31)]], Field(fail_fast=True, max_length=MAX_STOP_TOKENS)]
