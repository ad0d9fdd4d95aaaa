"""One improvement of actor and critic on imagined requests: clipped policy gradient under a price of nats.

The problem is  max E[sum_t r_t]  subject to  E[sum_t KL(pi(.|s_t) || pi0(.|s_t))] <= budget, per request. Its Lagrangian at a
price p is the control problem with rewards r_t - p KL_t, whose optimum is known where everything can be enumerated:

    pi*(a | s) = pi0(a | s) exp((Q(s, a) - V(s)) / p),     V(s) = p log sum_a pi0(a | s) exp(Q(s, a) / p)

(Todorov 2006; Levine 2018, arXiv:1805.00909). The critic tells utility and nats yet to come apart, so that a price that moves
leaves both right: advantage A = A_utility - p A_nats. The actor's loss is PPO's (Schulman et al. 2017, arXiv:1707.06347),
with the KL of the present decision exact:

    -min(ratio A, clip(ratio, 1 - c, 1 + c) A) + p KL(pi || pi0)

Advantages keep their unit: normalised ones would change what the price means.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.train.imagination.config import ImprovementSection
from builderbrain.train.imagination.episodes import Episodes, lambda_returns
from builderbrain.world.policy import Policy, reverse_kl


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the decisions of a batch are trained towards: `advantages` [L, B], `returns` [L, B, 2] in utility and nats."""

    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True, kw_only=True)
class PolicyLoss:
    """`total` is what is minimised; `actor` and `critic` are its parts, scalars."""

    total: Tensor
    actor: Tensor
    critic: Tensor


@torch.no_grad()
def judge(policy: Policy, episodes: Episodes, *, price: float, decay: float) -> Judged:
    """Lambda-returns against the critic, both as they are before the batch is learned from."""
    values = policy.values(episodes.features)
    signals = torch.stack([episodes.rewards, episodes.divergence], dim=-1)
    returns = lambda_returns(signals, values, episodes.present, decay=decay)
    gained = returns - values
    return Judged(advantages=gained[..., 0] - price * gained[..., 1], returns=returns)


def policy_loss(policy: Policy, episodes: Episodes, judged: Judged, section: ImprovementSection, *, price: float) -> PolicyLoss:
    """The loss of a pass, per request."""
    present = episodes.present.float()
    log_policy = policy.log_probabilities(episodes.features, episodes.allowed)
    with torch.no_grad():
        prior = policy.behaviour_log_probabilities(episodes.features, episodes.allowed)
    picked = log_policy.gather(-1, episodes.actions.unsqueeze(-1)).squeeze(-1)
    ratio = (picked - episodes.log_probability).exp()
    clipped = ratio.clamp(1.0 - section.clip, 1.0 + section.clip)
    gain = torch.minimum(ratio * judged.advantages, clipped * judged.advantages)
    actor = ((price * reverse_kl(log_policy, prior) - gain) * present).sum(0).mean()
    error = ((policy.values(episodes.features) - judged.returns) ** 2).sum(-1)
    critic = (error * present).sum(0).mean()
    return PolicyLoss(total=actor + section.critic * critic, actor=actor, critic=critic)
