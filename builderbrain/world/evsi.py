"""The expected value of sample information (Raiffa and Schlaifer 1961), and its upper bound, that of perfect information.

    EVSI = E_o[max_a U(s, o, a)] - max_a E_o[U(s, o, a)] - cost

S states, O observations, A acts. Everything is enumerated, so without its cost EVSI is never below 0: the maximum over acts is
convex, and E_o of what is expected after o is what is expected before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Information:
    """What asking is worth.

    Args:
        now: max_a E[U], the value of the best act without asking.
        after: E_o[max_a U], the expected value of the best act once the answer is known.
        cost: of asking.
    """

    now: float
    after: float
    cost: float

    @property
    def gross(self) -> float:
        """EVSI without the cost."""
        return self.after - self.now

    @property
    def net(self) -> float:
        """EVSI: ask exactly when this is above 0."""
        return self.gross - self.cost


def sample_information(prior: Tensor, likelihood: Tensor, utility: Tensor, *, cost: float = 0.0) -> Information:
    """EVSI of an observation.

    Args:
        prior: P(s), [S].
        likelihood: P(o | s), [S, O]; rows sum to 1.
        utility: U(s, a), [S, A].
        cost: of the observation, in the unit of `utility`.
    """
    prior, likelihood, utility = (tensor.double() for tensor in (prior, likelihood, utility))
    joint = torch.einsum("s,so,sa->oa", prior, likelihood, utility)
    now, after = joint.sum(0).max(), joint.max(-1).values.sum()
    return Information(now=float(now), after=float(torch.maximum(now, after)), cost=cost)  # equal up to rounding


def perfect_information(prior: Tensor, utility: Tensor) -> float:
    """E_s[max_a U(s, a)] - max_a E_s[U(s, a)]: what knowing the state would be worth."""
    prior, utility = prior.double(), utility.double()
    return float(prior @ utility.max(-1).values - (prior @ utility).max())
