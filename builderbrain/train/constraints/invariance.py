"""Invariance: the same workflow is as easy under other skins, in other layouts, behind a wrong step.

With R_e the weighted cross-entropy of the answer tokens of environment e in a part, and R_best the lowest of them, taken as a
constant,

    reading = mean over e of (R_e - R_best)^2        [(nats/token)^2]

This is V-REx (Krueger et al. 2021, "Out-of-Distribution Generalization via Risk Extrapolation", equation 8) with the best
environment in place of the mean. The variance around the mean falls as well when the easy environments become hard, and its
gradient pushes them there; this one moves only the hard ones, and down. (IRMv1 needs the logits, which the loss never holds.)

Healthy: falls to the spread that the environments' own difficulty leaves. Smell: good in none instead of in all. Parts
of fewer than two environments say nothing; rows are counted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from builderbrain.train.constraints.signals import Reads, Signals, WithoutMemory


class Invariance(WithoutMemory):
    """Spread of the risk over the environments of a part, above the best of them."""

    name = "invariance"
    unit = "(nats/token)^2"
    reads: Reads = "rows"

    def reading(self, signals: Signals) -> Tensor | None:
        """See the module."""
        if not self.count(signals):
            return None
        goals = signals.goals
        return spread(signals.answer.cross_entropy, goals.weights, goals.environment[goals.row])

    def count(self, signals: Signals) -> int:
        """Rows, where they are of two environments at least."""
        environment = signals.goals.environment
        return len(environment) if len(environment.unique()) > 1 else 0


def spread(loss: Tensor, weights: Tensor, environment: Tensor) -> Tensor:
    """See the module; [N] each, environments numbered from 0. Environments without weight have no risk."""
    size = int(environment.max()) + 1
    weight = torch.zeros(size, device=loss.device).index_add(0, environment, weights)
    total = torch.zeros(size, device=loss.device, dtype=loss.dtype).index_add(0, environment, loss * weights)
    risk = total[weight > 0] / weight[weight > 0]
    return (risk - risk.min().detach()).square().mean()
