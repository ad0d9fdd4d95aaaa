"""What reads a request and scores tools for a chain head: its trained part. A head has one of them or several.

With w_t a word's embedding plus the mean of its n-grams' embeddings:

    h      = c + GRU(c),  c = relu(conv_5(w))                                         both directions
    s_k    = GRU([tool_{k-1}, a_{k-1}], s_{k-1}),  a_k = attention of s_k over h      a_0 = max over h, s_0 of it
    p(k)   = softmax(W [s_k, a_k] + r)         over the options that are legal after tool_{k-1}
    r_t    = v_t . max h + u_t . sum_i b_ti relu(U h_i),  b_t = softmax_i(q_t . h_i)      for every tool t

r is also trained alone, to tell which tools a request asks for at all. Each tool looks for words of its own in it, so that a
rare one need not be found in what is left of all words together.

Attention: Bahdanau et al. 2015; one query per label: Mullenbach et al. 2018; word dropout: Iyyer et al. 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.rail.config import RailConfig
from builderbrain.rail.gru import gru_both_ways
from builderbrain.rail.letters import Spelled, slots_of

_EMBEDDING = 96
_REACH = 5


@dataclass(frozen=True, kw_only=True)
class ChainScores:
    """Unnormalised: `steps` [B, K, 1 + tools], of the option after each given one; `tools` [B, 1 + tools], asked for at all."""

    steps: Tensor
    tools: Tensor


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A request as read: `words` [B, W, H], `real` bool [B, W], `whole` [B, H], `asked` [B, options]."""

    words: Tensor
    real: Tensor
    whole: Tensor
    asked: Tensor

    def rows(self, numbers: Tensor) -> Reading:
        """Those rows, int64 [R]."""
        return Reading(words=self.words[numbers], real=self.real[numbers], whole=self.whole[numbers], asked=self.asked[numbers])


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a chain has come to: `state` [B, H] and what it attended to last, `found` [B, H]."""

    state: Tensor
    found: Tensor

    @property
    def seen(self) -> Tensor:
        """Both, [B, 2H]."""
        return torch.cat([self.state, self.found], -1)

    def rows(self, numbers: Tensor) -> Position:
        """Those rows, int64 [R]."""
        return Position(state=self.state[numbers], found=self.found[numbers])


class ToolEvidence(nn.Module):
    """What the words say for each tool: attention with a query per option, the sum of the formula above."""

    def __init__(self, width: int, options: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(options, width) * width**-0.5)
        self.score = nn.Parameter(torch.randn(options, width) * 0.02)
        self.value = nn.Linear(width, width)

    def forward(self, words: Tensor, real: Tensor) -> Tensor:
        """[B, options] from words [B, W, H], of which `real` bool [B, W] are there."""
        match = (words @ self.query.T) * words.shape[-1] ** -0.5
        share = match.masked_fill(~real[..., None], -torch.inf).softmax(1)
        return ((share.mT @ F.relu(self.value(words))) * self.score).sum(-1)


class ChainReader(nn.Module):
    """From spelled prompts to scores of the options. `dropout` and `word_dropout` act in training alone."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        width, options = config.chain_width, 1 + len(config.actions)
        self.slots = config.chain_slots
        self.dropout = self.word_dropout = 0.0
        self.words = nn.Embedding(config.chain_slots, _EMBEDDING)
        self.grams = nn.EmbeddingBag(config.chain_slots, _EMBEDDING, mode="mean")
        self.tools = nn.Embedding(options, _EMBEDDING)
        for table in (self.words, self.grams, self.tools):
            nn.init.normal_(table.weight, std=0.1)
        self.base = nn.Linear(config.d_model, _EMBEDDING, bias=False) if config.chain_base else None
        self.near = nn.Conv1d(_EMBEDDING, width, _REACH, padding=_REACH // 2)
        self.far = nn.GRU(width, width // 2, bidirectional=True, batch_first=True)
        self.begin = nn.Linear(width, width)
        self.step = nn.GRUCell(_EMBEDDING + width, width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.option = nn.Linear(2 * width, options)
        self.asked = nn.Linear(width, options)
        self.evidence = ToolEvidence(width, options) if config.chain_evidence else None

    def score(self, spelled: Spelled, tap: Tensor | None, given: Tensor) -> ChainScores:
        """Scores of the option after each of `given`, int64 [B, K], whose first column is the start.

        Args:
            tap: [B, T, D], the base's last over the tokens of the prompts, where the head reads it.
        """
        reading = self.read(spelled, tap)
        position, seen = self.start(reading), []
        for at in range(given.shape[1]):
            position = self.advance(reading, position, given[:, at])
            seen.append(position.seen)
        return ChainScores(steps=self.options(torch.stack(seen, 1)) + reading.asked[:, None], tools=reading.asked)

    def read(self, spelled: Spelled, tap: Tensor | None) -> Reading:
        """What is made of the prompts before the first tool."""
        x = self._embed(spelled)
        if self.base is not None:
            if tap is None:
                raise ValueError("expected the base's states for a chain head with chain_base, got none")
            at = spelled.last[..., None].expand(-1, -1, tap.shape[-1])
            x = x + self.base(F.rms_norm(tap.to(x.dtype).gather(1, at), (tap.shape[-1],)))
        real = spelled.real[..., None]
        near = self._drop(F.relu(self.near((self._drop(x) * real).transpose(1, 2)).transpose(1, 2)))
        words = (near + gru_both_ways(self.far, near, spelled.real.sum(1))) * real
        whole = words.masked_fill(~real, -torch.inf).amax(1)
        asked = self.asked(whole)
        if self.evidence is not None:
            asked = asked + self.evidence(self._drop(words), spelled.real)
        return Reading(words=words, real=spelled.real, whole=whole, asked=asked)

    def start(self, reading: Reading) -> Position:
        """Before the first tool."""
        return Position(state=torch.tanh(self.begin(reading.whole)), found=reading.whole)

    def advance(self, reading: Reading, position: Position, last: Tensor) -> Position:
        """Where it has come to after the options `last` int64 [B]."""
        state = self.step(torch.cat([self._drop(self.tools(last)), position.found], -1), position.state)
        query = self.query(state)
        # (K w + b) . q is taken as w . (K^T q) + b . q, so that no word needs a key of its own.
        match = (reading.words @ (query @ self.key.weight)[..., None])[..., 0] + (query @ self.key.bias)[:, None]
        match = (match * state.shape[-1] ** -0.5).masked_fill(~reading.real, -torch.inf)
        found = (match.softmax(-1)[:, None] @ reading.words)[:, 0]
        return Position(state=state, found=found)

    def options(self, seen: Tensor) -> Tensor:
        """Scores [..., options] of what may come next, but for `asked`, from what positions have `seen` [..., 2H]."""
        scores: Tensor = self.option(self._drop(seen))
        return scores

    def _embed(self, spelled: Spelled) -> Tensor:
        """[B, W, E]; in training whole words are dropped, and apart from them their n-grams."""
        words = self.words(slots_of(spelled.words, self.slots))
        grams = self.grams(slots_of(spelled.grams, self.slots), spelled.first)[spelled.which]
        if self.training and self.word_dropout:
            kept = torch.rand(2, *words.shape[:2], 1, device=words.device) >= self.word_dropout
            return words * kept[0] + grams * kept[1]
        return words + grams

    def _drop(self, x: Tensor) -> Tensor:
        """Dropout (Srivastava et al. 2014) by random bytes, eight to a draw, so its share is a multiple of 1/256.

        A draw for each value, as `F.dropout` takes them, was a quarter of a step's time on a processor.
        """
        limit = round(256 * self.dropout)
        if not (self.training and limit):
            return x
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= limit
        return x * (kept * (256 / (256 - limit)))
