"""Many outputs' tokens in one pass: continuous batching (Yu et al. 2022, "Orca") of one base under any number of rails.

Outputs ask when they like: `start` and `append` of `rail/batched_model.py` only note what the model has to see. `Batcher.run`
takes the next token of every output and pieces of prompts ("chunked prefill", Agrawal et al. 2024) through the base together,
and each rail's rows through that rail. A prompt that begins as an earlier one did takes over its pages.

What an output gets depends on its own tokens alone: on a CPU with the native library and a dense float32 base to the last bit,
whatever runs beside it, however its prompt is cut, and whether pages were taken over. Elsewhere products of the base may
round otherwise with another number of rows.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from builderbrain.decode.pages import PagePool
from builderbrain.decode.sampler import draw_rows
from builderbrain.hosts.base import BaseStates, RaggedHost
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.rail.native_step import NativeRail, RailState

if TYPE_CHECKING:
    from builderbrain.rail.batched_model import BatchedModel, BatchedState

PAGE_SIZE = 16


@dataclass(kw_only=True)
class BatchCounts:
    """What a batcher has done: passes, tokens run, prompt tokens taken over from pages, outputs set back for want of pages."""

    passes: int = 0
    tokens: int = 0
    reused: int = 0
    set_back: int = 0


class Batcher:
    """Runs the outputs of one host's models together. Used by one thread.

    Args:
        num_pages: of `page_size` positions; at least enough for one text of `max_length`.
        max_tokens: of one pass. Prompts beyond it are run in pieces, so that outputs under way wait no longer than a pass.
        reuse: whether prompts take over pages of earlier ones.
    """

    def __init__(
        self,
        host: RaggedHost,
        *,
        num_pages: int,
        max_tokens: int = 512,
        page_size: int = PAGE_SIZE,
        reuse: bool = True,
    ) -> None:
        self.host, self.max_tokens, self.reuse = host, max_tokens, reuse
        self.pool = PagePool(num_pages, page_size, self._forget)
        self.pages = host.new_pages(num_pages, page_size)
        self.counts = BatchCounts()
        self._models: weakref.WeakSet[BatchedModel] = weakref.WeakSet()
        self._models_lock = threading.Lock()  # models are made on other threads while this one runs
        self._open: dict[int, BatchedState] = {}  # in the order of their arrival
        self._arrived = 0

    def add(self, model: BatchedModel) -> None:
        """Know a model, to tell it what is forgotten."""
        with self._models_lock:
            self._models.add(model)

    def open(self, state: BatchedState) -> int:
        """Take a sequence in; returns its number."""
        self._arrived += 1
        self._open[self._arrived] = state
        return self._arrived

    def close(self, number: int) -> None:
        """A sequence is done with."""
        state = self._open.pop(number, None)
        if state is not None:
            self._give_back(state)

    @property
    def num_open(self) -> int:
        """Sequences that were not closed."""
        return len(self._open)

    def run(self) -> None:
        """One pass for those that wait, if any do. A failure of the pass is told to each of them, by `logits`."""
        chosen = self._choose()
        if not chosen:
            return
        try:
            with torch.no_grad():
                self._run(chosen)
        except Exception as error:  # noqa: BLE001  (told to every output of the pass, behind its own boundary)
            for state, _ in chosen:
                state.fail(error)
                self._give_back(state)

    def _choose(self) -> list[tuple[BatchedState, int]]:
        """Whose tokens are run, and how many of each: outputs under way first, then prompts in the order they came."""
        waiting = [state for state in self._open.values() if state.unread and state.failure is None]
        waiting.sort(key=lambda state: len(state.unread) > 1)  # stable
        chosen: list[tuple[BatchedState, int]] = []
        room = self.max_tokens
        for state in waiting:
            if state.set_back:
                continue
            if not state.pages:
                self._take_over(state)
            count = min(len(state.unread), room)
            if count and self._make_room(state, count):
                chosen.append((state, count))
                room -= count
            if not room:
                break
        for state in waiting:
            state.set_back = False
        return [(state, count) for state, count in chosen if state.pages]

    def _take_over(self, state: BatchedState) -> None:
        """Begin with the pages of an earlier text that began alike; one token at least is left to run."""
        if not self.reuse or not state.model.keeps_states:
            return
        found: RailState | None = None
        keys = self.pool.keys(state.tokens[:-1])
        for count, key in enumerate(keys, start=1):
            snapshot = state.model.snapshot(key)
            own = None if snapshot is None else snapshot.page
            page = self.pool.find(key) if state.model.native is None else own
            if page is None:
                break
            self.pool.hold(page)
            state.pages.append(page)
            state.known, found = count * self.pool.page_size, None if snapshot is None else snapshot.state
        if state.pages:
            self.counts.reused += state.known
            state.reused = max(state.reused, state.known)
            if found is not None:
                state.rail_state = found.copy()

    def _make_room(self, state: BatchedState, count: int) -> bool:
        """Pages for `count` more tokens; where there are none, the newest other sequence gives its own back and starts anew."""
        wanted = -(-(state.known + count) // self.pool.page_size)
        while len(state.pages) < wanted:
            page = self.pool.take()
            if page is not None:
                state.pages.append(page)
                continue
            others = [
                other for other in self._open.values() if other is not state and other.pages and other.number > state.number
            ]
            if not others:
                return False
            loser = others[-1]
            self._give_back(loser)
            loser.begin_anew()
            self.counts.set_back += 1
        return True

    def _run(self, chosen: list[tuple[BatchedState, int]]) -> None:
        sequences = [state for state, _ in chosen]
        new = [state.unread[:count] for state, count in chosen]
        batch = self._batch(new, [state.known for state in sequences], sequences)
        states = self.host.forward_ragged(batch, self.pages)
        fused = torch.empty_like(states.taps[-1])
        starts = batch.starts.tolist()
        by_model: dict[BatchedModel, list[int]] = {}
        for place, state in enumerate(sequences):
            by_model.setdefault(state.model, []).append(place)
        for model, places in by_model.items():
            if model.native is not None and len(places) == len(sequences):
                fused = self._run_native(model, model.native, sequences, batch, states)
                continue
            self._run_rail(model, [sequences[place] for place in places], [new[place] for place in places],
                           [starts[place] for place in places], states, fused)  # fmt: skip
        for state, count in chosen:
            state.known += count
            self._name(state)
        done = [place for place, state in enumerate(sequences) if not state.unread]
        if done:
            rows = fused[0, [starts[place + 1] - 1 for place in done]]
            logits = self.host.ragged_logits(rows)
            for place, row in zip(done, logits, strict=True):
                sequences[place].answer = row
            _draw([sequences[place] for place in done], logits)
        self.counts.passes += 1
        self.counts.tokens += len(batch.tokens)

    def _run_native(
        self, model: BatchedModel, native: NativeRail, sequences: Sequence[BatchedState], batch: RaggedBatch, states: BaseStates
    ) -> Tensor:
        """The fused states [1, N, d] of one model's batch; its state is kept where texts can go on from."""
        kept: list[tuple[BatchedState, int]] = []
        rows: list[int] = []
        starts = batch.starts.tolist()
        for state, first, end in zip(sequences, starts[:-1], starts[1:], strict=True):
            for length in model.lengths_to_keep(state, end - first):
                kept.append((state, length))
                rows.append(first + length - state.known - 1)
        out = native.step(batch, states, [state.rail_state for state in sequences], model.pages, keep=rows)
        for (state, length), rail_state in zip(kept, out.kept, strict=True):
            model.keep(state, length, rail_state)
        return out.fused

    def _run_rail(
        self,
        model: BatchedModel,
        sequences: Sequence[BatchedState],
        new: Sequence[Sequence[int]],
        starts: Sequence[int],
        states: BaseStates,
        fused: Tensor,
    ) -> None:
        """Fill in the fused states of one model's rows."""
        if model.rail is None:
            for tokens, first in zip(new, starts, strict=True):
                fused[:, first : first + len(tokens)] = states.taps[-1][:, first : first + len(tokens)]
            return
        if model.native is None:
            for state, tokens, first in zip(sequences, new, starts, strict=True):
                rows = torch.arange(first, first + len(tokens), device=fused.device)
                fused[:, rows] = model.rail(_rows(states, rows), cache=state.rail_cache).fused
            return
        batch = self._batch(new, [state.known for state in sequences], sequences)
        rows = torch.cat([torch.arange(first, first + len(tokens)) for tokens, first in zip(new, starts, strict=True)])
        fused[:, rows] = self._run_native(model, model.native, sequences, batch, _rows(states, rows))

    def _batch(self, new: Sequence[Sequence[int]], known: Sequence[int], sequences: Sequence[BatchedState]) -> RaggedBatch:
        pages = [state.pages for state in sequences]
        return RaggedBatch.of(new, known, pages, page_size=self.pool.page_size, device=self.host.device)

    def _name(self, state: BatchedState) -> None:
        """Let others find the full pages of a prompt."""
        if not self.reuse:
            return
        full = min(state.known, state.prompt_length) // self.pool.page_size
        for place in range(state.named, full):
            page, key = state.pages[place], state.keys[place]
            kept = state.model.snapshots.get(key)
            if self.pool.find(key) is None or (kept is not None and kept.page == page):
                self.pool.name(page, key)
        state.named = max(state.named, full)

    def _give_back(self, state: BatchedState) -> None:
        for page in state.pages:
            self.pool.let_go(page)
        state.pages = []

    def _forget(self, page: int) -> None:
        with self._models_lock:
            models = tuple(self._models)
        for model in models:
            model.forget(page)


def _draw(sequences: Sequence[BatchedState], logits: Tensor) -> None:
    """Draw for those that asked, from logits [S, V]."""
    places = [place for place, state in enumerate(sequences) if state.row is not None]
    if not places:
        return
    asking = logits if len(places) == len(sequences) else logits[torch.tensor(places, device=logits.device)]
    draws = draw_rows(asking, [row for state in sequences if (row := state.row) is not None])
    for place, draw in zip(places, draws, strict=True):
        sequences[place].drawn = draw


def _rows(states: BaseStates, rows: Tensor) -> BaseStates:
    return BaseStates(
        tokens=states.tokens[:, rows],
        embedding=states.embedding[:, rows],
        unembedding=states.unembedding[:, rows],
        taps=tuple(tap[:, rows] for tap in states.taps),
    )
