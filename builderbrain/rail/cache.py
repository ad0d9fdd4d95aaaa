"""What a rail keeps of the tokens it has seen: per block, its own keys and values and the latents of the base."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F


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
class LabelCache:
    """Grown in place along dim 1: `known` [B, P, S], the label probabilities of all slots."""

    known: Tensor | None = None

    def extend(self, own: Tensor) -> Tensor:
        """Append T positions; returns all P + T of them."""
        self.known = own if self.known is None else torch.cat([self.known, own], 1)
        return self.known


@dataclass
class ReadingState:
    """Where the reading head stands, per row: `place`, `anchor` (place when the literal began), `open` (whether one is),
    `opened` (where the last one began) and `longest` (run at the last token), int64 [B]; `run` int64 [B, P], equal tokens up
    to each place, and `copied` bool [B, P], which tokens are copies.
    """

    place: Tensor
    anchor: Tensor
    open: Tensor
    opened: Tensor
    longest: Tensor
    run: Tensor
    copied: Tensor


@dataclass
class ReadingCache:
    """Grown in place along dim 1: `tokens` int64 [B, P] and `pieces` [B, P, r], their projected embeddings."""

    tokens: Tensor | None = None
    pieces: Tensor | None = None
    _state: ReadingState | None = None

    def extend(self, tokens: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """Append T positions; returns all P + T of them."""
        self.tokens = tokens if self.tokens is None else torch.cat([self.tokens, tokens], 1)
        self.pieces = pieces if self.pieces is None else torch.cat([self.pieces, pieces], 1)
        return self.tokens, self.pieces

    def state(self, batch: int, total: int, device: torch.device) -> ReadingState:
        """The state of `batch` rows, widened to `total` positions."""
        if self._state is None:
            zeros = torch.zeros(batch, dtype=torch.int64, device=device)
            wide = torch.zeros(batch, total, dtype=torch.int64, device=device)
            self._state = ReadingState(
                place=zeros, anchor=zeros, open=zeros, opened=zeros, longest=zeros, run=wide, copied=wide.bool()
            )
        grown = total - self._state.run.shape[1]
        if grown:
            self._state.run = F.pad(self._state.run, (0, grown))
            self._state.copied = F.pad(self._state.copied, (0, grown))
        return self._state


@dataclass
class WordCache:
    """Hashes int64 [B] of the word that the last token ends and of the word before; 0 at the start."""

    _word: Tensor | None = None
    _before: Tensor | None = None

    def word(self, tokens: Tensor) -> Tensor:
        """The last word of the rows of `tokens`."""
        return torch.zeros_like(tokens[:, 0]) if self._word is None else self._word

    def before(self, tokens: Tensor) -> Tensor:
        """The word before it."""
        return torch.zeros_like(tokens[:, 0]) if self._before is None else self._before

    def move(self, word: Tensor, before: Tensor) -> None:
        """Remember the newest."""
        self._word, self._before = word, before


@dataclass
class RailCache:
    """Cache of one batch under one builder version.

    `length` is the number of tokens seen, `previous` [B, 1, c] what the last one leaves for the
    token after it (None before the first).
    """

    blocks: list[BlockCache]
    copying: CopyCache = field(default_factory=CopyCache)
    reading: ReadingCache = field(default_factory=ReadingCache)
    words: WordCache = field(default_factory=WordCache)
    labels: LabelCache = field(default_factory=LabelCache)
    previous: Tensor | None = None
    length: int = field(default=0)

    @classmethod
    def empty(cls, num_blocks: int) -> RailCache:
        """A cache that has seen nothing."""
        return cls(blocks=[BlockCache() for _ in range(num_blocks)])
