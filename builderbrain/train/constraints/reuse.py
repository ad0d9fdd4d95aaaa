"""Reuse: prefer skills that were used before, without leaving all work to one.

With pi the smoothed share of each skill in the latest tokens, u the shares of this part and H their entropy,

    pi_k = (n_k + 1) / (sum n + K),   n decays by 2 % a step
    reading = -mean log pi(z) + 2 max(0, log m - H(u))        [nats]

z is the skill that was taken, in value; the gradient goes straight through to the router's probability, as the router's own.
-mean log pi is at least H for any prior, so the reading is at least log m, and only m or more skills in use bring it there: one
skill for all reads 2 log m once the prior has followed it, and more before. m is `skills`, at most K.

Healthy: long-tailed usage, between log m and log K. Smell: one skill takes all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from builderbrain.errors import CheckpointError
from builderbrain.train.constraints.signals import Reads, Signals

_DECAY = 0.98
_PRICE = 2.0
"""Nats for each nat that the entropy of usage is under log m; above 1, so that giving up a skill never pays."""


class Reuse:
    """Surprise of the skills taken under their usage so far, and what is missing of variety. Its memory is the counts n."""

    name = "reuse"
    unit = "nats"
    reads: Reads = "rows"

    def __init__(self, skills: int, least: int) -> None:
        """For K = `skills`; `least` is m."""
        self.counts = [0.0] * skills
        self.variety = math.log(min(skills, least))
        self._new = [0.0] * skills

    def reading(self, signals: Signals) -> Tensor:
        """See the module."""
        goals = signals.goals
        probability = goals.probability[goals.real]
        taken = torch.nn.functional.one_hot(goals.skill[goals.real], len(self.counts)).to(probability.dtype)
        self._new = [old + new for old, new in zip(self._new, taken.sum(0).tolist(), strict=True)]
        return usage_surprise(taken + probability - probability.detach(), self.prior(probability), self.variety)

    def prior(self, like: Tensor) -> Tensor:
        """pi [K]."""
        counts = torch.tensor(self.counts, dtype=like.dtype, device=like.device)
        return (counts + 1.0) / (counts.sum() + len(self.counts))

    def count(self, signals: Signals) -> int:
        """Real tokens of the goals."""
        return int(signals.goals.real.sum())

    def shown(self) -> Any:
        """Tokens by skill."""
        new, self._new = self._new, [0.0] * len(self.counts)
        return new

    def see(self, shown: Any) -> None:
        """See `Constraint`."""
        self._new = [old + new for old, new in zip(self._new, shown, strict=True)]

    def settle(self, *, done: bool) -> None:
        """Let the step's usage into the prior."""
        if done:
            self.counts = [_DECAY * old + new for old, new in zip(self.counts, self._new, strict=True)]
        self._new = [0.0] * len(self.counts)

    def extra(self) -> dict[str, float]:
        """Nothing else: the log has the entropy of usage."""
        return {}

    def state(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": self.counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Constraint`."""
        counts = state.get("counts")
        if not isinstance(counts, list) or len(counts) != len(self.counts):
            raise CheckpointError(f"expected usage counts of {len(self.counts)} skills, got {counts!r}", field="constraints")
        self.counts = [float(count) for count in counts]


def usage_surprise(taken: Tensor, prior: Tensor, variety: float) -> Tensor:
    """See the module. `taken` [M, K] one-hot in value, `prior` [K], `variety` log m."""
    share = taken.mean(0)
    entropy = -(share * share.clamp(min=1e-9).log()).sum()
    return -(share * prior.log()).sum() + _PRICE * (variety - entropy).clamp(min=0.0)
