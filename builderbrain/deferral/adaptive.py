"""A level that follows outcomes: adaptive conformal inference (Gibbs and Candes 2021), within bounds.

After an outcome, with err = 1 where the request was answered and wrong,

    a <- min(level, a + step (level - err))

and the threshold is that of risk control at a, under which nothing is answered from a <= 0 on, nor where a is under
1 / (n + 1). An error makes it stricter, rights bring it back, and never beyond the level that was fitted. Whatever the
sequence, adversarial or not: a falls only by errors, and an error needs a > 0 when it was answered, so a > -(1 + d) step with
at most d other answers whose outcomes were outstanding at a time, and over T outcomes

    mean err <= level + (level + step (1 + d)) / (step T).
"""

from __future__ import annotations

from dataclasses import dataclass

from builderbrain.deferral.thresholds import check_level

STEP = 0.01


@dataclass(kw_only=True)
class AdaptiveLevel:
    """Mutable: the present `level` of a domain whose error level is `target`."""

    target: float
    step: float = STEP
    level: float | None = None
    outcomes: int = 0
    errors: int = 0

    def __post_init__(self) -> None:
        check_level(self.target, field="target")
        check_level(self.step, field="step")

    @property
    def present(self) -> float:
        """The level whose threshold is used; at 0 or below nothing is answered."""
        return self.target if self.level is None else self.level

    def update(self, *, answered_and_wrong: bool) -> float:
        """Take an outcome; returns the level from now on."""
        self.outcomes += 1
        self.errors += int(answered_and_wrong)
        self.level = min(self.target, self.present + self.step * (self.target - float(answered_and_wrong)))
        return self.level

    def promised(self, *, outstanding: int = 0) -> float:
        """The share of answered and wrong that so many outcomes cannot exceed; see the module."""
        return self.target + (self.target + self.step * (1 + outstanding)) / (self.step * max(self.outcomes, 1))
