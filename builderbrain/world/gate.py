"""The gate that asks a tool exactly when the answer is worth more than the call.

What has happened so far is filtered by the posterior into P particles. For a tool, the state s of the formula in `evsi` is
a pair of a particle and a class of the latent that the prior allows after the call; P(o | s) comes from the observation
head, over every combination of the fields that a result can move; U(s, a) is the expected reward of an act imagined from s.
With one group of classes nothing but the particles is drawn, and their noise is fixed by a seed: equal histories give equal
verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from builderbrain.world.decision import ACTS, DecisionDomain
from builderbrain.world.encoding import ACTIONS, FIELDS, RESULT_FIELDS, Step, action_number
from builderbrain.world.evsi import Information, sample_information
from builderbrain.world.latent import sample_straight_through
from builderbrain.world.model import State, WorldModel

_ACT_NUMBERS = tuple(ACTIONS.index(act) for act in ACTS)
_DRAWS = 64
"""Draws of a latent of several groups."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says.

    Args:
        tool: the one to call, None to act now.
        act: the best act as things are.
        utilities: expected utility of each act now, by name.
        worth: what each tool that was considered is worth.
    """

    tool: str | None
    act: str
    utilities: Mapping[str, float]
    worth: Mapping[str, Information]


class Particles(NamedTuple):
    """`state`s [P] drawn along a history, and the classes they took, `paths` int64 [P, 1 + T]."""

    state: State
    paths: Tensor


class Belief(NamedTuple):
    """What is known after a history: different `state`s [P] with `weights` [P] that sum to 1."""

    state: State
    weights: Tensor


class AskGate:
    """A world model as a gate. Reads only; `particles` [P] and `seed` fix its draws."""

    def __init__(self, world: WorldModel, *, particles: int = 4, seed: int = 0) -> None:
        self.world = world
        self.particles = particles
        self.seed = seed

    @torch.no_grad()
    def ask(
        self, domain: DecisionDomain, history: Sequence[Step], *, without: Iterable[str] = (), scale: float = 1.0
    ) -> Verdict:
        """Whether to call a tool now, and which.

        Args:
            domain: its acts, tools and costs.
            history: every step of the session so far.
            without: tools that are not to be considered, such as those already called for this request.
            scale: multiplies the costs.
        """
        return self.judge(domain, self.believe(history), without=without, scale=scale)

    @torch.no_grad()
    def judge(self, domain: DecisionDomain, belief: Belief, *, without: Iterable[str] = (), scale: float = 1.0) -> Verdict:
        """What `ask` says, for a belief that is known already."""
        values = belief.weights @ self.utilities(belief.state)
        worth = {
            tool: self.information(domain, belief, tool, cost=scale * cost)
            for tool, cost in domain.costs.items()
            if tool not in set(without)
        }
        best = max(worth, key=lambda tool: worth[tool].net, default=None)
        return Verdict(
            tool=best if best is not None and worth[best].net > 0 else None,
            act=ACTS[int(values.argmax())],
            utilities=dict(zip(ACTS, values.tolist(), strict=True)),
            worth=worth,
        )

    def believe(self, history: Iterable[Step]) -> Belief:
        """The belief after a history."""
        particles = self.begin()
        for step in history:
            particles = self.follow(particles, step)
        return self.belief(particles)

    def begin(self) -> Particles:
        """Before anything happened."""
        return Particles(self.world.start(self.particles), torch.zeros(self.particles, 1, dtype=torch.int64))

    @torch.no_grad()
    def follow(self, particles: Particles, step: Step) -> Particles:
        """The particles after one more step."""
        action, observation = step
        state, device = particles.state, particles.state.hidden.device
        hidden = self.world.advance(state, torch.full((self.particles,), action, device=device))
        seen = torch.tensor(observation, device=device).expand(self.particles, -1)
        noise = self._noise(particles.paths.shape[1], self.particles)
        latent = sample_straight_through(self.world.posterior(hidden, seen), noise)
        classes = latent.argmax(-1) @ self.world.config.classes ** torch.arange(latent.shape[-2], device=device)
        return Particles(State(hidden, latent), torch.cat([particles.paths, classes.unsqueeze(1).cpu()], dim=1))

    def belief(self, particles: Particles) -> Belief:
        """Those that went the same way as one, with their weights together."""
        _, group, counts = torch.unique(particles.paths, dim=0, return_inverse=True, return_counts=True)
        state = particles.state
        first = torch.stack([(group == number).nonzero()[0, 0] for number in range(len(counts))]).to(state.hidden.device)
        weights = (counts / self.particles).to(state.hidden.device)
        return Belief(State(state.hidden[first], state.latent[first]), weights)

    @torch.no_grad()
    def utilities(self, state: State) -> Tensor:
        """Expected utility of every act from states [S]: float32 [S, A] on their device."""
        rows = len(state.hidden)
        acts = torch.tensor(_ACT_NUMBERS, device=state.hidden.device)
        repeated = State(*(tensor.repeat_interleave(len(acts), 0) for tensor in state))  # [S A, ...]
        hidden = self.world.advance(repeated, acts.repeat(rows))
        weights, states = self.world.support(hidden, self._noise(-1, _DRAWS, rows * len(acts)))
        return (weights * self.world.reward(states)).sum(-1).reshape(rows, len(acts))

    @torch.no_grad()
    def information(self, domain: DecisionDomain, belief: Belief, tool: str, *, cost: float) -> Information:
        """What calling a tool is worth."""
        rows = len(belief.weights)
        action = torch.full((rows,), action_number(domain.name, tool), device=belief.weights.device)
        prior, support = self.world.support(self.world.advance(belief.state, action), self._noise(-2, _DRAWS, rows))
        states = State(
            support.hidden.expand(*prior.shape, -1).flatten(0, 1), support.latent.expand(*prior.shape, -1, -1).flatten(0, 1)
        )
        prior = (belief.weights.unsqueeze(-1) * prior).flatten()
        return sample_information(prior, self.result_probabilities(states), self.utilities(states), cost=cost)

    def result_probabilities(self, states: State) -> Tensor:
        """P(o | s) over every combination of `RESULT_FIELDS`, float32 [S, O]; rows sum to 1."""
        fields = dict(zip(FIELDS, self.world.observation_log_probabilities(states), strict=True))
        joint = torch.ones(len(states.hidden), 1, device=states.hidden.device)
        for name in RESULT_FIELDS:
            joint = (joint.unsqueeze(-1) * fields[name].exp().unsqueeze(-2)).flatten(-2)
        return joint

    def _noise(self, number: int, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 10_007 + number + 2)
        noise = torch.rand(*shape, self.world.config.groups, generator=generator)
        return noise.to(self.world.enter.weight.device)
