"""A rail's step as one native call: what the PyTorch rail says, whatever the level, the cut and what lay in the pages."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from builderbrain.errors import ConfigError
from builderbrain.hosts.base import BaseStates, Host
from builderbrain.hosts.load import load_host
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.native_step import NativeRail, RailState, why_not_native
from builderbrain.rail.rail import BuilderRail

GOAL = 'search for "needle in hay" under src/app and read the first.\ns1=search(pattern="needle in hay",path="src/app")\n'
TEXTS = (GOAL, 'open the last file that has "x" in it', GOAL + 's2=read(path="s1.1")\n' + GOAL)
PAGES = ([5, 2, 7, 0, 20, 21], [1, 4, 22], [3, 6, 8, 9, 10, 11, 12, 13, 14, 15])
NUM_PAGES = 24


@pytest.fixture(scope="module")
def nano() -> tuple[Host, BuilderRail]:
    host, rail = load_host("builderbrain-nano"), load_rail(BUNDLED_RAIL).eval()
    refusal = why_not_native(rail, host)
    if refusal:
        pytest.skip(refusal)
    return host, rail


def rows(states: Sequence[BaseStates]) -> BaseStates:
    """The states of several sequences in one row."""
    return BaseStates(
        tokens=torch.cat([each.tokens for each in states], 1),
        embedding=torch.cat([each.embedding for each in states], 1),
        unembedding=torch.cat([each.unembedding for each in states], 1),
        taps=tuple(torch.cat(parts, 1) for parts in zip(*(each.taps for each in states), strict=True)),
    )


def part(states: BaseStates, begin: int, end: int) -> BaseStates:
    return BaseStates(
        tokens=states.tokens[:, begin:end],
        embedding=states.embedding[:, begin:end],
        unembedding=states.unembedding[:, begin:end],
        taps=tuple(tap[:, begin:end] for tap in states.taps),
    )


class Sequences:
    """Texts on their way through a native rail, `fused` and `skill` of each as far as they were run."""

    def __init__(self, host: Host, native: NativeRail, *, fill: float = 0.0, page_size: int = 16) -> None:
        self.native, self.page_size = native, page_size
        self.texts = [host.tokenizer.encode(text) for text in TEXTS]
        self.base = [host.forward(torch.tensor([text])) for text in self.texts]
        self.pages = native.new_pages(NUM_PAGES, page_size).fill_(fill)
        self.states = [RailState() for _ in TEXTS]
        self.known = [0] * len(TEXTS)
        self.fused: list[list[Tensor]] = [[] for _ in TEXTS]
        self.skill: list[list[Tensor]] = [[] for _ in TEXTS]

    def run(self, counts: dict[int, int], *, level: int = 2, keep: Sequence[int] = ()) -> tuple[RailState, ...]:
        """The next tokens of some of them; returns the states behind the rows `keep`."""
        new = [self.texts[place][self.known[place] : self.known[place] + count] for place, count in counts.items()]
        known = [self.known[place] for place in counts]
        batch = RaggedBatch.of(new, known, [PAGES[place] for place in counts], page_size=self.page_size)
        states = rows([part(self.base[place], self.known[place], self.known[place] + count) for place, count in counts.items()])
        out = self.native.step(batch, states, [self.states[place] for place in counts], self.pages, keep=keep, level=level)
        for (place, count), first in zip(counts.items(), batch.starts.tolist(), strict=False):
            self.fused[place].append(out.fused[0, first : first + count])
            self.skill[place].append(out.skill[first : first + count])
            self.known[place] += count
        return out.kept

    def run_all(self, **options: int) -> list[Tensor]:
        self.run({place: len(text) for place, text in enumerate(self.texts)}, **options)
        return self.said()

    def said(self) -> list[Tensor]:
        return [torch.cat(found) for found in self.fused]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_says_what_the_rail_says(nano: tuple[Host, BuilderRail], level: int) -> None:
    host, rail = nano
    sequences = Sequences(host, NativeRail(rail, host))
    said = sequences.run_all(level=level)
    for base, found, skills in zip(sequences.base, said, sequences.skill, strict=True):
        with torch.no_grad():
            wanted = rail(base)
        assert (found - wanted.fused[0]).abs().max() <= 2e-5 * wanted.fused.abs().max()
        assert torch.equal(torch.cat(skills), wanted.choice.skill[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bits_depend_neither_on_the_cut_nor_on_neighbours_nor_on_what_lay_in_the_pages(
    nano: tuple[Host, BuilderRail], seed: int
) -> None:
    host, rail = nano
    wanted = Sequences(host, NativeRail(rail, host)).run_all()
    draw = random.Random(seed)
    sequences = Sequences(host, NativeRail(rail, host), fill=float("nan"), page_size=(16, 32, 64)[seed])
    while any(known < len(text) for known, text in zip(sequences.known, sequences.texts, strict=True)):
        left = {place: len(text) - sequences.known[place] for place, text in enumerate(sequences.texts)}
        counts = {place: min(most, draw.choice([1, 2, 17, 70])) for place, most in left.items() if most and draw.random() < 0.7}
        if counts:
            sequences.run(counts)
    assert all(torch.equal(found, row) for found, row in zip(sequences.said(), wanted, strict=True))


def test_a_text_goes_on_from_a_state_that_was_kept_within_a_call(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    native = NativeRail(rail, host)
    sequences = Sequences(host, native)
    first, last = len(sequences.texts[0]), len(sequences.texts[2])
    kept = sequences.run({0: first, 2: last}, keep=[15, first + 79])
    wanted = {place: sequences.fused[place][0] for place in (0, 2)}
    assert len(kept) == 2
    for place, length, state in ((0, 16, kept[0]), (2, 80, kept[1])):
        sequences.states[place], sequences.known[place], sequences.fused[place] = state, length, []
        sequences.run({place: len(sequences.texts[place]) - length})
        assert torch.equal(torch.cat(sequences.fused[place]), wanted[place][length:])


@pytest.mark.parametrize("size", [0, 8, 24])
def test_pages_hold_whole_tiles(nano: tuple[Host, BuilderRail], size: int) -> None:
    host, rail = nano
    with pytest.raises(ConfigError, match="power of two positions, 16 or more") as refusal:
        NativeRail(rail, host).new_pages(4, size)
    assert refusal.value.field == "page_size"
