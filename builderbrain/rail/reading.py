"""The reading head: how far the plan has got in what it is made from, and what comes next there.

A plan says names of its goal again, inside string literals, mostly in the goal's order. The reading head finds each name
where it stands by comparing token ids, remembers the place until the next name, and lets the tokens behind it enter the
stream: inside a literal they say how the name goes on, after it what else the goal asks for.

    run(t, i) = number of equal tokens up to t and i since the literal began, i before the literal and no copy itself
    i*(t)     = the place with the longest run; among equals the first one behind where the literal before it ended
    place(t)  = i*(t) + 1 inside a literal that matches, else place(t - 1);   place = 0 at the start
    h(t)      = W [P e(place), ..., P e(place + window - 1)] + length[longest run]

A literal is a copy when all of it was found; what else stands in quotes, in a goal for instance, can be read.

An induction head (Olsson et al. 2022) learns such comparisons from data, and monotonic attention (Raffel et al. 2017) the
order; made of ids the head is exact for names that nobody has seen, in any base. Tokens at and before t alone are read, so it
is causal. Nothing is learned about *where*, only about what to do with what is found there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bbkernels.dispatch import native_library
from bbkernels.reading.native import follow
from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.cache import ReadingCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.lookup import rows_at


def literal_tokens(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids of the tokens that open or close a literal (an odd number of unescaped quotes), and of those that break a line."""
    texts = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]
    quotes = (i for i, text in enumerate(texts) if text.replace('\\"', "").count('"') % 2)
    return tuple(quotes), tuple(i for i, text in enumerate(texts) if "\n" in text)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`read` [B, T, c]: what enters the stream. `place` int64 [B, T]: where the head stands, at most one past t."""

    read: Tensor
    place: Tensor


class ReadingHead(nn.Module):
    """Looks names up in the context and reads on from there."""

    quote: Tensor
    line: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.longest, self.window = config.reading_match, config.reading_window
        self.project = nn.Linear(config.d_model, config.reading_width, bias=False)
        self.enter = nn.Linear(config.reading_window * config.reading_width, config.width, bias=False)
        self.length = nn.Embedding(config.reading_match + 1, config.width)
        nn.init.normal_(self.length.weight, std=0.02)
        self.register_buffer("quote", torch.tensor(config.quote_tokens, dtype=torch.int64), persistent=False)
        self.register_buffer("line", torch.tensor(config.line_tokens, dtype=torch.int64), persistent=False)

    def forward(self, tokens: Tensor, pieces: Tensor, *, cache: ReadingCache | None) -> Reading:
        """Read for T new tokens: `tokens` int64 [B, T], `pieces` [B, T, r] what `project` makes of them; extends `cache`."""
        library = native_library(tokens) if cache is None and not torch.compiler.is_compiling() else None
        cache = ReadingCache() if cache is None else cache
        everything, pieces = cache.extend(tokens, pieces)
        if library is None:
            place, run = self._follow(cache, everything, tokens.shape[1])
        else:
            place, run = follow(library, tokens, *self._literals(tokens, 0)[:3])
        rows = torch.arange(everything.shape[1] - tokens.shape[1], everything.shape[1], device=tokens.device)
        places = place[..., None] + torch.arange(self.window, device=tokens.device)
        readable = places <= rows[:, None]
        ahead = rows_at(pieces, torch.where(readable, places, 0)) * readable[..., None]
        return Reading(read=self.enter(ahead.flatten(-2)) + self.length(run.clamp(max=self.longest)), place=place)

    def _follow(self, cache: ReadingCache, tokens: Tensor, new: int) -> tuple[Tensor, Tensor]:
        """Places and longest runs, both int64 [B, new], of the last `new` of `tokens` int64 [B, P]; moves `cache` on.

        Only steps inside literals take work: about fifteen operations on [B, P] each.
        """
        batch, total = tokens.shape
        state = cache.state(batch, total, tokens.device)
        fresh = tokens[:, total - new :]
        inside, opening, closing, still_open = self._literals(fresh, state.open[:, None])
        busy = (inside | opening | closing).any(0).tolist()
        places = torch.arange(total, device=tokens.device)
        out_place, out_run = [], []
        for step in range(new):
            longest = torch.zeros_like(state.place)
            if busy[step]:
                t = total - new + step
                found = closing[:, step] & (state.longest == t - 1 - state.opened) & (state.longest > 0)
                state.copied |= found[:, None] & (places > state.opened[:, None]) & (places < t)
                state.anchor = torch.where(opening[:, step], state.place, state.anchor)
                state.opened = torch.where(opening[:, step], t, state.opened)
                run = torch.cat([torch.zeros_like(state.run[:, :1]), state.run[:, :-1]], 1)
                readable = (places < state.opened[:, None]) & ~state.copied
                run = torch.where((tokens == fresh[:, step, None]) & readable, run + 1, 0)
                state.run = torch.where(inside[:, step, None], run, 0)
                longest = state.run.amax(1)
                best = (state.run == longest[:, None]) & (longest > 0)[:, None]
                behind = best & (places >= state.anchor[:, None])
                candidates = torch.where(behind.any(1, keepdim=True), behind, best)
                first = torch.where(candidates, places, total).amin(1)
                state.place = torch.where(longest > 0, first + 1, state.place)
            state.longest = longest
            out_place.append(state.place)
            out_run.append(longest)
        state.open = still_open
        return torch.stack(out_place, 1), torch.stack(out_run, 1)

    def _literals(self, tokens: Tensor, before: Tensor | int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """bool [B, T] each: which of `tokens` int64 [B, T] are in a literal, open one, close one; and int64 [B], 1 where one is
        open behind the last. `before` int64 [B, 1] is 1 where one was open before the first.
        """
        quote, line = torch.isin(tokens, self.quote), torch.isin(tokens, self.line)
        # Literals end with their line: the quotes that count are those since the last line break.
        count = quote.long().cumsum(1) + before
        since = (count - torch.where(line, count, 0).cummax(1).values) % 2
        odd = since == 1
        return odd & ~quote, odd & quote, quote & ~odd, since[:, -1]
