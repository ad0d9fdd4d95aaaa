"""What a word means, however it is cut into tokens: embeddings of the word a token ends and of that word with the one before.

A small vocabulary writes most words in pieces, and other ones where a sentence begins ("R", "ead") than in its middle ("read").
A narrow stream needs many examples of each form. Here the letters since the last character that is none are hashed without
regard to case, so that all forms of a word have one vector from the first time it is met; words that share a row learn to
live together (Svenstrup et al. 2017, "Hash Embeddings").

    word(t) = (word(t-1), or 0 after another character) P^letters(t) + hash(letters of token t)      modulo 2^64
    h(t)    = W [E_1(word(t)), E_2(word before, word(t))]
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.cache import WordCache
from builderbrain.rail.config import RailConfig

_BASE = 0x5851F42D4C957F2D
"""P: odd, so that it has an inverse modulo 2^64."""
_MIX, _ORDER = -0x61C8864680B583EB, -0x3D4D51C2D82B14B1
"""Odd multipliers: the first spreads the bits of a hash, the second tells the word before from the word."""
_LETTERS_AT_END = re.compile(r"[^\W_]*\Z")
BREAKS, HASH, POWER, INVERSE = range(4)
"""Columns of a spelling: whether a word ends before the token's letters, their hash, P^letters and its inverse."""


def spellings(tokenizer: Tokenizer) -> Tensor:
    """int64 [V, 4], the spelling of every token of a vocabulary."""
    rows = []
    for token in range(tokenizer.vocab_size):
        text = tokenizer.decode([token]).lower()
        found = _LETTERS_AT_END.search(text)
        letters = found.group() if found else ""
        value = 0
        for letter in letters:
            value = value * _BASE + ord(letter) + 1
        size = len(letters)
        rows.append(
            [int(letters != text or not text), _signed(value), _signed(_BASE**size), _signed(pow(_BASE, -size, 1 << 64))]
        )
    return torch.tensor(rows, dtype=torch.int64)


def _signed(value: int) -> int:
    """The int64 with the lowest 64 bits of `value`."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class WordEmbedding(nn.Module):
    """Words of a token stream. Until `spelling` is filled every token is a word of its own.

    Letters of more than one token each (torn UTF-8) are hashed as if they were none.
    """

    spelling: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.slots = config.word_slots
        self.words = nn.Embedding(config.word_slots, config.word_width)
        self.pairs = nn.Embedding(config.word_slots, config.word_width)
        self.enter = nn.Linear(2 * config.word_width, config.width, bias=False)
        for table in (self.words, self.pairs):
            nn.init.normal_(table.weight, std=0.02)
        ids = torch.arange(config.vocab_size)
        own = torch.stack([torch.ones_like(ids), ids + 1, torch.full_like(ids, _BASE), torch.full_like(ids, _inverse())], 1)
        self.register_buffer("spelling", own)

    def forward(self, tokens: Tensor, *, cache: WordCache | None) -> Tensor:
        """What enters the stream for T new tokens, int64 [B, T] -> [B, T, c]; moves `cache` on."""
        word, before = self.follow(tokens, WordCache() if cache is None else cache)
        found = torch.cat([self.words(self._slot(word)), self.pairs(self._slot(word ^ (before * _ORDER)))], -1)
        return self.enter(F.rms_norm(found, (self.enter.in_features,)))

    def follow(self, tokens: Tensor, cache: WordCache) -> tuple[Tensor, Tensor]:
        """Hash of the word so far and of the one before it at each token, both int64 [B, T]; 0 is no word. Moves `cache` on.

        Without a loop: with S the running sum of hash(t) / P^(letters up to t), a word that began behind position b is
        (S(t) - S(b)) P^(letters up to t). Sums and products wrap, which is what modulo 2^64 means.
        """
        spelling = self.spelling[tokens]
        breaks = spelling[..., BREAKS] == 1
        power, inverse = spelling[..., POWER].cumprod(1), spelling[..., INVERSE].cumprod(1)
        total = (spelling[..., HASH] * inverse).cumsum(1)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        began = torch.where(breaks, places, -1).cummax(1).values
        earlier = torch.where(began > 0, total.gather(1, (began - 1).clamp(min=0)), 0)
        # What the token before `began` had summed up, raised past the letters since then.
        word = (total - earlier) * power + torch.where(began < 0, cache.word(tokens)[:, None] * power, 0)
        last = torch.cat([cache.word(tokens)[:, None], word[:, :-1]], 1)
        ended = torch.where(breaks & (last != 0), places, -1).cummax(1).values
        before = torch.where(ended >= 0, last.gather(1, ended.clamp(min=0)), cache.before(tokens)[:, None])
        cache.move(word[:, -1], before[:, -1])
        return word, before

    def _slot(self, value: Tensor) -> Tensor:
        return (((value * _MIX) >> 33) & 0x7FFFFFFF) % self.slots


def _inverse() -> int:
    return _signed(pow(_BASE, -1, 1 << 64))
