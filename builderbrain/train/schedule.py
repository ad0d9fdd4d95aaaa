"""What changes over a run by rule: learning rate, router temperature, alpha budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from builderbrain.train.config import BudgetSection


def learning_rate_scale(step: int, *, steps: int, warmup_fraction: float) -> float:
    """Linear warm-up, then cosine decay to 2 % (Loshchilov and Hutter 2017); in (0, 1]."""
    warmup = max(1, round(warmup_fraction * steps))
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * progress))


def router_temperature(step: int, *, steps: int, first: float, last: float) -> float:
    """Geometric annealing from `first` to `last`."""
    return float(first * (last / first) ** (step / max(1, steps - 1)))


class BudgetSchedule:
    """Raises the alpha budget while held-out loss falls, lowers it when it jumps.

    It reacts to loss, not to exact match, which stays at 0 for long. A rail that has less say than it was trained with is worse
    at first, so after a lowering the next loss is where counting starts again: held against the loss before, it would lower the
    budget again and again, down to the lowest.

    No raise may be paid for with debts (`builderbrain.train.held_out`): each may lie above the least it
    was at the first evaluation and at raises by no more than its tolerance.
    """

    def __init__(self, config: BudgetSection) -> None:
        self.config = config
        self.index = 0
        self.reference = math.inf
        self.debts: dict[str, float] = {}

    def begin_at(self, budget: float) -> None:
        """Start from the highest step that is at most `budget`; for a rail that was trained before."""
        self.index = max((i for i, step in enumerate(self.config.steps) if step <= budget), default=0)

    @property
    def budget(self) -> float:
        """The current budget a."""
        return self.config.steps[self.index]

    def update(self, held_out_loss: float, debts: Mapping[str, float]) -> list[str]:
        """Take note of a held-out loss (nats per token) and of the `safety` and `calibration` debts; raise, keep or lower the
        budget. Returns the debts that stand in the way of a raise."""
        if not math.isfinite(self.reference):
            self.reference, self.debts = held_out_loss, dict(debts)
        elif held_out_loss > self.reference * (1.0 + self.config.regress):
            self.index, self.reference = max(0, self.index - 1), math.inf
        elif held_out_loss <= self.reference * (1.0 - self.config.improvement):
            held_by = self._held_by(debts)
            if held_by:
                return held_by
            self.index, self.reference = min(self.index + 1, len(self.config.steps) - 1), held_out_loss
            # The least so far: were it the latest, a debt could grow by its tolerance with every raise.
            self.debts = {name: min(debt, self.debts.get(name, debt)) for name, debt in debts.items()}
        return []

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; an unset reference is -1, since JSON has no infinity."""
        reference = self.reference if math.isfinite(self.reference) else -1.0
        return {"index": self.index, "reference": reference, "debts": dict(self.debts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self.index = int(state["index"])
        self.reference = float(state["reference"]) if state["reference"] >= 0 else math.inf
        self.debts = dict(state.get("debts", {}))

    def _held_by(self, debts: Mapping[str, float]) -> list[str]:
        """Debts over their tolerance, or not finite; none at the highest budget, where there is nothing to raise."""
        if self.index == len(self.config.steps) - 1:
            return []
        allowed = {"safety": self.config.safety_debt, "calibration": self.config.calibration_debt}
        return [name for name, debt in debts.items() if not debt <= self.debts.get(name, debt) + allowed[name]]
