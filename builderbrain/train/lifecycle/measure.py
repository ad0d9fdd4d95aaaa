"""What an operation on skills is judged by: the held-out loss, how many tokens each skill takes, and which carry the loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.rail.pair import Pair
from builderbrain.train.batch import Batch
from builderbrain.train.objective import compute_objective


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`loss`: held-out plan loss, nats per token. By row, float32 [K] on the CPU: real tokens (`usage`), and the weighted
    loss of the answer tokens that it answers for (`carried`)."""

    loss: float
    usage: Tensor
    carried: Tensor

    @property
    def entropy(self) -> float:
        """Of usage, nats."""
        share = self.usage / self.usage.sum()
        return float(-(share * share.clamp(min=1e-9).log()).sum())


@torch.no_grad()
def measure(pair: Pair, batch: Batch) -> Measured:
    """Run held-out rows as at run time; the rail's mode is left as it was."""
    rail = pair.rail
    if rail is None:
        raise ValueError("expected a pair with a rail, got a base alone")
    training = rail.training
    rail.eval()
    objective = compute_objective(pair, batch)
    rail.train(training)
    skills, goals = rail.config.num_skills, objective.signals.goals
    losses = objective.signals.answer.cross_entropy * batch.weights
    carried = objective.skills.flatten()[batch.positions].bincount(losses.float(), minlength=skills)
    return Measured(
        loss=float(objective.plan),
        usage=goals.skill[goals.real].bincount(minlength=skills).float().cpu(),
        carried=carried.float().cpu(),
    )
