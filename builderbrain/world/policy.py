"""A policy over tools and acts, and its critic: small networks over the state (h, z) of a world model.

    pi(a | h, z)     actor
    pi0(a | h, z)    the behaviour prior: a clone of whoever told the traces
    V(h, z)          critic, two numbers until the request ends: utility yet to be earned, nats of KL(pi || pi0) yet to be spent

Of all actions only those count that may be taken: the acts, and the domain's tools that were not yet called for the request.
`builderbrain/train/imagination/` trains all three. A rows, D = H + Z features, A actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from builderbrain.config import build_config, check_bounds
from builderbrain.world.decision import ACTS, DecisionDomain
from builderbrain.world.encoding import ACTIONS, action_number
from builderbrain.world.gate import Belief
from builderbrain.world.model import State

_FORBIDDEN = -1e9
"""Logit of what may not be done: finite, so that 0 times its logarithm is 0."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Sizes of a policy.

    Args:
        features: width D of the state it reads.
        hidden: width of the networks.
        world: sha256 of the weights of the world model in which it was trained; with another one its features mean nothing.
        actions: what the numbers of actions stand for.
    """

    features: int
    hidden: int = 64
    world: str
    actions: tuple[str, ...] = ACTIONS

    def __post_init__(self) -> None:
        check_bounds(self, {"features": (1, 2**20), "hidden": (4, 4096)})

    def to_json(self) -> dict[str, Any]:
        """For `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PolicyConfig:
        """Undo `to_json`.

        Raises:
            ConfigError: an unknown key or a value of another type.
        """
        return build_config(cls, value)


class Policy(nn.Module):
    """Actor, behaviour prior and critic; float32."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.actor = _network(config, len(config.actions))
        self.behaviour = _network(config, len(config.actions))
        self.critic = _network(config, 2)

    def log_probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """log pi, [..., A]; about -1e9 for what is not allowed.

        Args:
            features: [..., D].
            allowed: bool [..., A], at least one a row.
        """
        return _masked(self.actor(features), allowed)

    def behaviour_log_probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """log pi0, [..., A]; arguments as of `log_probabilities`."""
        return _masked(self.behaviour(features), allowed)

    def values(self, features: Tensor) -> Tensor:
        """V, [..., 2]: utility and nats."""
        return self.critic(features)

    @torch.no_grad()
    def choose(self, domain: DecisionDomain, belief: Belief, *, without: Iterable[str] = (), only: Sequence[str] = ()) -> str:
        """The most probable tool or act, averaged over what is believed.

        Args:
            without: tools that are not to be considered, such as those already called for this request.
            only: what to choose from instead, e.g. the acts alone.
        """
        names = only or [*(tool for tool in domain.costs if tool not in set(without)), *ACTS]
        allowed = torch.zeros(len(self.config.actions), dtype=torch.bool, device=belief.weights.device)
        numbers = [action_number(domain.name, name) for name in names]
        allowed[numbers] = True
        probabilities = belief.weights @ self.log_probabilities(features(belief.state), allowed).exp()
        return names[int(probabilities[numbers].argmax())]


def features(state: State) -> Tensor:
    """What a policy reads of a state: [h, z], [..., D]."""
    return torch.cat([state.hidden, state.latent.flatten(-2)], dim=-1)


def reverse_kl(log_policy: Tensor, log_prior: Tensor) -> Tensor:
    """KL(pi || pi0) in nats, [...] for log-probabilities [..., A] under one mask."""
    return (log_policy.exp() * (log_policy - log_prior)).sum(-1)


def _masked(logits: Tensor, allowed: Tensor) -> Tensor:
    return logits.masked_fill(~allowed, _FORBIDDEN).log_softmax(-1)


def _network(config: PolicyConfig, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(config.features, config.hidden), nn.SiLU(), nn.Linear(config.hidden, outputs))
