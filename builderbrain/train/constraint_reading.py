"""A constraint's reading over a batch that is run in parts."""

from __future__ import annotations

from dataclasses import dataclass

from builderbrain.train.normalisers import Normaliser

_WHOLE = 1.0 - 1e-9
"""Shares of a whole batch sum to 1 but for rounding."""


@dataclass
class ConstraintReading:
    """Of one step.

    `count`: items it covers; `covered`: the share of the batch that its parts hold; `dual`: multiplier of this step; `weight`:
    what the step multiplied `value - target` by.
    """

    dual: float
    weight: float
    total: float = 0.0
    covered: float = 0.0
    count: int = 0

    @property
    def value(self) -> float:
        """Mean over the parts that said something, in the constraint's unit; 0 where none did.

        A part that says nothing is left out, and not taken for one that is perfect.
        """
        return self.total / self.covered if 0.0 < self.covered < _WHOLE else self.total

    def add(self, share: float, reading: float, count: int) -> None:
        """Add a part that holds `share` of the batch's items."""
        self.total += share * reading
        self.covered += share
        self.count += count

    def to_json(self, normaliser: Normaliser) -> dict[str, float]:
        """For the log: raw and normalised."""
        return {
            "reading": self.value,
            "normalised": normaliser.normalise(self.value),
            "dual": self.dual,
            "weight": self.weight,
            "count": self.count,
        }
