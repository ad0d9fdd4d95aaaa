"""The chain head: which tools a request asks for, one after another, along the links of a graph of tools.

It reads the prompt whole, in both directions, by its words (`builderbrain.rail.letters`), and says the tools in order. With
w_t a word's embedding plus the mean of its n-grams' embeddings:

    h      = c + GRU(c),  c = relu(conv_5(w))                                         both directions
    s_k    = GRU([tool_{k-1}, a_{k-1}], s_{k-1}),  a_k = attention of s_k over h      a_0 = max over h, s_0 of it
    p(k)   = softmax(W [s_k, a_k] + V max h)   over the end and the tools that a link leads to from tool_{k-1}

The end is legal after any tool and no tool comes twice, so every chain that the head can say is one of the graph. V is also
trained alone, to tell which tools a request asks for at all.

Attention: Bahdanau et al. 2015; word dropout: Iyyer et al. 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.hosts.base import BaseStates
from builderbrain.rail.config import RailConfig
from builderbrain.rail.letters import LETTERS, Spelled, slots_of, spell

_EMBEDDING = 96
_REACH = 5
END = 0
"""The option that ends a chain; tool i of the configuration's actions is option i + 1. As an input it is the start."""


@dataclass(frozen=True, kw_only=True)
class ChainScores:
    """Unnormalised: `steps` [B, K, 1 + tools], of the option after each given one; `tools` [B, 1 + tools], asked for at all."""

    steps: Tensor
    tools: Tensor


