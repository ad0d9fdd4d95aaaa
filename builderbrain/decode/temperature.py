"""How hot tokens are drawn: one temperature, or one that changes along an output.

An output may begin adventurous and end careful. The temperature of a token depends on its place in the output alone, so a
draw still depends on seed, place and parameters and on nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

ScheduleShape = Literal["linear", "cosine"]
MAX_TEMPERATURE = 2.0
MAX_SCHEDULED_TOKENS = 1 << 24


@dataclass(frozen=True, kw_only=True)
class TemperatureSchedule:
    """From `start`, the temperature of output token 0, to `end`, that of token `tokens` and of all that follow.

    `linear` goes there in equal steps, `cosine` slowly at both ends and fastest in the middle.
    """

    start: float
    end: float
    tokens: int
    shape: ScheduleShape = "linear"

    def at(self, position: int) -> float:
        """The temperature of the output's token at `position`, counted from 0."""
        done = min(position / self.tokens, 1.0)
        if self.shape == "cosine":
            done = (1.0 - math.cos(math.pi * done)) / 2.0
        return self.start + (self.end - self.start) * done

    def fault(self) -> str | None:
        """The name of a field that is out of bounds, and what was expected; None when all are within."""
        for name, value in (("start", self.start), ("end", self.end)):
            if not 0 <= value <= MAX_TEMPERATURE:  # NaN is outside
                return f"{name}: expected a temperature from 0 to {MAX_TEMPERATURE:g}, got {value!r}"
        if not 1 <= self.tokens <= MAX_SCHEDULED_TOKENS:
            return f"tokens: expected an integer from 1 to {MAX_SCHEDULED_TOKENS}, got {self.tokens!r}"
        return None


Temperature: TypeAlias = float | TemperatureSchedule


def temperature_at(temperature: Temperature, position: int) -> float:
    """The temperature of the output's token at `position`, counted from 0."""
    return temperature.at(position) if isinstance(temperature, TemperatureSchedule) else temperature
