"""Requests lived through in a world model's imagination, and what each decision in them then earned.

The world model is frozen. An act's reward is the expected utility E[u(h, z) | h] under the prior; a call's is minus its cost,
and its answer is drawn from the prior. Each tool can be called once, so that a request always ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.train.imagination.starts import COSTS, IS_ACT, MAX_DECISIONS, Starts
from builderbrain.world.latent import sample_straight_through
from builderbrain.world.model import State, WorldModel
from builderbrain.world.policy import Policy, features, reverse_kl


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """B requests of at most L decisions.

    Args:
        features: before each decision, float32 [L, B, D].
        allowed: bool [L, B, A].
        actions: that were drawn, int64 [L, B].
        log_probability: of those under the policy that drew them, [L, B].
        divergence: KL(pi || pi0) of that policy, [L, B]; 0 where no decision is.
        rewards: in utility, [L, B]; 0 where no decision is.
        present: whether the decision is there, bool [L, B]; a request ends with its last one.
    """

    features: Tensor
    allowed: Tensor
    actions: Tensor
    log_probability: Tensor
    divergence: Tensor
    rewards: Tensor
    present: Tensor

    @property
    def earned(self) -> Tensor:
        """Net utility of each request, [B]."""
        return self.rewards.sum(0)

    @property
    def spent(self) -> Tensor:
        """KL(pi || pi0) of each request in nats, [B]: by the chain rule the mean is that of whole requests."""
        return self.divergence.sum(0)

    @property
    def calls(self) -> Tensor:
        """Calls in each request, [B]."""
        return self.present.sum(0) - 1


@torch.no_grad()
def imagine_requests(
    world: WorldModel, policy: Policy, starts: Starts, generator: torch.Generator, *, behave: bool = False
) -> Episodes:
    """Live through one request from each start; equal generators (of the CPU) give equal ones.

    Args:
        behave: by the behaviour prior instead of the actor.
    """
    device = starts.allowed.device
    rows, groups = len(starts), world.config.groups
    costs, is_act = COSTS.to(device), IS_ACT.to(device)
    state, allowed = starts.state, starts.allowed
    present = torch.ones(rows, dtype=torch.bool, device=device)
    steps: list[tuple[Tensor, ...]] = []
    for _ in range(MAX_DECISIONS):
        seen = features(state)
        prior = policy.behaviour_log_probabilities(seen, allowed)
        log_policy = prior if behave else policy.log_probabilities(seen, allowed)
        draw, noise = (torch.rand(rows, *more, generator=generator).to(device) for more in ((), (groups,)))
        actions = draw_actions(log_policy, draw)
        hidden = world.advance(state, actions)
        weights, support = world.support(hidden, noise.unsqueeze(0))
        utility = (weights * world.reward(support)).sum(-1)
        rewards = torch.where(is_act[actions], utility, -costs[actions])
        picked = log_policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        divergence = reverse_kl(log_policy, prior)
        steps.append((seen, allowed, actions, picked, divergence * present, rewards * present, present))
        state = State(hidden, sample_straight_through(world.prior(hidden), noise))
        allowed = allowed & ~torch.nn.functional.one_hot(actions, allowed.shape[-1]).bool() | is_act
        present = present & ~is_act[actions]
    seen, may, actions, picked, divergence, rewards, there = (torch.stack(column) for column in zip(*steps, strict=True))
    return Episodes(
        features=seen,
        allowed=may,
        actions=actions,
        log_probability=picked,
        divergence=divergence,
        rewards=rewards,
        present=there,
    )


def draw_actions(log_probabilities: Tensor, noise: Tensor) -> Tensor:
    """Actions by inverting the cumulative distribution, int64 [...]; never one of probability 0. `noise`: [...] in [0, 1)."""
    probabilities = log_probabilities.exp()
    index = sample_straight_through(probabilities, noise).argmax(-1)
    impossible = probabilities.gather(-1, index.unsqueeze(-1)).squeeze(-1) == 0
    return torch.where(impossible, probabilities.argmax(-1), index)


def lambda_returns(rewards: Tensor, values: Tensor, present: Tensor, *, decay: float) -> Tensor:
    """G_t = r_t + (1 - decay) V_{t+1} + decay G_{t+1}; both are 0 beyond the end (Sutton and Barto 2018, section 12.1).

    Args:
        rewards, values: [L, B, K] of K signals.
        present: bool [L, B].
    """
    returns = torch.zeros_like(rewards)
    later_value = later_return = torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        there = present[step].unsqueeze(-1)
        later_return = (rewards[step] + (1.0 - decay) * later_value + decay * later_return) * there
        later_value = values[step] * there
        returns[step] = later_return
    return returns
