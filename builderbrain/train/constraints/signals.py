"""What a training step offers to its constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from bbkernels.governed_loss import GovernedLoss


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Per-token readings of one step.

    `answer`: at the answer tokens of the goals, under the plan grammar. `base_text`: at tokens of ordinary text, without
    a grammar; None when the batch held none.
    """

    answer: GovernedLoss
    base_text: GovernedLoss | None


class Constraint(Protocol):
    """A loss with a target."""

    name: str
    unit: str
    reads: Literal["answer", "base_text"]
    """Over which tokens its reading is a mean: the readings of a batch's parts are weighed by their number."""

    def reading(self, signals: Signals) -> Tensor | None:
        """Differentiable scalar; None when this step says nothing about it."""
        ...

    def count(self, signals: Signals) -> int:
        """How many tokens the reading averages over; logged, so that it cannot shrink unnoticed."""
        ...
