"""Passes of few tokens, recorded once for each of some sizes and replayed: CUDA graphs around the decode step.

Launching the hundreds of kernels of a pass one by one takes the host longer than they take the device, until many outputs run
together. A recorded pass is launched at once. It is recorded for a number of rows, and any batch of at most so many tokens fits
in: one token each of many sequences, or some that say several at once, as forced text and short prompts do. What does not fit
runs operation by operation, and so does everything once a recording was refused; both are counted, and the refusal is logged.

Recording runs over a batch that holds nobody's tokens, so that it reads and writes nobody's pages. What is then replayed first,
for other tokens than it was recorded with, is compared with the same pass run operation by operation: a pass whose host
decided anything by what tensors held gives other states.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from builderbrain.errors import ConfigError, RecordingError
from builderbrain.hosts.base import BaseStates, RaggedHost
from builderbrain.hosts.ragged import Pages, RaggedBatch
from builderbrain.hosts.recording import Recorder, first_line
from builderbrain.hosts.static_batch import StaticBatch

logger = logging.getLogger(__name__)

PassKind = Literal["captured", "too_many_tokens", "too_long", "refused"]
"""A replayed pass, or why one was run operation by operation: more tokens than the largest recorded size, a sequence of more
pages than recorded tables have, or a recording that was refused."""
_STEP, _WIDE_FROM, _WIDE_STEP = 8, 256, 16


def graph_sizes(most: int) -> tuple[int, ...]:
    """Sizes to record, in tokens: 1, 2, 4, 8, 16, 24, ... 256, 272, ... and `most` itself."""
    sizes = [1, 2, 4, *range(_STEP, _WIDE_FROM, _STEP), *range(_WIDE_FROM, most + 1, _WIDE_STEP)]
    return tuple(sorted({size for size in sizes if size < most} | {most}))


@dataclass(frozen=True, kw_only=True)
class GraphPlan:
    """What is recorded, and by what.

    `sizes`: ascending numbers of tokens. `max_length`: the longest sequence in tokens; longer ones run operation by operation.
    """

    sizes: Sequence[int]
    max_length: int
    recorder: Recorder

    def __post_init__(self) -> None:
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 1:
            raise ConfigError(f"expected ascending sizes of captured passes from 1 on, got {list(self.sizes)}", field="sizes")


class DecodeGraphs:
    """Runs ragged batches of one host over one set of pages, recorded where they fit. Used by one thread.

    What `forward` returns is valid until its next call; logits are the caller's own.
    """

    def __init__(self, host: RaggedHost, pages: Pages, plan: GraphPlan) -> None:
        self.host, self.pages, self.sizes = host, pages, tuple(plan.sizes)
        self.counts: dict[str, int] = dict.fromkeys(get_args(PassKind), 0)
        """Passes by `PassKind`."""
        self.refusal: str | None = None
        """Why nothing is recorded any more."""
        self._record = plan.recorder.record
        self._batch = StaticBatch(self.sizes[-1], -(-plan.max_length // pages.page_size), host.device)
        self._states: BaseStates | None = None
        self._logits: Tensor | None = None
        self._rows = torch.zeros(self.sizes[-1], host.d_model, dtype=host.dtype, device=host.device)
        self._passes: dict[int, Callable[[], None]] = {}
        self._heads: dict[int, Callable[[], None]] = {}
        self._proven: set[tuple[str, int]] = set()

    def capture_all(self) -> None:
        """Record every size now instead of when it is first needed, the largest first, whose memory the others share."""
        for size in reversed(self.sizes):
            if self.refusal is None:
                self._pass_of(size)
            if self.refusal is None:
                self._head_of(size)
        if self.refusal is None:
            logger.info(
                "%s: passes of up to %d tokens run in %d captured graphs, larger ones operation by operation",
                self.host.name, self.sizes[-1], len(self.sizes),
            )  # fmt: skip

    def forward(self, batch: RaggedBatch) -> BaseStates:
        """`RaggedHost.forward_ragged` of a batch that lies on the CPU, over these pages."""
        kind, replay, size = self._kind_of(batch)
        self.counts[kind] += 1
        if replay is None:
            return self.host.forward_ragged(batch, self.pages)
        self._batch.fill(batch)
        replay()
        states = _first_rows(self._states, len(batch.tokens))
        if ("pass", size) in self._proven:
            return states
        # The replay came first: keys that it had not written it would not have read either.
        wanted = self.host.forward_ragged(batch, self.pages)
        found = [states.embedding, states.unembedding, *states.taps]
        if self._prove("pass", size, found, [wanted.embedding, wanted.unembedding, *wanted.taps]):
            return states
        return wanted

    def logits(self, states: Tensor) -> Tensor:
        """`RaggedHost.ragged_logits` of states [N, d]."""
        size = self._size_for(len(states))
        replay = None if size is None or self.refusal is not None else self._head_of(size)
        if size is None or replay is None or self._logits is None:
            return self.host.ragged_logits(states)
        self._rows[: len(states)] = states
        replay()
        found = self._logits[: len(states)].clone()
        if ("head", size) in self._proven:
            return found
        wanted = self.host.ragged_logits(states)
        return found if self._prove("head", size, [found], [wanted]) else wanted

    def _kind_of(self, batch: RaggedBatch) -> tuple[PassKind, Callable[[], None] | None, int]:
        size = self._size_for(len(batch.tokens))
        if self.refusal is not None:
            return "refused", None, 0
        if size is None:
            return "too_many_tokens", None, 0
        if batch.table.shape[1] > self._batch.width:
            return "too_long", None, 0
        replay = self._pass_of(size)
        return ("refused", None, 0) if replay is None else ("captured", replay, size)

    def _size_for(self, tokens: int) -> int | None:
        return next((size for size in self.sizes if size >= tokens), None)

    def _pass_of(self, size: int) -> Callable[[], None] | None:
        if size not in self._passes:
            batch = self._batch.of_size(size)

            def run() -> None:
                _copy_rows(self._all_states(), self.host.forward_ragged(batch, self.pages), size)

            self._recorded(self._passes, size, run)
        return self._passes.get(size)

    def _head_of(self, size: int) -> Callable[[], None] | None:
        if size not in self._heads:
            rows = self._rows[:size]

            def run() -> None:
                self._all_logits()[:size].copy_(self.host.ragged_logits(rows))

            self._recorded(self._heads, size, run)
        return self._heads.get(size)

    def _recorded(self, recordings: dict[int, Callable[[], None]], size: int, run: Callable[[], None]) -> None:
        try:
            self._batch.clear()
            run()  # pages and the tensors that hold what comes out are made here, outside of what recordings share
            recordings[size] = self._record(run)
        except RecordingError as error:
            self._refuse(error.message)
        except Exception as error:  # noqa: BLE001  (a base that cannot be recorded is served without; the reason is logged)
            self._refuse(f"{type(error).__name__}: {first_line(error)}")

    def _all_states(self) -> BaseStates:
        """Where recorded passes put what they make: [1, M, d] each, M the largest size."""
        if self._states is None:
            shape, dtype, device = (1, self.sizes[-1], self.host.d_model), self.host.dtype, self.host.device
            made = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(2 + len(self.host.tap_points))]
            tokens = self._batch.of_size(self.sizes[-1]).tokens[None]
            self._states = BaseStates(tokens=tokens, embedding=made[0], unembedding=made[1], taps=tuple(made[2:]))
        return self._states

    def _all_logits(self) -> Tensor:
        if self._logits is None:
            like = self.host.ragged_logits(self._rows[:1])
            self._logits = like.new_zeros(self.sizes[-1], like.shape[1])
        return self._logits

    def _prove(self, what: str, size: int, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
        """Whether a first replay gave what the operations give; refuses all recordings if not."""
        for mine, theirs in zip(found, wanted, strict=True):
            error, length = (mine.float() - theirs.float()).norm(dim=-1), theirs.float().norm(dim=-1)
            # Written so that NaN is no proof.
            if not bool((error <= torch.finfo(mine.dtype).eps ** 0.5 * length).all()):
                self._refuse(f"a replayed {what} of {size} rows gave other states than the same run operation by operation")
                return False
        self._proven.add((what, size))
        return True

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self._passes.clear()
        self._heads.clear()
        logger.warning(
            "%s: passes run operation by operation from now on, no CUDA graphs: %s; start with --enforce-eager to do without "
            "trying", self.host.name, reason,
        )  # fmt: skip


def _first_rows(states: BaseStates | None, count: int) -> BaseStates:
    if states is None:
        raise RuntimeError("expected a recorded pass before its states are read")
    return BaseStates(
        tokens=states.tokens[:, :count],
        embedding=states.embedding[:, :count],
        unembedding=states.unembedding[:, :count],
        taps=tuple(tap[:, :count] for tap in states.taps),
    )


def _copy_rows(target: BaseStates, source: BaseStates, count: int) -> None:
    """The states of `count` rows, without their tokens."""
    pairs = [(target.embedding, source.embedding), (target.unembedding, source.unembedding)]
    for mine, theirs in (*pairs, *zip(target.taps, source.taps, strict=True)):
        mine[:, :count] = theirs
