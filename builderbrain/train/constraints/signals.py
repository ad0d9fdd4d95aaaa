"""What a training step offers to its constraints, and what a constraint is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from bbkernels.governed_loss import GovernedLoss
from builderbrain.rail.plan_head import PlanScores


@dataclass(frozen=True, kw_only=True)
class GoalSignals:
    """Readings of R goals of T tokens, with N answer tokens.

    `weights` float32 [N] and `row` int64 [N] of the answer tokens; `environment` int64 [R], what each goal is told in. `real`
    bool [R, T]; at the tokens the builder's `stream` [R, T, c], what its skills `written` into it [R, T, c], the `skill` taken,
    int64 [R, T], and its router's `probability` [R, T, K]. `decisions`: scores [D, options] of each policy head with labels
    int64 [D]. `plan`: scores of the plan head, None without one, with the labels `nodes` [R, N] and `edges` [R, N, N] (negative
    is unknown).
    """

    weights: Tensor
    row: Tensor
    environment: Tensor
    real: Tensor
    stream: Tensor
    written: Tensor
    skill: Tensor
    probability: Tensor
    decisions: tuple[tuple[Tensor, Tensor], ...]
    plan: PlanScores | None
    nodes: Tensor
    edges: Tensor


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Readings of one part of a step.

    `answer`: per answer token of the goals, under the plan grammar. `base_text`: per token of ordinary text, without a grammar;
    None when the part held none. `goals`: what else was read of the goals.
    """

    answer: GovernedLoss
    base_text: GovernedLoss | None
    goals: GoalSignals


Reads = Literal["answer", "base_text", "rows"]


class Constraint(Protocol):
    """A loss with a target. Its gradient reaches the rail's parameters and nothing else."""

    name: str
    unit: str
    reads: Reads
    """Over which items its reading is a mean: the readings of a batch's parts are weighed by their number."""

    def reading(self, signals: Signals) -> Tensor | None:
        """Differentiable scalar; None when this part says nothing about it."""
        ...

    def count(self, signals: Signals) -> int:
        """How many items the reading averages over; logged, so that it cannot shrink unnoticed."""
        ...

    def shown(self) -> Any:
        """Hand over what the parts since the last call showed, as JSON: it is forgotten here."""
        ...

    def see(self, shown: Any) -> None:
        """Take note of what a part showed, here or in another process."""
        ...

    def settle(self, *, done: bool) -> None:
        """End of a step: take what its parts showed into the memory of later readings, or forget it when it was not `done`."""
        ...

    def extra(self) -> dict[str, float]:
        """What else of the last step is logged, by name."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state.

        Raises:
            CheckpointError: it is not of this constraint.
        """
        ...


class WithoutMemory:
    """For constraints whose reading depends on the step alone."""

    def shown(self) -> Any:
        """Nothing."""
        return None

    def see(self, shown: Any) -> None:
        """Nothing to take note of."""

    def settle(self, *, done: bool) -> None:
        """Nothing to remember."""

    def extra(self) -> dict[str, float]:
        """Nothing else."""
        return {}

    def state(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing to take over."""
