"""What a few tokens mean together: embeddings of the last two and the last three tokens.

A small vocabulary writes most words in pieces, and other ones where a sentence begins ("R", "ead") than in its middle ("read").
A narrow stream needs many steps to learn each combination from its pieces; here a rare one has a vector of its own from the
first time it is met. Rows are found by hashing the ids, n-grams that share one learn to live together (Svenstrup et al.
2017, "Hash Embeddings").

    h(t) = W [E_2(hash(x_{t-1}, x_t)), E_3(hash(x_{t-2}, x_{t-1}, x_t))]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.rail.config import RailConfig

_ORDERS = (2, 3)
_FACTORS = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35)
"""Odd 32-bit constants of multiplicative hashing, one per place."""
REACH = max(_ORDERS) - 1
"""How many tokens before the newest are read."""


class PhraseEmbedding(nn.Module):
    """Reads ids, int64 [B, REACH + T] with the tokens before the new ones in front (-1 where there are none)."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.slots = config.phrase_slots
        self.tables = nn.ModuleList(nn.Embedding(self.slots, config.phrase_width) for _ in _ORDERS)
        self.enter = nn.Linear(len(_ORDERS) * config.phrase_width, config.width, bias=False)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """What enters the stream for the T newest tokens, [B, T, c]."""
        new = tokens.shape[1] - REACH
        found = []
        for order, table in zip(_ORDERS, self.tables, strict=True):
            mixed = torch.zeros_like(tokens[:, :new])
            for back in range(order):
                mixed = mixed ^ ((tokens[:, REACH - back : REACH - back + new] + 2) * _FACTORS[back])
            found.append(table(((mixed ^ (mixed >> 15)) & 0x7FFFFFFF) % self.slots))
        return self.enter(F.rms_norm(torch.cat(found, -1), (self.enter.in_features,)))
