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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from builderbrain.decode.mask_threads import MaskThreads, PendingMasks
from builderbrain.decode.pages import PagePool
from builderbrain.decode.sampler import draw_rows
from builderbrain.hosts.base import BaseStates, RaggedHost
from builderbrain.hosts.decode_graphs import DecodeGraphs, GraphPlan
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.rail.influence import tell_influence
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


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """Logits [S, V]; where somebody asks for a rail's influence also the base's states [S, d] and the skills of the tokens."""

    logits: Tensor
    base: Tensor | None
    skills: list[int] | None


class Batcher:
    """Runs the outputs of one host's models together. Used by one thread.

    Args:
        num_pages: of `page_size` positions; at least enough for one text of `max_length`.
        max_tokens: of one pass. Prompts beyond it are run in pieces, so that outputs under way wait no longer than a pass.
        reuse: whether prompts take over pages of earlier ones.
        graphs: which passes are captured and replayed; None for none.
        masks_meanwhile: whether grammar masks are made on threads while the model runs, instead of before; None where the model
            runs on another device than the masks.
    """

    def __init__(
        self,
        host: RaggedHost,
        *,
        num_pages: int,
        max_tokens: int = 512,
        page_size: int = PAGE_SIZE,
        reuse: bool = True,
        graphs: GraphPlan | None = None,
        masks_meanwhile: bool | None = None,
    ) -> None:
        self.host, self.max_tokens, self.reuse = host, max_tokens, reuse
        self.pool = PagePool(num_pages, page_size, self._forget)
        self.pages = host.new_pages(num_pages, page_size)
        self.graphs = None if graphs is None else DecodeGraphs(host, self.pages, graphs)
        meanwhile = host.device.type != "cpu" if masks_meanwhile is None else masks_meanwhile
        self.masks = MaskThreads() if meanwhile else None
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

    def share(self, state: BatchedState, forked: BatchedState) -> bool:
        """Give a fork the full pages that a sequence has run, and a copy of the one that both go on writing.

        False, and no pages, where there is no page for that copy or the sequence has given its own back.
        """
        full, begun = divmod(state.known, self.pool.page_size)
        forked.pages = []
        if not state.pages:
            return False
        if begun:
            page = self.pool.take()
            if page is None:
                self.counts.set_back += 1
                return False
            self.pages.copy_page(state.pages[full], page)
            if state.model.native is not None:
                state.model.pages[page] = state.model.pages[state.pages[full]]
            forked.pages.append(page)
        for shared in state.pages[:full]:
            self.pool.hold(shared)
        forked.pages = [*state.pages[:full], *forked.pages]
        return True

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
        waiting.sort(key=lambda state: (len(state.unread) > 1, state.order))
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
            others = [other for other in self._open.values() if other.pages and other.order > state.order]
            if not others:
                return False
            loser = max(others, key=lambda other: other.order)
            self._give_back(loser)
            loser.begin_anew()
            self.counts.set_back += 1
        return True

    def _run(self, chosen: list[tuple[BatchedState, int]]) -> None:
        sequences = [state for state, _ in chosen]
        new = [state.unread[:count] for state, count in chosen]
        batch = self._batch(new, [state.known for state in sequences], sequences)
        done = [place for place, (state, count) in enumerate(chosen) if count == len(state.unread)]
        asking = [sequences[place] for place in done if sequences[place].row is not None]
        masks = self._begin_masks(asking)
        try:
            answers = self._run_model(batch, chosen, new, done)
        finally:
            # Also where the pass failed: from here on others touch the outputs that the masks belong to.
            _take_masks(asking, masks)
        if answers is not None:
            answered = [sequences[place] for place in done]
            for state, row in zip(answered, answers.logits, strict=True):
                state.answer = row
            _draw(answered, answers.logits)
            if answers.base is not None and answers.skills is not None:
                tell_influence(self.host, answered, answers.logits, answers.base, answers.skills)
        self.counts.passes += 1
        self.counts.tokens += len(batch.tokens)

    def _run_model(
        self, batch: RaggedBatch, chosen: list[tuple[BatchedState, int]], new: Sequence[Sequence[int]], done: Sequence[int]
    ) -> _Answers | None:
        """The base and the rails over the new tokens; what they say to those that are `done` with theirs."""
        sequences = [state for state, _ in chosen]
        states = self.host.forward_ragged(batch, self.pages) if self.graphs is None else self.graphs.forward(batch)
        starts = batch.starts.tolist()
        fused, skills = self._fuse(batch, sequences, new, starts, states)
        for state, count in chosen:
            state.known += count
            self._name(state)
        if not done:
            return None
        last = [starts[place + 1] - 1 for place in done]
        rows = fused[0] if len(last) == fused.shape[1] else fused[0, last]
        logits = self.host.ragged_logits(rows) if self.graphs is None else self.graphs.logits(rows)
        watched = any(sequences[place].watched for place in done)
        return _Answers(
            logits=logits, base=states.taps[-1][0, last] if watched else None, skills=skills[last].tolist() if watched else None
        )

    def _fuse(
        self,
        batch: RaggedBatch,
        sequences: Sequence[BatchedState],
        new: Sequence[Sequence[int]],
        starts: Sequence[int],
        states: BaseStates,
    ) -> tuple[Tensor, Tensor]:
        """The states behind each one's rail [1, N, d], and the skill of each token, int64 [N]."""
        by_model: dict[BatchedModel, list[int]] = {}
        for place, state in enumerate(sequences):
            by_model.setdefault(state.model, []).append(place)
        first = sequences[0].model
        if len(by_model) == 1 and first.native is not None:
            return self._run_native(first, first.native, sequences, batch, states)
        skills = torch.zeros(len(batch.tokens), dtype=torch.int64, device=states.taps[-1].device)
        if len(by_model) == 1 and first.rail is None:
            return states.taps[-1], skills
        fused = torch.empty_like(states.taps[-1])
        for model, places in by_model.items():
            self._run_rail(model, [sequences[place] for place in places], [new[place] for place in places],
                           [starts[place] for place in places], states, fused, skills)  # fmt: skip
        return fused, skills

    def _run_native(
        self, model: BatchedModel, native: NativeRail, sequences: Sequence[BatchedState], batch: RaggedBatch, states: BaseStates
    ) -> tuple[Tensor, Tensor]:
        """The fused states [1, N, d] of one model's batch and the skills [N]; its state is kept where texts can go on from."""
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
        return out.fused, out.skill

    def _run_rail(
        self,
        model: BatchedModel,
        sequences: Sequence[BatchedState],
        new: Sequence[Sequence[int]],
        starts: Sequence[int],
        states: BaseStates,
        fused: Tensor,
        skills: Tensor,
    ) -> None:
        """Fill in the fused states of one model's rows, and the skills that were chosen."""
        if model.rail is None:
            every = [row for tokens, first in zip(new, starts, strict=True) for row in range(first, first + len(tokens))]
            rows = torch.tensor(every, device=fused.device)
            fused[:, rows] = states.taps[-1][:, rows]
            return
        if model.native is None:
            for state, tokens, first in zip(sequences, new, starts, strict=True):
                rows = torch.arange(first, first + len(tokens), device=fused.device)
                output = model.rail(_rows(states, rows), cache=state.rail_cache)
                fused[:, rows] = output.fused
                skills[rows] = output.choice.skill[0]
            return
        batch = self._batch(new, [state.known for state in sequences], sequences)
        rows = torch.cat([torch.arange(first, first + len(tokens)) for tokens, first in zip(new, starts, strict=True)])
        fused[:, rows], skills[rows] = self._run_native(model, model.native, sequences, batch, _rows(states, rows))

    def _begin_masks(self, sequences: Sequence[BatchedState]) -> PendingMasks | None:
        """Begin to make the masks that these left to the batcher."""
        fills = [state.fill for state in sequences if state.fill is not None]
        return self.masks.begin(fills) if self.masks is not None and fills else None

    def _batch(self, new: Sequence[Sequence[int]], known: Sequence[int], sequences: Sequence[BatchedState]) -> RaggedBatch:
        """On the CPU: the host brings it to where it runs."""
        return RaggedBatch.of(new, known, [state.pages for state in sequences], page_size=self.pool.page_size)

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


def _take_masks(sequences: Sequence[BatchedState], masks: PendingMasks | None) -> None:
    """Put finished masks into the rows that they belong to. An output whose mask failed asks for nothing: its own next step
    meets the failure again, behind its own boundary."""
    if masks is None:
        return
    made = masks.results()
    for state, mask in zip((state for state in sequences if state.fill is not None), made, strict=True):
        state.row = None if state.row is None or isinstance(mask, Exception) else replace(state.row, bitmask=mask)
        state.fill = None


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
