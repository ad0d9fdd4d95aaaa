"""Skills: named low-rank adapters of the builder, one chosen per token.

The router is straight-through Gumbel-softmax (Jang et al. 2017) in training and argmax at run time. It draws from
`softmax(scores / temperature)`: as the temperature falls, training draws what run time takes. (Dividing the noise as well
would leave every draw as random as at the start, since the argmax does not see a common factor.) Only the chosen skill is
computed; its output is scaled by `1 + p - stop_gradient(p)`, which is 1 in value and lets the router learn.

A skill answers for all that the builder says at its tokens. So an ablated one adds nothing to the stream, and the builder
proposes nothing where it was chosen: the base speaks there, bit for bit, whatever the rest of the rail has learned.

Where a skill book (`builderbrain.rail.skill_book`) says so, rows of the router are closed, which no token takes, in training or
at run time, or lead to the row of another skill, which answers for their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bbkernels.skill_adapter import skill_adapter
from builderbrain.rail.config import RailConfig
from builderbrain.rail.stream_norm import StreamNorm


@dataclass(frozen=True, kw_only=True)
class SkillChoice:
    """Per token: `skill` int64 [B, T], the row of adapters that answers, `scale` [B, T] (1 in value), `score` [B, T, K] of the
    router before any noise, and `probability` [B, T, K] after it. A rail with aliases has scores [B, T, K + aliases]."""

    skill: Tensor
    scale: Tensor
    score: Tensor
    probability: Tensor

    def is_one_of(self, skills: frozenset[int]) -> Tensor:
        """bool [B, T]: where one of these is taken."""
        return torch.isin(self.skill, torch.tensor(sorted(skills), dtype=torch.int64, device=self.skill.device))


class SkillRouter(nn.Module):
    """Chooses one skill per token from the builder's state [B, T, c]."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.norm = StreamNorm(config.width)
        self.score = nn.Linear(config.width, config.num_routes, bias=False)
        self.num_skills = config.num_skills
        self.closed: Tensor | None
        self.answers: Tensor | None
        self.register_buffer("closed", None, persistent=False)
        self.register_buffer("answers", None, persistent=False)

    def follow(self, leads: Sequence[int | None]) -> None:
        """Close the rows that lead nowhere, and let the others lead to these rows of adapters (a skill book's `leads`)."""
        closed = torch.tensor([lead is None for lead in leads], device=self.score.weight.device)
        answers = torch.tensor([0 if lead is None else lead for lead in leads], device=self.score.weight.device)
        own = list(range(self.num_skills)) == list(leads)
        self.closed, self.answers = (None, None) if own else (closed, answers)

    def forward(self, x: Tensor, *, gumbel: Tensor | None = None, temperature: float = 1.0) -> SkillChoice:
        """Choose; `gumbel` [B, T, K + aliases] is noise for training, None takes the argmax."""
        scores = self.score(self.norm(x))
        noisy = scores if gumbel is None else scores / temperature + gumbel
        probability = noisy.softmax(-1)
        if self.closed is not None and self.answers is not None:
            return self._led(scores, noisy, probability.detach(), self.closed, self.answers)
        skill = noisy.argmax(-1)
        chosen = probability.gather(-1, skill[..., None])[..., 0]
        return SkillChoice(skill=skill, scale=1.0 + chosen - chosen.detach(), score=scores, probability=probability)

    def _led(self, scores: Tensor, noisy: Tensor, unled: Tensor, closed: Tensor, answers: Tensor) -> SkillChoice:
        """The choice among open rows. `unled` [B, T, K + aliases]: probabilities if all were open."""
        noisy = noisy.masked_fill(closed, -torch.inf)
        taken = noisy.argmax(-1)[..., None]
        share = noisy.softmax(-1)
        probability = share.new_zeros(*share.shape[:-1], self.num_skills).index_add(-1, answers, share)
        skill = answers[taken]
        chosen, before = probability.gather(-1, skill)[..., 0], unled.gather(-1, taken)[..., 0]
        # 1 in value up to the last bit, which is that of the rail before: closing a row that no token takes changes nothing.
        scale = (1.0 + before - before) + (chosen - chosen.detach())
        return SkillChoice(
            skill=skill[..., 0], scale=scale, score=scores.masked_fill(closed, -torch.inf), probability=probability
        )


class SkillAdapters(nn.Module):
    """K adapters of rank R for a stream [B, T, width]; zero at the start, so that a new skill changes nothing."""

    def __init__(self, *, width: int, num_skills: int, rank: int) -> None:
        super().__init__()
        self.norm = StreamNorm(width)
        self.down = nn.Parameter(torch.randn(num_skills, width, rank) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(num_skills, rank, width))

    def forward(self, x: Tensor, choice: SkillChoice, ablated: frozenset[int] = frozenset()) -> Tensor:
        """What the chosen skills add, as `x` [B, T, width]; `ablated` skills add nothing."""
        scale = choice.scale
        if ablated:
            scale = scale.masked_fill(choice.is_one_of(ablated), 0.0)
        flat = skill_adapter(self.norm(x).flatten(0, 1), choice.skill.flatten(), self.down, self.up)
        return flat.view_as(x) * scale[..., None]
