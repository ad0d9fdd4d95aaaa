"""Words and their letters, read off token ids: what a prompt says whole, however a vocabulary cuts it into pieces.

Every token's letters are kept as code points, so that a batch of prompts becomes one row of characters without decoding text:
letters in lower case, every digit as 0, other characters as words of their own, spaces as ends of words. A word is known by a
hash of its letters and by its n-grams, "<play>" by <pl, pla, lay, ay>, <pla, ..., so that words that share a stem
share n-grams (Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.hosts.base import Tokenizer

LETTERS = 16
"""Characters of a token that are read; what comes after is cut off."""
SPACE, LETTER, DIGIT, OTHER = range(4)
_KIND = 1 << 21
"""Code points lie below it, so that a character is its code point plus _KIND times its kind."""
_SIZES = (3, 4, 5)
_LONGEST = 64
"""Letters of a word that its hash depends on."""
_BASE, _MIX = 0x5851F42D4C957F2D, -0x61C8864680B583EB
"""Odd multipliers modulo 2^64: of the polynomial, and to spread its bits."""
_BEGINS, _ENDS = ord("<"), ord(">")


def token_letters(tokenizer: Tokenizer) -> Tensor:
    """int32 [V, LETTERS]: characters of every token of a vocabulary, 0 behind its last one."""
    table = torch.zeros(tokenizer.vocab_size, LETTERS, dtype=torch.int32)
    for token in range(tokenizer.vocab_size):
        text = tokenizer.decode([token])[:LETTERS].lower()[:LETTERS]
        table[token, : len(text)] = torch.tensor([_code(letter) for letter in text], dtype=torch.int32)
    return table


def _code(letter: str) -> int:
    if letter.isdecimal():
        return ord("0") + _KIND * DIGIT
    kind = LETTER if letter.isalpha() else SPACE if letter.isspace() else OTHER
    return ord(letter) + _KIND * kind


@dataclass(frozen=True, kw_only=True)
class Spelled:
    """Words of B prompts, at most W each, padded to the right; U different ones among them. A prompt without any counts as ".".

    `real` bool [B, W]; `words` int64 [B, W], hashes, 0 at padding; `last` int64 [B, W], the token that a word ends in; `which`
    int64 [B, W], the number of each word among the different ones, 0 at padding. `grams` int64 [G], hashes of the n-grams of
    the different words one after another, those of word u from `first[u]` on; `first` int64 [U].
    """

    real: Tensor
    words: Tensor
    last: Tensor
    which: Tensor
    grams: Tensor
    first: Tensor


def spell(tokens: Tensor, lengths: Tensor, letters: Tensor) -> Spelled:
    """Words of prompts: `tokens` int64 [B, T], right-padded, `lengths` int64 [B], `letters` as `token_letters` gives them."""
    batch, width = tokens.shape
    device = tokens.device
    within = torch.arange(width, device=device) < lengths[:, None]
    codes = letters[tokens].long() * within[..., None]
    # A space before every prompt, so that no word goes on from one row into the next; a full stop where there is none.
    silent = ~((codes // _KIND) != SPACE).flatten(1).any(1)
    first = torch.where(silent, _KIND * OTHER + ord("."), ord(" "))
    flat = torch.cat([first[:, None], codes.flatten(1)], 1)
    row, column = flat.nonzero(as_tuple=True)
    code = flat[row, column]
    kind, point = code // _KIND, code % _KIND
    before = torch.cat([kind.new_zeros(1), kind[:-1]])
    begins = (kind != SPACE) & ((kind != before) | (kind == OTHER))
    spoken = kind != SPACE
    number = begins.cumsum(0)[spoken] - 1
    row, column, point = row[spoken], column[spoken], point[spoken]
    count = int(begins.sum())
    places = torch.arange(len(point), device=device)
    start = torch.zeros(count, dtype=torch.int64, device=device).scatter_reduce_(0, number, places, "amin", include_self=False)
    powers = torch.tensor([_wrapped(_BASE**power) for power in range(_LONGEST)], device=device)
    terms = (point + 1) * powers[(places - start[number]).clamp(max=_LONGEST - 1)]
    hashes = torch.zeros(count, dtype=torch.int64, device=device).index_add_(0, number, terms) * _MIX
    word_row = torch.zeros(count, dtype=torch.int64, device=device).scatter_(0, number, row)
    end = torch.zeros(count, dtype=torch.int64, device=device).scatter_reduce_(0, number, (column - 1).clamp(min=0), "amax")
    per_row = torch.bincount(word_row, minlength=batch)
    slot = torch.arange(count, device=device) - (per_row.cumsum(0) - per_row)[word_row]
    longest = int(per_row.max())
    different, which = hashes.unique(return_inverse=True)
    chosen = torch.zeros(len(different), dtype=torch.int64, device=device)
    chosen.scatter_reduce_(0, which, torch.arange(count, device=device), "amin", include_self=False)
    grams, owner = _grams(point, number, start, chosen, count)

    def padded(values: Tensor) -> Tensor:
        out = torch.zeros(batch, longest, dtype=torch.int64, device=device)
        out[word_row, slot] = values
        return out

    sizes = torch.bincount(owner, minlength=len(different))
    return Spelled(
        real=padded(torch.ones_like(hashes)).bool(),
        words=padded(hashes),
        last=padded(end // LETTERS),
        which=padded(which),
        grams=grams,
        first=sizes.cumsum(0) - sizes,
    )


def slots_of(hashes: Tensor, slots: int) -> Tensor:
    """A table row in [0, slots) for each hash."""
    return ((hashes >> 33) & 0x7FFFFFFF) % slots


def _grams(point: Tensor, number: Tensor, start: Tensor, chosen: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Hashes of the n-grams of the `chosen` words, ordered by word, and whose they are as an index into `chosen`."""
    device = point.device
    rank = torch.full((count,), -1, dtype=torch.int64, device=device)
    rank[chosen] = torch.arange(len(chosen), device=device)
    size = len(point) + 2 * count
    sequence = torch.zeros(size, dtype=torch.int64, device=device)
    owner = torch.zeros(size, dtype=torch.int64, device=device)
    opens = start + 2 * torch.arange(count, device=device)
    closes = torch.cat([opens[1:], torch.tensor([size], device=device)]) - 1
    at = torch.arange(len(point), device=device) + 2 * number + 1
    words = torch.arange(count, device=device)
    for where, what, whose in ((opens, _BEGINS, words), (closes, _ENDS, words), (at, point, number)):
        sequence[where] = what
        owner[where] = whose
    kept = rank[owner] >= 0
    sequence, owner = sequence[kept], rank[owner[kept]]
    found, whose_found = [], []
    for length in _SIZES:
        if len(sequence) < length:
            continue
        hashes = torch.zeros(len(sequence) - length + 1, dtype=torch.int64, device=device)
        for offset in range(length):
            hashes = hashes * _wrapped(_BASE) + sequence[offset : len(sequence) - length + 1 + offset] + 1
        whole = owner[: len(hashes)] == owner[length - 1 :]
        found.append((hashes * _MIX)[whole])
        whose_found.append(owner[: len(hashes)][whole])
    grams, whose = torch.cat(found), torch.cat(whose_found)
    order = whose.argsort(stable=True)
    return grams[order], whose[order]


def _wrapped(value: int) -> int:
    """The int64 with the lowest 64 bits of `value`."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