@dataclass(frozen=True, kw_only=True)
class Chain:
    """`tools` in order and the natural log of the chain's probability among the legal ones."""

    tools: tuple[str, ...]
    logprob: float


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A request as read: `words` [B, W, H], `real` bool [B, W], `whole` [B, H]."""

    words: Tensor
    real: Tensor
    whole: Tensor


class ChainHead(nn.Module):
    """From the tokens of prompts to chains of tools. `dropout` and `word_dropout` act in training alone.

    Until `letters` is filled (`builderbrain.rail.letters.token_letters`) every prompt is one empty word.
    """

    letters: Tensor
    legal: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        width, options = config.chain_width, 1 + len(config.actions)
        self.names, self.slots, self.longest = config.actions, config.chain_slots, config.max_actions
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
        self.register_buffer("letters", torch.zeros(config.vocab_size, LETTERS, dtype=torch.int32))
        self.register_buffer("legal", _legal(config), persistent=False)

    def forward(self, states: BaseStates | None, tokens: Tensor, lengths: Tensor, given: Tensor) -> ChainScores:
        """Scores of the option after each of `given`, int64 [B, K], whose first column is the start.

        Args:
            states: of the base over the same tokens, where the rail's `chain_base` is on; else None.
            tokens, lengths: prompts int64 [B, T], right-padded, and their real tokens int64 [B].
        """
        read = self._read(states, tokens, lengths)
        keys, asked = self.key(read.words), self.asked(self._drop(read.whole))
        state, found = torch.tanh(self.begin(read.whole)), read.whole
        scores = []
        for at in range(given.shape[1]):
            state, found, option = self._advance(read, keys, state, found, given[:, at])
            scores.append(option + asked)
        return ChainScores(steps=torch.stack(scores, 1), tools=self.asked(read.whole))

    @torch.no_grad()
    def chains(self, states: BaseStates | None, tokens: Tensor, lengths: Tensor, *, beam: int = 8) -> list[Chain]:
        """The most probable chain of each prompt that a beam of that many finds, of at most the longest legal length."""
        read = self._read(states, tokens, lengths)
        keys, asked = self.key(read.words), self.asked(read.whole)
        best: list[Chain] = []
        for row in range(tokens.shape[0]):
            one = _Read(words=read.words[row : row + 1], real=read.real[row : row + 1], whole=read.whole[row : row + 1])
            best.append(self._search(one, keys[row : row + 1], asked[row : row + 1], beam))
        return best

    def _search(self, read: _Read, keys: Tensor, asked: Tensor, beam: int) -> Chain:
        """Beam search for one prompt."""
        state, found = torch.tanh(self.begin(read.whole)), read.whole
        said: list[list[int]] = [[END]]
        total = torch.zeros(1, device=keys.device)
        best: tuple[float, list[int]] = (-math.inf, [])
        for length in range(self.longest + 1):
            last = torch.tensor([chain[-1] for chain in said], device=keys.device)
            count = len(said)
            wide = _Read(words=read.words.expand(count, -1, -1), real=read.real.expand(count, -1), whole=read.whole)
            state, found, option = self._advance(wide, keys.expand(count, -1, -1), state, found, last)
            legal = self.legal[last].clone()
            for row, chain in enumerate(said):
                legal[row, [tool for tool in chain if tool != END]] = False
            if length == self.longest:
                legal[:, END + 1 :] = False
            scores = total[:, None] + (option + asked).masked_fill(~legal, -torch.inf).log_softmax(-1)
            for row, chain in enumerate(said):
                ended = float(scores[row, END])
                if ended > best[0]:
                    best = ended, chain[1:]
            onward = scores.clone()
            onward[:, END] = -torch.inf
            values, places = onward.flatten().topk(min(beam, onward.numel()))
            alive = values > best[0]
            if not bool(alive.any()):
                break
            rows, options = places[alive] // onward.shape[1], places[alive] % onward.shape[1]
            said = [[*said[row], tool] for row, tool in zip(rows.tolist(), options.tolist(), strict=True)]
            state, found, total = state[rows], found.expand(count, -1)[rows], values[alive]
        return Chain(tools=tuple(self.names[tool - 1] for tool in best[1]), logprob=best[0])

    def _advance(self, read: _Read, keys: Tensor, state: Tensor, found: Tensor, last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step after the options `last` int64 [B]: the new state, what it attends to, and the options' scores."""
        state = self.step(torch.cat([self._drop(self.tools(last)), found], -1), state)
        match = (keys @ self.query(state)[..., None])[..., 0] * state.shape[-1] ** -0.5
        found = (match.masked_fill(~read.real, -torch.inf).softmax(-1)[:, None] @ read.words)[:, 0]
        return state, found, self.option(self._drop(torch.cat([state, found], -1)))

    def _read(self, states: BaseStates | None, tokens: Tensor, lengths: Tensor) -> _Read:
        spelled = spell(tokens, lengths, self.letters)
        x = self._embed(spelled)
        if self.base is not None:
            if states is None:
                raise ValueError("expected the base's states for a chain head with chain_base, got none")
            tap = states.taps[-1].to(x.dtype)
            at = spelled.last[..., None].expand(-1, -1, tap.shape[-1])
            x = x + self.base(F.rms_norm(tap.gather(1, at), (tap.shape[-1],)))
        real = spelled.real[..., None]
        near = self._drop(F.relu(self.near((self._drop(x) * real).transpose(1, 2)).transpose(1, 2)))
        packed = nn.utils.rnn.pack_padded_sequence(
            near, spelled.real.sum(1).cpu().clamp(min=1), batch_first=True, enforce_sorted=False
        )
        far, _ = nn.utils.rnn.pad_packed_sequence(self.far(packed)[0], batch_first=True, total_length=near.shape[1])
        words = (near + far) * real
        return _Read(words=words, real=spelled.real, whole=words.masked_fill(~real, -torch.inf).amax(1))

    def _embed(self, spelled: Spelled) -> Tensor:
        """[B, W, E]; in training whole words are dropped, and apart from them their n-grams."""
        words = self.words(slots_of(spelled.words, self.slots))
        grams = self.grams(slots_of(spelled.grams, self.slots), spelled.first)[spelled.which]
        if self.training and self.word_dropout:
            kept = torch.rand(2, *words.shape[:2], 1, device=words.device) >= self.word_dropout
            return words * kept[0] + grams * kept[1]
        return words + grams

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def chain_options(names: Sequence[str], tools: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the tools of a chain among a head's options."""
    return tuple(1 + names.index(tool) for tool in tools)


def _legal(config: RailConfig) -> Tensor:
    """bool [options, options]: what may follow what. Any tool may begin, any may end, and nothing is empty."""
    options = 1 + len(config.actions)
    legal = torch.zeros(options, options, dtype=torch.bool)
    legal[END, END + 1 :] = True
    legal[END + 1 :, END] = True
    for source, target in config.chain_links:
        legal[source + 1, target + 1] = True
    return legal
