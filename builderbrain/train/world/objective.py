"""The loss of a world model over a batch of sessions: reconstruction, balanced KL, reward, risk, prediction and rollouts.

The gate lives on what the prior predicts, so that is trained as such, one step ahead at every step and k steps ahead from
one: the consistency of rollouts with what really came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.train.world.config import LossSection
from builderbrain.train.world.sequences import Sequences
from builderbrain.world.latent import sample_straight_through
from builderbrain.world.model import State, WorldModel


@dataclass(frozen=True, kw_only=True)
class WorldLoss:
    """`total` is what is minimised; `terms` are its parts before their weights, scalars."""

    total: Tensor
    terms: Mapping[str, Tensor]


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """KL(first || second) in nats of latents [..., G, C] of positive probabilities, summed over the groups: [...]."""
    return (first * (first.log() - second.log())).sum((-2, -1))


def balanced_kl(posterior: Tensor, prior: Tensor, *, dynamics: float, representation: float, free_nats: float) -> Tensor:
    """dynamics max(f, KL(sg(q) || p)) + representation max(f, KL(q || sg(p))), [...]; sg stops the gradient (DreamerV3, eq. 5).

    The first term moves the prior towards the posterior, the second, weaker, the posterior towards the prior; below `free_nats`
    neither moves anything.
    """
    towards_posterior = kl_divergence(posterior.detach(), prior).clamp(min=free_nats)
    towards_prior = kl_divergence(posterior, prior.detach()).clamp(min=free_nats)
    return dynamics * towards_posterior + representation * towards_prior


def filtered_states(world: WorldModel, batch: Sequences, noise: Tensor) -> tuple[State, Tensor, Tensor]:
    """Run the posterior over every step.

    Args:
        noise: [B, T, G], uniform in [0, 1).

    Returns:
        States [B, T, ...], posteriors and priors, both [B, T, G, C].
    """
    state = world.start(len(batch))
    hiddens, latents, posteriors = [], [], []
    for step in range(batch.actions.shape[1]):
        hidden = world.advance(state, batch.actions[:, step])
        posterior = world.posterior(hidden, batch.observations[:, step])
        state = State(hidden, sample_straight_through(posterior, noise[:, step]))
        hiddens.append(hidden)
        latents.append(state.latent)
        posteriors.append(posterior)
    states = State(torch.stack(hiddens, 1), torch.stack(latents, 1))
    return states, torch.stack(posteriors, 1), world.prior(states.hidden)


def observation_log_probability(world: WorldModel, states: State, observations: Tensor) -> Tensor:
    """log p(o | h, z) over all fields: [...] for observations int64 [..., F]."""
    fields = world.observation_log_probabilities(states)
    picked = [
        log_probability.gather(-1, observations[..., index, None]).squeeze(-1) for index, log_probability in enumerate(fields)
    ]
    return torch.stack(picked).sum(0)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the heads say of a step that was observed, under every latent that expectations over the prior are taken over.

    Args:
        weights: of the latents under the prior, [..., N], sum to 1.
        log_probability: log p(o | h, z), [..., N].
        reward: u(h, z), [..., N].
    """

    weights: Tensor
    log_probability: Tensor
    reward: Tensor

    @property
    def mixture(self) -> Tensor:
        """log p(o | h), [...]."""
        return (self.log_probability + self.weights.log()).logsumexp(-1)

    @property
    def expected_reward(self) -> Tensor:
        """E[r | h], [...]."""
        return (self.weights * self.reward).sum(-1)


def told_by(world: WorldModel, hidden: Tensor, observations: Tensor, noise: Tensor) -> Told:
    """What the prior and the heads say of a step.

    Args:
        hidden: [..., H].
        observations: int64 [..., F].
        noise: [N, ..., G] for `WorldModel.support`.
    """
    weights, support = world.support(hidden, noise)
    seen = observations.unsqueeze(-2).expand(*weights.shape, -1)
    return Told(
        weights=weights, log_probability=observation_log_probability(world, support, seen), reward=world.reward(support)
    )


def reconstructed(
    world: WorldModel, told: Told, posterior: Tensor, states: State, observations: Tensor, rewards: Tensor
) -> tuple[Tensor, Tensor]:
    """E_q[-log p(o | h, z)] and E_q[(r - u(h, z))^2] of N steps, [N]: exact with one group, else of the latent that was drawn.

    The exact expectation gives the posterior a gradient without noise and costs nothing: the prior's terms need every
    class too.

    Args:
        told: of the steps.
        posterior: q(z | h, o), [N, G, C]; `states` are drawn from it.
        observations: int64 [N, F].
        rewards: float32 [N].
    """
    if world.config.groups > 1:
        return -observation_log_probability(world, states, observations), (world.reward(states) - rewards) ** 2
    weights = posterior.squeeze(-2)
    error = (told.reward - rewards.unsqueeze(-1)) ** 2
    return -(weights * told.log_probability).sum(-1), (weights * error).sum(-1)


