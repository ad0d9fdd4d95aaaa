"""Where requests begin and what was done in them, read from sessions through a world model's posterior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.train.world.objective import filtered_states
from builderbrain.train.world.sequences import Sequences
from builderbrain.world.decision import ACTS, DECISION_DOMAINS
from builderbrain.world.encoding import ACTIONS, FIELDS, LISTEN, action_number
from builderbrain.world.model import State, WorldModel
from builderbrain.world.policy import features

_LISTEN = ACTIONS.index(LISTEN)
_ASKED = tuple(FIELDS).index("asked")
COSTS = torch.tensor(
    [
        next((d.costs[tool] for d in DECISION_DOMAINS if (tool := name.removeprefix(f"{d.name}.")) in d.costs), 0.0)
        for name in ACTIONS
    ]
)
"""Declared cost of every action, float32 [A]; acts and `listen` cost nothing."""
IS_ACT = torch.tensor([name in ACTS for name in ACTIONS])
"""bool [A]."""
MAX_DECISIONS = 1 + max(len(domain.costs) for domain in DECISION_DOMAINS)
"""Of a request: each tool once at most, and an act."""


@dataclass(frozen=True, kw_only=True)
class Starts:
    """N requests that were just heard: states of the posterior [N, ...], and what may be done, `allowed` bool [N, A]."""

    state: State
    allowed: Tensor

    def __len__(self) -> int:
        return len(self.allowed)

    def rows(self, index: Tensor) -> Starts:
        """Some of them, int64 [M]."""
        return Starts(state=State(*(tensor[index] for tensor in self.state)), allowed=self.allowed[index])


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """N decisions of whoever told the traces: `features` [N, D] before it, `allowed` bool [N, A], `actions` int64 [N]."""

    features: Tensor
    allowed: Tensor
    actions: Tensor

    def __len__(self) -> int:
        return len(self.actions)

    def rows(self, index: Tensor) -> Decisions:
        """Some of them, int64 [M]."""
        return Decisions(features=self.features[index], allowed=self.allowed[index], actions=self.actions[index])


@torch.no_grad()
def read_sessions(world: WorldModel, sequences: Sequences, *, seed: int) -> tuple[Starts, Decisions]:
    """Filter the sessions once; equal seeds draw equal latents."""
    generator = torch.Generator().manual_seed(seed)
    rows, length = sequences.actions.shape
    noise = torch.rand(rows, length, world.config.groups, generator=generator).to(sequences.actions.device)
    states = filtered_states(world, sequences, noise)[0]
    allowed = allowed_actions(sequences)
    heard = sequences.present & (sequences.actions == _LISTEN)
    starts = Starts(state=State(*(tensor[heard] for tensor in states)), allowed=allowed[heard])
    decided = (sequences.present & (sequences.actions != _LISTEN))[:, 1:]
    decisions = Decisions(
        features=features(states)[:, :-1][decided],
        allowed=allowed[:, :-1][decided],
        actions=sequences.actions[:, 1:][decided],
    )
    return starts, decisions


def allowed_actions(sequences: Sequences) -> Tensor:
    """What may be done after each step, bool [N, T, A]: the acts, and the domain's tools not yet called for the request."""
    rows, length = sequences.actions.shape
    by_asked = _allowed_by_asked().to(sequences.actions.device)
    allowed = torch.zeros(rows, length, len(ACTIONS), dtype=torch.bool, device=sequences.actions.device)
    current = torch.zeros(rows, len(ACTIONS), dtype=torch.bool, device=sequences.actions.device)
    for step in range(length):
        actions = sequences.actions[:, step]
        called = torch.nn.functional.one_hot(actions, len(ACTIONS)).bool() & ~IS_ACT.to(actions.device)
        heard = (actions == _LISTEN).unsqueeze(1)
        current = torch.where(heard, by_asked[sequences.observations[:, step, _ASKED]], current & ~called)
        allowed[:, step] = current
    return allowed


def _allowed_by_asked() -> Tensor:
    """bool [values of `asked`, A]."""
    table = torch.zeros(len(FIELDS["asked"]), len(ACTIONS), dtype=torch.bool)
    for number, asked in enumerate(FIELDS["asked"]):
        name = asked.partition("/")[0]
        for domain in DECISION_DOMAINS:
            if domain.name == name:
                table[number, [action_number(name, tool) for tool in (*domain.costs, *ACTS)]] = True
    return table
