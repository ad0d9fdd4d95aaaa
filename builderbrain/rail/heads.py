"""Concept vector and policy heads: what the builder understood of a goal, before any plan is decoded.

All of them read the builder's features over the prompt alone. The concept vector is their mean over real positions
(last-token pooling collapses). Span slots point at the prompt: a start and an end (exclusive) position, or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from builderbrain.rail.config import RailConfig


@dataclass(frozen=True, kw_only=True)
class PolicyOutput:
    """Unnormalised scores over a prompt of T tokens.

    `concept` [B, c]; `intent` [B, I]; `actions` [B, A, 1 + number of actions] (0 is none); `span_start`, `span_end`
    [B, S, T + 1], where index T is "no such span"; `choices` one [B, C] per choice slot.
    """

    concept: Tensor
    intent: Tensor
    actions: Tensor
    span_start: Tensor
    span_end: Tensor
    choices: tuple[Tensor, ...]


class PolicyHeads(nn.Module):
    """Heads over features [B, T, c] of a prompt."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        c, slots = config.width, len(config.span_slots)
        self.max_actions, self.slots = config.max_actions, slots
        self.intent = nn.Linear(c, max(1, len(config.intents)))
        self.actions = nn.Linear(c, config.max_actions * (1 + len(config.actions)))
        self.choices = nn.ModuleList(nn.Linear(c, len(options)) for _, options in config.choice_slots)
        self.span_query = nn.Linear(c, 2 * slots * c, bias=False)
        self.span_bias = nn.Linear(c, 2 * slots)
        self.span_none = nn.Linear(c, 2 * slots)

    def forward(self, features: Tensor, lengths: Tensor) -> PolicyOutput:
        """Read a prompt: `features` [B, T, c], right-padded; `lengths` int64 [B] real positions, at least 1 each."""
        batch, length, width = features.shape
        real = torch.arange(length, device=features.device) < lengths[:, None]
        concept = (features * real[..., None]).sum(1) / lengths[:, None]
        query = self.span_query(concept).view(batch, 2 * self.slots, width) * width**-0.5
        scores = query @ features.transpose(1, 2) + self.span_bias(features).transpose(1, 2)
        scores = scores.masked_fill(~real[:, None, :], -torch.inf)
        scores = torch.cat([scores, self.span_none(concept)[..., None]], -1)
        start, end = scores.chunk(2, 1)
        return PolicyOutput(
            concept=concept,
            intent=self.intent(concept),
            actions=self.actions(concept).view(batch, self.max_actions, -1),
            span_start=start,
            span_end=end,
            choices=tuple(head(concept) for head in self.choices),
        )
