"""The chain head: which tools a request asks for, one after another, along the links of a graph of tools.

It reads the prompt whole, in both directions, by its words (`builderbrain.rail.letters`, `chain_reader.py`), and says the tools
in order. After each, only the end and the tools that a link leads to are possible. The end is legal after any tool and no tool
comes twice, so every chain that the head can say is one of the graph. With `chain_others` N > 0 the probabilities of a step
are the mean of those of N + 1 readers, which are trained apart (deep ensembles: Lakshminarayanan et al. 2017).

A beam finds probable chains. Where the head has a linear part F (`builderbrain.rail.linear_tools`), what it says of their tools
is added to the log of their probabilities, and `builderbrain.rail.chain_choice` takes that which agrees best with all:

    log p(chain) + a sum over its tools t of (F_t - 0.35)

with a = 4, and with several readers a = 1: the mean of their probabilities is flatter than those of one, and needs less help.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from builderbrain.hosts.base import BaseStates
from builderbrain.rail.chain_choice import Chain, most_agreeable
from builderbrain.rail.chain_reader import ChainReader, ChainScores, Position, Reading
from builderbrain.rail.config import RailConfig
from builderbrain.rail.letters import LETTERS, spell
from builderbrain.rail.linear_tools import LinearTools

END = 0
"""The option that ends a chain; tool i of the configuration's actions is option i + 1. As an input it is the start."""
_LINEAR_WEIGHT, _LINEAR_WEIGHT_OF_SEVERAL, _LINEAR_MIDDLE = 4.0, 1.0, 0.35
"""Of what the linear part says beside one reader and beside several, and the score that is neither for nor against a tool."""


class ChainHead(ChainReader):
    """From the tokens of prompts to chains of tools. It is its own first reader; `others` are the further ones.

    Until `letters` is filled (`builderbrain.rail.letters.token_letters`) every prompt is one empty word.
    """

    letters: Tensor
    legal: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__(config)
        self.names, self.longest = config.actions, config.max_actions
        self.others = nn.ModuleList(ChainReader(config) for _ in range(config.chain_others))
        self.linear = LinearTools(config.chain_linear, len(config.actions)) if config.chain_linear else None
        self.register_buffer("letters", torch.zeros(config.vocab_size, LETTERS, dtype=torch.int32))
        self.register_buffer("legal", _legal(config), persistent=False)

    @property
    def readers(self) -> tuple[ChainReader, ...]:
        """Itself and the others."""
        return (self, *(cast(ChainReader, other) for other in self.others))

    def parameters_of(self, reader: int) -> list[nn.Parameter]:
        """The parameters of one reader."""
        if reader:
            return list(self.readers[reader].parameters())
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("others.")]

    def forward(
        self, states: BaseStates | None, tokens: Tensor, lengths: Tensor, given: Tensor, *, reader: int = 0
    ) -> ChainScores:
        """Scores by one of the readers of the option after each of `given`, int64 [B, K], whose first column is the start.

        Args:
            states: of the base over the same tokens, where the rail's `chain_base` is on; else None.
            tokens, lengths: prompts int64 [B, T], right-padded, and their real tokens int64 [B].
        """
        tap = None if states is None else states.taps[-1]
        return self.readers[reader].score(spell(tokens, lengths, self.letters), tap, given)

    def chains(self, states: BaseStates | None, tokens: Tensor, lengths: Tensor, *, beam: int = 8) -> list[Chain]:
        """For each prompt that of its candidates which agrees best with the others, each by its probability and, where the
        head has a linear part, by what that says of its tools. The answer has the probability that the readers give it."""
        found = self.candidates(states, tokens, lengths, beam=beam)
        return [most_agreeable(some, bonus) for some, bonus in zip(found, self._bonuses(tokens, lengths), strict=True)]

    @torch.no_grad()
    def _bonuses(self, tokens: Tensor, lengths: Tensor) -> list[dict[str, float]]:
        """For each prompt what each tool of a chain adds to the log of its probability; empty without a linear part."""
        if self.linear is None:
            return [{} for _ in tokens]
        weight = _LINEAR_WEIGHT_OF_SEVERAL if len(self.others) else _LINEAR_WEIGHT
        scores = weight * (self.linear(spell(tokens, lengths, self.letters)) - _LINEAR_MIDDLE)
        return [dict(zip(self.names, row, strict=True)) for row in scores.tolist()]

    @torch.no_grad()
    def candidates(
        self, states: BaseStates | None, tokens: Tensor, lengths: Tensor, *, beam: int = 8
    ) -> list[tuple[Chain, ...]]:
        """For each prompt at most `beam` chains that a beam of that many finds, the most probable first.

        None is longer than the longest legal one.
        """
        spelled, tap = spell(tokens, lengths, self.letters), None if states is None else states.taps[-1]
        readings = [reader.read(spelled, tap) for reader in self.readers]
        rows = torch.arange(tokens.shape[0], device=tokens.device)
        return [self._search([reading.rows(row) for reading in readings], beam) for row in rows[:, None]]

    def _search(self, readings: Sequence[Reading], beam: int) -> tuple[Chain, ...]:
        """Beam search for one prompt, which each reader has read."""
        positions = [reader.start(reading) for reader, reading in zip(self.readers, readings, strict=True)]
        device = self.legal.device
        said: list[list[int]] = [[END]]
        total = torch.zeros(1, device=device)
        ended: list[tuple[float, list[int]]] = []
        for length in range(self.longest + 1):
            last = torch.tensor([chain[-1] for chain in said], device=device)
            legal = self.legal[last].clone()
            for row, chain in enumerate(said):
                legal[row, [tool for tool in chain if tool != END]] = False
            if length == self.longest:
                legal[:, END + 1 :] = False
            positions, scores = self._advance(readings, positions, last, legal)
            scores = total[:, None] + scores
            finished = scores[:, END].tolist()
            ended += [(score, chain[1:]) for score, chain in zip(finished, said, strict=True) if score > -math.inf]
            ended = sorted(ended, key=lambda one: -one[0])[:beam]
            onward = scores.clone()
            onward[:, END] = -torch.inf
            values, places = onward.flatten().topk(min(beam, onward.numel()))
            # A chain only loses by going on, so that what is behind the last of a full list is done.
            alive = values > (ended[-1][0] if len(ended) == beam else -math.inf)
            if not bool(alive.any()):
                break
            rows, options = places[alive] // onward.shape[1], places[alive] % onward.shape[1]
            said = [[*said[row], tool] for row, tool in zip(rows.tolist(), options.tolist(), strict=True)]
            positions, total = [position.rows(rows) for position in positions], values[alive]
        return tuple(Chain(tools=tuple(self.names[tool - 1] for tool in chain), logprob=score) for score, chain in ended)

    def _advance(
        self, readings: Sequence[Reading], positions: Sequence[Position], last: Tensor, legal: Tensor
    ) -> tuple[list[Position], Tensor]:
        """One step of every reader after the options `last` int64 [R]; log of the mean probability of each, [R, options]."""
        moved, found = [], []
        for reader, reading, position in zip(self.readers, readings, positions, strict=True):
            wide = reading.rows(last.new_zeros(len(last)))
            moved.append(reader.advance(wide, position, last))
            found.append((reader.options(moved[-1].seen) + wide.asked).masked_fill(~legal, -torch.inf).log_softmax(-1))
        return moved, torch.stack(found).logsumexp(0) - math.log(len(found))


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
