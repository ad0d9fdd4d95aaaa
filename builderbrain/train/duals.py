"""Lagrange multipliers: one per constraint, moved by how far its reading is from its target.

    violation v = reading - target
    integral  s <- clip(s + eta * v, 0, cap)      stops at its bounds: no wind-up
    lambda      = clip(s + kappa * v, 0, cap)

With kappa = 0 this is projected gradient ascent on the dual. kappa > 0 is the PI form (as in nuPI, Sohrabi et al. 2024):
the proportional term answers at once and damps the oscillation of pure ascent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from builderbrain.errors import CheckpointError, ConfigError


@dataclass(frozen=True, kw_only=True)
class DualConfig:
    """One constraint's switch, target and multiplier. `eta`: ascent step; `kappa`: proportional gain; `cap`: upper bound."""

    enabled: bool = True
    target: float
    eta: float = 0.01
    kappa: float = 0.1
    cap: float = 5.0

    def __post_init__(self) -> None:
        for name in ("target", "eta", "kappa", "cap"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ConfigError(f"expected {name} finite and >= 0, got {value}", field=name)


class Dual:
    """The multiplier of one constraint. `value` is lambda >= 0."""

    def __init__(self, config: DualConfig) -> None:
        self.config = config
        self.integral = 0.0
        self.value = 0.0

    def update(self, reading: float) -> None:
        """Move after a step. A reading that is not finite moves nothing: the step it came from is dropped as well."""
        if not math.isfinite(reading):
            return
        violation = reading - self.config.target
        self.integral = self._clip(self.integral + self.config.eta * violation)
        self.value = self._clip(self.integral + self.config.kappa * violation)

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"integral": self.integral, "value": self.value}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over a checkpoint's state.

        Raises:
            CheckpointError: a key is missing or a value is outside [0, cap].
        """
        try:
            integral, value = float(state["integral"]), float(state["value"])
        except KeyError as error:
            raise CheckpointError(f"the state of a dual lacks {error}", field="duals") from error
        for number in (integral, value):
            if not 0.0 <= number <= self.config.cap:
                raise CheckpointError(f"expected a dual in [0, {self.config.cap}], got {number}", field="duals")
        self.integral, self.value = integral, value

    def _clip(self, number: float) -> float:
        return min(max(number, 0.0), self.config.cap)
