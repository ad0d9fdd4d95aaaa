"""Grammar prior: probability mass belongs on grammar-legal tokens.

    E = -log sum over legal v of p[v],   reading = mean(max(0, E - tolerance))   [nats]

Healthy: near 0 on valid text. Smells: the violation rate rises while the loss falls; masks that allow everything, which
make it trivially 0 (the count and the mean number of legal tokens are logged).
"""

from __future__ import annotations

from torch import Tensor

from builderbrain.train.constraints.signals import Reads, Signals, WithoutMemory


class CFSEnergy(WithoutMemory):
    """Mean grammar energy above `tolerance` nats at the answer tokens."""

    name = "cfs_energy"
    unit = "nats"
    reads: Reads = "answer"

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def reading(self, signals: Signals) -> Tensor:
        """See the module."""
        return (signals.answer.energy - self.tolerance).clamp(min=0.0).mean()

    def count(self, signals: Signals) -> int:
        """Answer tokens."""
        return signals.answer.energy.numel()