def rollout_losses(
    world: WorldModel, batch: Sequences, states: State, starts: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Imagine k = 1..K steps from `starts` under the real actions, and hold what is predicted against what came.

    Of M paths of sampled latents the mixture is judged, not each on its own: -log mean_m p(o_{t+k} | path m), with the last
    latent summed over its prior. A single path would be punished for having imagined another answer of a tool than the one
    that came.

    Args:
        states: of the posterior, [B, T, ...].
        starts: int64 [B], the last step that is known.
        noise: [K, M, B, G].

    Returns:
        Losses in nats [K, B], squared errors of the utility [K, B], and whether step t + k is there, bool [K, B].
    """
    steps, paths, rows = noise.shape[:3]
    row = torch.arange(rows, device=starts.device)
    state = State(*(tensor[row, starts].expand(paths, *tensor[row, starts].shape) for tensor in states))
    last = batch.actions.shape[1] - 1
    losses, errors, there = [], [], []
    for step in range(steps):
        place = (starts + step + 1).clamp(max=last)
        present = (starts + step + 1 <= last) & batch.present[row, place]
        hidden = world.advance(state, batch.actions[row, place].expand(paths, rows))
        seen = batch.observations[row, place].expand(paths, rows, -1)
        told = told_by(world, hidden, seen, noise[step].unsqueeze(0))
        losses.append(math.log(paths) - told.mixture.logsumexp(0))
        errors.append(((told.expected_reward.mean(0) - batch.rewards[row, place]) ** 2) * batch.acted[row, place])
        there.append(present)
        state = State(hidden, sample_straight_through(world.prior(hidden), noise[step]))
    return torch.stack(losses), torch.stack(errors), torch.stack(there)


def world_loss(world: WorldModel, batch: Sequences, section: LossSection, generator: torch.Generator) -> WorldLoss:
    """The loss of a batch; equal generators (of the CPU) give equal losses on every device."""
    rows, length = batch.actions.shape
    device = batch.actions.device
    groups = world.config.groups
    states, posterior, prior = filtered_states(world, batch, torch.rand(rows, length, groups, generator=generator).to(device))
    present, acted = batch.present.float(), batch.acted.float()
    kl = balanced_kl(
        posterior, prior, dynamics=section.dynamics, representation=section.representation, free_nats=section.free_nats
    )
    harm = torch.nn.functional.binary_cross_entropy_with_logits(world.risk(states), batch.harmful, reduction="none")
    counts = batch.present.sum(1)
    starts = (torch.rand(rows, generator=generator).to(device) * (counts - 1)).long()
    noise = torch.rand(section.rollout_steps, section.rollout_paths, rows, groups, generator=generator).to(device)
    losses, errors, there = rollout_losses(world, batch, states, starts, noise)
    draws = torch.rand(section.rollout_paths, rows, length, groups, generator=generator).to(device)
    here = batch.present  # from here on the steps that are there, N in all
    seen, rewards = batch.observations[here], batch.rewards[here]
    drawn = State(states.hidden[here], states.latent[here])
    told = told_by(world, drawn.hidden, seen, draws[:, here])
    reconstruction, error = reconstructed(world, told, posterior[here], drawn, seen, rewards)
    terms = {
        "reconstruction": reconstruction.mean(),
        "kl": _mean(kl_divergence(posterior, prior), present).detach(),
        "balanced_kl": _mean(kl, present),
        "reward": error.mean(),
        "risk": _mean(harm, acted),
        "prediction": -told.mixture.mean(),
        "prediction_reward": ((told.expected_reward - rewards) ** 2).mean(),
        "rollout": _mean(losses, there.float()),
        "rollout_reward": _mean(errors, there.float()),
    }
    total = (
        terms["reconstruction"]
        + terms["balanced_kl"]
        + section.reward * terms["reward"]
        + section.risk * terms["risk"]
        + section.prediction * (terms["prediction"] + section.reward * terms["prediction_reward"])
        + section.rollout * (terms["rollout"] + section.reward * terms["rollout_reward"])
    )
    return WorldLoss(total=total, terms=terms)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1.0)
