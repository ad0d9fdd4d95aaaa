"""The reading head: where in the context the last tokens stood before, and what followed them there.

While a plan repeats a name of its goal, the last tokens of the plan stand in the goal as well, and what comes next there is
what the builder has to decide about: one more token of the name, or its end. The reading head finds the place by comparing
token ids and lets the tokens behind it enter the stream:

    match(t, i) = number of equal tokens before and at t and i, at most L,   i < t
    i*(t)       = the first i with the longest match, if that is at least 1
    h(t)        = W [P e(i* + 1), ..., P e(i* + window)] + length[match(t, i*)]

An induction head (Olsson et al. 2022) learns the same comparison from data; made of ids it is exact for names that nobody has
seen, in any base. Tokens at and before t alone are read, so the head is causal. Nothing is learned about *where*, only about
what to do with what is found there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from builderbrain.rail.cache import ReadingCache
from builderbrain.rail.config import RailConfig


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`read` [B, T, c]: what enters the stream. `following` int64 [B, T]: the place after the match, -1 without one."""

    read: Tensor
    following: Tensor


class ReadingHead(nn.Module):
    """Looks tokens up in the context and reads on from there."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.longest, self.window = config.reading_match, config.reading_window
        self.project = nn.Linear(config.d_model, config.reading_width, bias=False)
        self.enter = nn.Linear(config.reading_window * config.reading_width, config.width, bias=False)
        self.length = nn.Embedding(config.reading_match + 1, config.width)
        nn.init.normal_(self.length.weight, std=0.02)

    def forward(self, tokens: Tensor, normed: Tensor, *, cache: ReadingCache | None) -> Reading:
        """Read for T new tokens: `tokens` int64 [B, T], `normed` [B, T, d] their embeddings; extends `cache`."""
        pieces, everything = self.project(normed), tokens
        if cache is not None:
            everything, pieces = cache.extend(tokens, pieces)
        rows = torch.arange(everything.shape[1] - tokens.shape[1], everything.shape[1], device=tokens.device)
        following, match = find_following(everything, rows, self.longest)
        places = following[..., None] + torch.arange(self.window, device=tokens.device)
        readable = (following[..., None] >= 0) & (places <= rows[:, None])
        batch = torch.arange(tokens.shape[0], device=tokens.device)[:, None, None]
        ahead = pieces[batch, torch.where(readable, places, 0)] * readable[..., None]
        return Reading(read=self.enter(ahead.flatten(-2)) + self.length(match), following=following)


def find_following(tokens: Tensor, rows: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """The place after the longest earlier match of the tokens that end at each row.

    Args:
        tokens: int64 [B, P], the whole context.
        rows: int64 [T], positions to look up.
        longest: matches count up to this length.

    Returns:
        The place, int64 [B, T], at most the row itself and -1 without a match; and the match's length, int64 [B, T].
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)
    running = (places < rows[:, None]).expand(tokens.shape[0], -1, -1)
    match = torch.zeros(running.shape, dtype=torch.int64, device=tokens.device)
    for back in range(longest):
        inside = (places >= back) & (rows[:, None] >= back)
        here, there = tokens[:, (rows - back).clamp(min=0)], tokens[:, (places - back).clamp(min=0)]
        running = running & inside & (here[:, :, None] == there[:, None, :])
        match = match + running
    best = match.amax(-1)
    first = torch.where(match == best[..., None], places, tokens.shape[1]).amin(-1)
    return torch.where(best > 0, first + 1, -1), best
