"""A recurrent state-space model with categorical latents (Hafner et al. 2019, PlaNet, arXiv:1811.04551; DreamerV2 and V3).

    h_t = GRU(h_{t-1}, [z_{t-1}, a_t])      what has happened so far
    p(z_t | h_t)                            prior: what may be seen after a_t
    q(z_t | h_t, o_t)                       posterior: after it was seen
    o_t, r_t, harm_t  ~  heads(h_t, z_t)    observation by field, utility, log-odds of harm

a_t is the action that leads to o_t. B rows, T steps, F fields, G groups of C classes, H the width of h; Z = G C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from builderbrain.config import build_config, check_bounds
from builderbrain.world.encoding import ACTIONS, FIELDS
from builderbrain.world.latent import probabilities, sample_straight_through

_HEAD_START = 6.0
"""Logit by which an untrained posterior favours the class of an observation's own number. From an even posterior different
observations gather in few classes (four for sixteen ways of being asked) and stay: a class that holds two of them explains
either better than one that nothing uses and whose decoder has therefore learned nothing."""


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Sizes of a world model.

    Args:
        width: of the deterministic state h.
        groups, classes: of the latent z; its size is their product. One group makes every expectation over z exact.
        hidden: width of the heads.
        uniform: share of a categorical's mass that is spread evenly.
        actions, fields: what the numbers of actions and of observed values stand for; a file with others is of another version.
    """

    width: int = 64
    groups: int = 1
    classes: int = 32
    hidden: int = 64
    uniform: float = 0.01
    actions: tuple[str, ...] = ACTIONS
    fields: tuple[tuple[str, ...], ...] = tuple(FIELDS.values())

    def __post_init__(self) -> None:
        sizes = {"width": (4, 4096), "hidden": (4, 4096), "groups": (1, 64), "classes": (2, 64)}
        check_bounds(self, {**sizes, "uniform": (0.0, 0.5)})

    def to_json(self) -> dict[str, Any]:
        """For `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> WorldConfig:
        """Undo `to_json`.

        Raises:
            ConfigError: an unknown key or a value of another type.
        """
        return build_config(cls, value)


class State(NamedTuple):
    """Where a session is: `hidden` [..., H], and a one-hot `latent` [..., G, C]."""

    hidden: Tensor
    latent: Tensor


class WorldModel(nn.Module):
    """Everything is float32; all randomness comes in as uniform noise, so that equal noise gives equal results."""

    def __init__(self, config: WorldConfig) -> None:
        super().__init__()
        self.config = config
        latent, values = config.groups * config.classes, sum(len(field) for field in config.fields)
        self.action = nn.Embedding(len(config.actions), config.hidden)
        self.enter = nn.Linear(latent, config.hidden)
        self.recurrent = nn.GRUCell(config.hidden, config.width)
        self.prior_head = nn.Sequential(nn.Linear(config.width, config.hidden), nn.SiLU(), nn.Linear(config.hidden, latent))
        self.posterior_head = _Head(config.width, values, config.hidden, latent)
        self.observation_head = _Head(config.width, latent, config.hidden, values)
        self.reward_head = _Head(config.width, latent, config.hidden, 1)
        self.risk_head = _Head(config.width, latent, config.hidden, 1)

    @property
    def sizes(self) -> list[int]:
        """Number of values of each field."""
        return [len(field) for field in self.config.fields]

    def start(self, *shape: int) -> State:
        """The state before anything happened, of zeros."""
        config, device = self.config, self.enter.weight.device
        return State(
            torch.zeros(*shape, config.width, device=device), torch.zeros(*shape, config.groups, config.classes, device=device)
        )

    def advance(self, state: State, actions: Tensor) -> Tensor:
        """h after an action. `actions`: int64 [...], as many as the state has rows."""
        entered = nn.functional.silu(self.enter(state.latent.flatten(-2)) + self.action(actions))
        shape = state.hidden.shape
        return self.recurrent(entered.reshape(-1, entered.shape[-1]), state.hidden.reshape(-1, shape[-1])).reshape(shape)

    def prior(self, hidden: Tensor) -> Tensor:
        """p(z | h), [..., G, C]."""
        return probabilities(self._grouped(self.prior_head(hidden)), uniform=self.config.uniform)

    def posterior(self, hidden: Tensor, observation: Tensor) -> Tensor:
        """q(z | h, o), [..., G, C], for `observation` int64 [..., F]."""
        seen = [nn.functional.one_hot(observation[..., index], size).to(hidden.dtype) for index, size in enumerate(self.sizes)]
        own = nn.functional.one_hot(self.own_class(observation), self.config.classes)
        logits = self._grouped(self.posterior_head(hidden, torch.cat(seen, dim=-1))) + _HEAD_START * own.unsqueeze(-2)
        return probabilities(logits, uniform=self.config.uniform)

    def own_class(self, observation: Tensor) -> Tensor:
        """The class that a posterior favours before it has learned, int64 [...]: fields with odd weights, modulo C."""
        weights = torch.arange(len(self.config.fields), device=observation.device) * 2 + 1
        return (observation * weights).sum(-1) % self.config.classes

    def observation_log_probabilities(self, state: State) -> list[Tensor]:
        """log p(field | h, z) by field, each [..., values]."""
        logits = self.observation_head(state.hidden, state.latent.flatten(-2))
        return [part.log_softmax(-1) for part in logits.split(self.sizes, dim=-1)]

    def reward(self, state: State) -> Tensor:
        """Expected utility of the step that led here, [...]."""
        return self.reward_head(state.hidden, state.latent.flatten(-2)).squeeze(-1)

    def risk(self, state: State) -> Tensor:
        """Log-odds that the step that led here did harm, [...]."""
        return self.risk_head(state.hidden, state.latent.flatten(-2)).squeeze(-1)

    def imagine(self, state: State, actions: Sequence[Tensor], noise: Tensor) -> list[State]:
        """States after each of k actions, drawn from the prior.

        Args:
            state: [..., H] and [..., G, C].
            actions: k tensors, int64 [...].
            noise: [k, ..., G], uniform in [0, 1).
        """
        states = []
        for action, uniform in zip(actions, noise, strict=True):
            hidden = self.advance(state, action)
            state = State(hidden, sample_straight_through(self.prior(hidden), uniform))
            states.append(state)
        return states

    def support(self, hidden: Tensor, noise: Tensor) -> tuple[Tensor, State]:
        """What expectations over the prior are taken over: every class when there is one group, else equally weighted draws.

        Args:
            hidden: [..., H].
            noise: [N, ..., G], uniform in [0, 1); its values count for several groups alone.

        Returns:
            Weights [..., N or C] that sum to 1, and states for the heads: hidden [..., 1, H] beside latents [C, 1, C] or
            [..., N, G, C], so that what the heads make of h is computed once for all of them.
        """
        prior = self.prior(hidden)
        beside = hidden.unsqueeze(-2)
        if self.config.groups == 1:
            return prior.squeeze(-2), State(beside, self.classes())
        drawn = sample_straight_through(prior.expand(len(noise), *prior.shape), noise).movedim(0, -3)
        weights = torch.full((*hidden.shape[:-1], len(noise)), 1.0 / len(noise), device=hidden.device)
        return weights, State(beside, drawn)

    def classes(self) -> Tensor:
        """Every value of a latent of one group, [C, 1, C]."""
        return torch.eye(self.config.classes, device=self.enter.weight.device).unsqueeze(1)

    def _grouped(self, logits: Tensor) -> Tensor:
        return logits.unflatten(-1, (self.config.groups, self.config.classes))


class _Head(nn.Module):
    """Two layers over h and something beside it; the leading dimensions of the two broadcast."""

    def __init__(self, width: int, beside: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.from_hidden = nn.Linear(width, hidden)
        self.from_beside = nn.Linear(beside, hidden, bias=False)
        self.leave = nn.Linear(hidden, outputs)

    def forward(self, hidden: Tensor, beside: Tensor) -> Tensor:
        return self.leave(nn.functional.silu(self.from_hidden(hidden) + self.from_beside(beside)))
