"""Saying again what stands in the context: attention whose values are rows of the base's own head.

A name that nobody has seen before cannot be learned, only copied. Left to itself a narrow rail has to learn, token by
token, how each of V tokens passes through its c channels; after 400 steps it still named the first token of 6 % of the
names (LOG.md). Here it only has to learn where to look: the value of a position is the head's row of the token that
stands there, the very direction that makes the base say it. Pointer networks (Vinyals et al. 2015) and pointer-generators
(See et al. 2017) mix distributions; this mixes states, so that the base's norm and head, the gates and the alpha budget
apply as to anything else the builder proposes.

    copy   = sum_j a_j rms_norm(e_j),   a = softmax_j(q_t . rot(k_j) / sqrt(D) + f_t[j - place_t] + s(t, j))
    update += 2 tanh(gate_t) rms(h^B) * copy,   gate zero at the start

`place_t` is where the reading head stands, and f_t [window] scores the tokens from there on: the next name to say is more
often two tokens behind the last one than anywhere else. s(t, j) scores tokens by what they are labelled (`labels.py`).

Where the base computes in bfloat16 and the processor multiplies it in hardware, training makes the product of weights and
values in it, as `tap_reading.py` does.

The gate is per token: where copying helps it opens while the attention is still flat (any word of the context is a better
guess for a name than any word), and then the attention sharpens. A scale per channel in its place, and a null key to look
away, learned nothing in 300 steps: its signs ran off before the attention had found anything (LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.rail.cache import CopyCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.places import Places
from builderbrain.rail.stream_norm import StreamNorm
from builderbrain.rail.tap_reading import is_narrow

_STRENGTH = 2.0
"""Of an open gate, in lengths of the base state: enough for a token to win, measured on the bundled base (LOG.md)."""


@dataclass(frozen=True, kw_only=True)
class Copying:
    """`update` [B, T, d]: what copying adds to the proposal. `weights` [B, T, P + T]: where each position looks."""

    update: Tensor
    weights: Tensor


class CopyAttention(nn.Module):
    """One head over the builder's stream [B, T, c] with values in the base's width d."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.norm = StreamNorm(config.width)
        self.query = nn.Linear(config.width, config.head_size, bias=False)
        self.key = nn.Linear(config.width, config.head_size, bias=False)
        self.follow = nn.Linear(config.width, config.reading_window, bias=False)
        self.gate = nn.Linear(config.width, 1, bias=False)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.follow.weight)

    def forward(
        self,
        x: Tensor,
        unembedding: Tensor,
        base: Tensor,
        places: Places,
        hints: Tensor | None,
        *,
        cache: CopyCache | None,
    ) -> Copying:
        """Look back from x [B, T, c]; `unembedding` and `base` [B, T, d] are of the new tokens.

        `places` are those of the new tokens; `hints` [B, T, P + T] are the labels' scores.
        """
        normed = self.norm(x)
        query = places.turned(self.query(normed)[:, :, None])[:, :, 0]
        key = places.turned(self.key(normed)[:, :, None])[:, :, 0]
        value = F.rms_norm(unembedding.to(x.dtype), unembedding.shape[-1:])
        if cache is not None:
            key, value = cache.extend(key, value)
        scores = query @ key.transpose(1, 2) * query.shape[-1] ** -0.5
        scores = places.add_reading(scores, self.follow(normed))
        if hints is not None:
            scores = scores + hints
        scores = scores.masked_fill(places.future, -torch.inf)
        weights = scores.softmax(-1)
        length = base.to(x.dtype).square().mean(-1, keepdim=True).sqrt()
        narrow = is_narrow(base, self.query.weight)
        copy = (weights.bfloat16() @ value.bfloat16()).float() if narrow else weights @ value
        update = _STRENGTH * self.gate(normed).tanh() * length * copy
        return Copying(update=update, weights=weights)
