"""A constraint's reading over a batch that is run in parts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class ConstraintReading:
    """`value`: mean over the batch, in the constraint's unit; `count`: tokens it covers; `dual`: multiplier of this step."""

    dual: float
    value: float = 0.0
    count: int = 0

    def add(self, share: float, reading: Tensor, count: int) -> None:
        """Add a part that holds `share` of the batch's tokens."""
        self.value += share * float(reading.detach())
        self.count += count

    def to_json(self) -> dict[str, float]:
        """For the log."""
        return {"reading": self.value, "dual": self.dual, "count": self.count}
