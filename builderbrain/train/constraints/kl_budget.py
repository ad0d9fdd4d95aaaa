"""Rational inattention: where nothing is asked of the builder, it leaves the base alone.

    reading = mean KL(p || p_0) over tokens of ordinary text   [nats/token]

p_0 is the base. On plans the builder must differ from a base that knows none, so the budget is spent on base text, where
it also bounds forgetting. Healthy: 0.01 to 0.1. Smells: steady overshoot; exactly 0, a builder that does nothing.
"""

from __future__ import annotations

from torch import Tensor

from builderbrain.train.constraints.signals import Reads, Signals, WithoutMemory


class KLBudget(WithoutMemory):
    """Mean divergence from the base on ordinary text."""

    name = "kl_budget"
    unit = "nats/token"
    reads: Reads = "base_text"

    def reading(self, signals: Signals) -> Tensor | None:
        """See the module; None without ordinary text in the batch."""
        return None if signals.base_text is None else signals.base_text.divergence.mean()

    def count(self, signals: Signals) -> int:
        """Tokens of ordinary text."""
        return 0 if signals.base_text is None else signals.base_text.divergence.numel()
