"""What a rail keeps of the tokens it has seen: per block, its own keys and values and the latents of the base."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class BlockCache:
    """Grown in place along dim 1: `key`, `value` [B, P, Hs, D] of self-attention, `latent` [B, P, G, D]."""

    key: Tensor | None = None
    value: Tensor | None = None
    latent: Tensor | None = None

    def extend_self(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append T positions; returns all P + T of them."""
        self.key = key if self.key is None else torch.cat([self.key, key], 1)
        self.value = value if self.value is None else torch.cat([self.value, value], 1)
        return self.key, self.value

    def extend_latent(self, latent: Tensor) -> Tensor:
        """Append T positions; returns all P + T of them."""
        self.latent = latent if self.latent is None else torch.cat([self.latent, latent], 1)
        return self.latent


@dataclass
class CopyCache:
    """Grown in place along dim 1: `key` [B, P, D] of the builder, `value` [B, P, d] of the base's head."""

    key: Tensor | None = None
    value: Tensor | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append T positions; returns all P + T of them."""
        self.key = key if self.key is None else torch.cat([self.key, key], 1)
        self.value = value if self.value is None else torch.cat([self.value, value], 1)
        return self.key, self.value


@dataclass
class ReadingCache:
    """Grown in place along dim 1: `tokens` int64 [B, P] and `pieces` [B, P, r], their projected embeddings."""

    tokens: Tensor | None = None
    pieces: Tensor | None = None

    def extend(self, tokens: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """Append T positions; returns all P + T of them."""
        self.tokens = tokens if self.tokens is None else torch.cat([self.tokens, tokens], 1)
        self.pieces = pieces if self.pieces is None else torch.cat([self.pieces, pieces], 1)
        return self.tokens, self.pieces


@dataclass
class RailCache:
    """Cache of one batch under one builder version.

    `length` is the number of tokens seen, `previous` [B, 1, d] the normed embedding of the last one (None before the first).
    """

    blocks: list[BlockCache]
    copying: CopyCache = field(default_factory=CopyCache)
    reading: ReadingCache = field(default_factory=ReadingCache)
    previous: Tensor | None = None
    length: int = field(default=0)

    @classmethod
    def empty(cls, num_blocks: int) -> RailCache:
        """A cache that has seen nothing."""
        return cls(blocks=[BlockCache() for _ in range(num_blocks)])
