"""What each token of a goal is, told halfway up the rail: in which kind of clause, part of which name, asking for which step.

The heads read the stream after half of the blocks, and what they find enters the stream again (stack-propagation, Zhang
and Weiss 2016): of the token itself, of the tokens where the reading head stands, and of the tokens that an attention over
labels alone finds. The blocks above are told "the name has ended" or "step three is a search" and need not find out:

    p(t)      = softmax(W norm(x_t) + b) per slot of `config.token_slots`, all slots side by side
    s_h(t, j) = p(t)^T A_h p(j) + b_h^T p(j)
    r_h(t)    = sum_j a_h p(j),   a_h = softmax_j(s_h(t, j)),   j <= t,   h = 1, 2
    x_t      += E [p(t), p(place(t)), ..., p(place(t) + 2), r_1(t), r_2(t)]

s_3 is added to the scores of the copy attention. The last slot is the step. A_1 begins by pairing equal steps, A_2 each step
with the next one, A_3 equal options of the last two slots, and b by looking away from tokens of no clause: where the plan
writes a step, r_1 tells what the goal asks of it, r_2 what of the step after it, and s_3 where the name it needs begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from builderbrain.rail.cache import LabelCache
from builderbrain.rail.config import RailConfig, TokenSlots
from builderbrain.rail.lookup import rows_at
from builderbrain.rail.stream_norm import StreamNorm

_LOOKUPS = 2
_AHEAD = 3
_SHARPNESS = 6.0
"""Of the pairing at the start: scores of certain labels differ by it."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """`enters` [B, T, c]: what enters the stream. `scores`: [B, T, 1 + options] per slot, unnormalised, 0 is none.
    `copying` [B, T, P + T]: what is added to the scores of the copy attention.
    """

    enters: Tensor
    scores: tuple[Tensor, ...]
    copying: Tensor


class TokenLabels(nn.Module):
    """One head per slot of `config.token_slots`, each over "none" and the slot's options."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.sizes = tuple(1 + len(options) for _, options in config.token_slots)
        total = sum(self.sizes)
        self.norm = StreamNorm(config.width)
        self.score = nn.Linear(config.width, total)
        self.enter = nn.Linear((1 + _AHEAD + _LOOKUPS) * total, config.width, bias=False)
        steps = torch.arange(total - self.sizes[-1] + 1, total)
        names = torch.arange(total - sum(self.sizes[-2:]) + 1, total - self.sizes[-1])
        pairs = torch.zeros(_LOOKUPS + 1, total, total)
        pairs[0, steps, steps] = _SHARPNESS
        pairs[1, steps[:-1], steps[1:]] = _SHARPNESS
        pairs[2, steps, steps] = pairs[2, names, names] = _SHARPNESS / 2
        self.pairs = nn.Parameter(pairs)
        away = torch.zeros(_LOOKUPS + 1, total)
        away[:_LOOKUPS, 0] = -_SHARPNESS
        self.away = nn.Parameter(away)

    @torch.no_grad()
    def take_over(self, other: TokenLabels, mine: TokenSlots, theirs: TokenSlots) -> None:
        """Know options of the same name in a slot of the same name as `other` knows them; `mine` and `theirs` are the slots."""
        known = {option: at for at, option in enumerate(_numbered(theirs))}
        numbered = [(at, known[option]) for at, option in enumerate(_numbered(mine)) if option in known]
        here, there = torch.tensor(numbered, device=self.away.device).reshape(-1, 2).unbind(1)
        self.norm.load_state_dict(other.norm.state_dict())
        self.score.weight[here] = other.score.weight[there]
        self.score.bias[here] = other.score.bias[there]
        blocks = 1 + _AHEAD + _LOOKUPS
        enter, known_enter = (one.enter.weight.view(one.enter.out_features, blocks, -1) for one in (self, other))
        enter[:, :, here] = known_enter[:, :, there]
        self.pairs[:, here[:, None], here] = other.pairs[:, there[:, None], there]
        self.away[:, here] = other.away[:, there]

    def forward(self, x: Tensor, place: Tensor, *, offset: int, cache: LabelCache | None) -> Labels:
        """Label T new tokens; `place` int64 [B, T] is where the reading head stands. Extends `cache`."""
        scores = cast(tuple[Tensor, ...], self.score(self.norm(x)).split(self.sizes, -1))
        own = torch.cat([score.softmax(-1) for score in scores], -1)
        known = own if cache is None else cache.extend(own)
        positions = torch.arange(known.shape[1], device=x.device)
        match = own[:, None] @ self.pairs @ known[:, None].transpose(2, 3) + (self.away @ known.transpose(1, 2))[:, :, None]
        lookup = match[:, :_LOOKUPS].masked_fill(positions > positions[offset:, None], -torch.inf)
        found = lookup.softmax(-1) @ known[:, None]
        # A place past the last token has nothing to tell yet.
        places = place[..., None] + torch.arange(_AHEAD, device=x.device)
        readable = places <= positions[offset:, None]
        there = rows_at(known, torch.where(readable, places, 0)) * readable[..., None]
        told = torch.cat([own, there.flatten(2), *found.unbind(1)], -1)
        return Labels(enters=self.enter(told), scores=scores, copying=match[:, _LOOKUPS])


def _numbered(slots: TokenSlots) -> list[tuple[str, str]]:
    """Every option of every slot in the order of the labels, "none" first in each."""
    return [(slot, option) for slot, options in slots for option in ("", *options)]
