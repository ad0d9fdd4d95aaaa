"""Which tools the words of a prompt speak for, each on its own: the linear part of a chain head ("wide", Cheng et al. 2016).

    F = x W,   x = tf-idf of the prompt's phrases, of length 1

A phrase is a word, two or three words in a row, or an n-gram of letters of one of the prompt's words. tf is 1 + log of how
often it is in the prompt (an n-gram once for each different word), idf the log of one over the share of the training prompts
that have it. Phrases are told apart by their hashes modulo the number of slots. W is fitted in closed form
(`builderbrain.train.tool_graph.linear_fit`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builderbrain.rail.letters import Spelled, slots_of

_PAIR, _TRIPLE, _MIX = 0x2545F4914F6CDD1D, 0x369DEA0F31A53F85, -0x61C8864680B583EB
"""Odd multipliers modulo 2^64: of words in a row by their place, and to spread the bits."""


class LinearTools(nn.Module):
    """From spelled prompts to a score for each of `tools`: about 1 where it is asked for, about 0 where not.

    `inverse` float32 [slots], the idf, and `weights` float32 [slots, tools]. Both are 0 until they are fitted.
    """

    inverse: Tensor
    weights: Tensor

    def __init__(self, slots: int, tools: int) -> None:
        super().__init__()
        self.register_buffer("inverse", torch.zeros(slots))
        self.register_buffer("weights", torch.zeros(slots, tools))

    def forward(self, spelled: Spelled) -> Tensor:
        """Scores, float32 [B, tools]."""
        return self.features(spelled) @ self.weights

    def features(self, spelled: Spelled) -> Tensor:
        """x, float32 [B, slots]."""
        found = phrase_counts(spelled, len(self.inverse))
        x = torch.where(found > 0, 1 + found.clamp(min=1).log(), 0.0) * self.inverse
        return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def phrase_counts(spelled: Spelled, slots: int) -> Tensor:
    """How often each slot's phrases are in each prompt, float32 [B, slots]."""
    rows, hashes = _phrases(spelled)
    batch = len(spelled.real)
    return torch.bincount(rows * slots + slots_of(hashes, slots), minlength=batch * slots).view(batch, slots).float()


def _phrases(spelled: Spelled) -> tuple[Tensor, Tensor]:
    """Rows int64 [P] and hashes int64 [P] of all phrases."""
    words, real = spelled.words, spelled.real
    row = torch.arange(len(real), device=real.device)[:, None].expand_as(words)
    rows, hashes = [row[real]], [words[real]]
    for size in (2, 3):
        width = max(0, words.shape[1] - size + 1)
        whole = real[:, size - 1 :]
        mixed = words[:, :width] * _PAIR + words[:, 1 : 1 + width]
        if size == 3:
            mixed = mixed * _TRIPLE + words[:, 2 : 2 + width]
        rows.append(row[:, :width][whole])
        hashes.append((mixed * _MIX)[whole])
    # The n-grams of each different word of a row: a run of `grams` for every pair of a row and a word.
    different = len(spelled.first)
    pairs = (row[real] * different + spelled.which[real]).unique()
    owner, word = pairs // different, pairs % different
    ends = torch.cat([spelled.first[1:], spelled.first.new_tensor([len(spelled.grams)])])
    sizes = (ends - spelled.first)[word]
    place = torch.arange(int(sizes.sum()), device=real.device) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    rows.append(owner.repeat_interleave(sizes))
    hashes.append(spelled.grams[spelled.first[word].repeat_interleave(sizes) + place])
    return torch.cat(rows), torch.cat(hashes)
