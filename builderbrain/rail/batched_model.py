"""The models and the sequences of a `Batcher`: what an output holds between passes, and what a rail keeps of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from builderbrain.decode.base import Influence
from builderbrain.decode.model import FillMask, TokenState
from builderbrain.decode.sampler import Draw, Row
from builderbrain.errors import BuilderBrainError, ContextLengthError
from builderbrain.rail.batching import Batcher
from builderbrain.rail.cache import RailCache
from builderbrain.rail.checkpoint import rail_version
from builderbrain.rail.influence import RailInfluence
from builderbrain.rail.native_step import NativeRail, RailState, why_not_native
from builderbrain.rail.rail import BuilderRail


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a rail needs to go on where a page of a prompt ends: its state, and the page, which holds what it wrote of the text
    up to there. Another rail's page of the same text holds nothing of this one."""

    page: int
    state: RailState


class BatchedModel:
    """A base alone or under a rail as a `TokenModel` whose sequences run together with those of the batcher's other models.

    Where the rail's step has no native form its rows go through PyTorch one sequence after the other, and pages are not shared.
    """

    def __init__(self, batcher: Batcher, rail: BuilderRail | None, *, weight_version: str | None = None) -> None:
        host = batcher.host
        self.batcher, self.rail = batcher, rail
        self.tokenizer = host.tokenizer
        self.eos_token_id = host.tokenizer.eos_token_id
        self.vocab_size = host.vocab_size
        self.max_length = host.max_length
        self.native: NativeRail | None = None
        self.pages = torch.empty(0)
        self.snapshots: dict[bytes, Snapshot] = {}
        self._key_of: dict[int, bytes] = {}
        if rail is None:
            self.weight_version = weight_version or "base"
        else:
            self.weight_version = weight_version or rail_version(rail)
            rail = rail.to(host.device).eval()
            if why_not_native(rail, host) is None:
                self.native = NativeRail(rail, host)
                self.pages = self.native.new_pages(batcher.pool.num_pages, batcher.pool.page_size)
        batcher.add(self)

    @cached_property
    def influence(self) -> RailInfluence | None:
        """What tells watched sequences of the rail's share; None for the base alone."""
        return None if self.rail is None else RailInfluence(self.rail)

    @property
    def keeps_states(self) -> bool:
        """Whether a text can go on from another one's pages."""
        return self.rail is None or self.native is not None

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        """A sequence that waits to be run; [T] ids with T >= 1."""
        return BatchedState(self, prompt_tokens)

    def fits(self, sequences: int, length: int) -> bool:
        """See `LimitedRoom.fits`."""
        pool = self.batcher.pool
        return sequences * -(-length // pool.page_size) <= pool.num_pages

    def lengths_to_keep(self, state: BatchedState, count: int) -> list[int]:
        """Where, within a sequence's next `count` tokens, a page of its prompt becomes full whose state nobody has kept."""
        if not self.batcher.reuse:
            return []
        size = self.batcher.pool.page_size
        last = min(state.known + count, state.prompt_length) // size
        return [page * size for page in range(state.known // size + 1, last + 1) if self.snapshot(state.keys[page - 1]) is None]

    def keep(self, state: BatchedState, length: int, rail_state: RailState) -> None:
        """Keep a sequence's state behind `length` tokens, where a page of its prompt became full."""
        place = length // self.batcher.pool.page_size - 1
        key, page = state.keys[place], state.pages[place]
        self.snapshots[key] = Snapshot(page=page, state=rail_state)
        self._key_of[page] = key

    def snapshot(self, key: bytes) -> Snapshot | None:
        """What was kept of this text, if its page is still there."""
        kept = self.snapshots.get(key)
        return kept if kept is not None and self.batcher.pool.holds(kept.page, key) else None

    def forget(self, page: int) -> None:
        """A page was given away."""
        key = self._key_of.pop(page, None)
        kept = None if key is None else self.snapshots.get(key)
        if key is not None and kept is not None and kept.page == page:
            del self.snapshots[key]


class BatchedState:
    """One sequence of a `BatchedModel`. `reused` are the tokens of its prompt that another one had been asked before."""

    def __init__(self, model: BatchedModel, prompt_tokens: Sequence[int]) -> None:
        self.model = model
        self.tokens = list(prompt_tokens)
        self.prompt_length = len(self.tokens)
        self.keys = model.batcher.pool.keys(self.tokens) if model.batcher.reuse else []
        self.pages: list[int] = []
        self.named = self.reused = 0
        self.answer: Tensor | None = None
        self.row: Row | None = None
        self.fill: FillMask | None = None
        self.drawn: Draw | None = None
        self.watched = False
        self.influence: Influence | None = None
        self.failure: BaseException | None = None
        self.set_back = False
        self.begin_anew()
        self.set_back = False
        self.number = model.batcher.open(self)
        self.order = (self.number, self.number)
        """Whose turn it is, and who keeps its pages: forks stand where the sequence that they come from arrived."""

    def begin_anew(self) -> None:
        """Forget what was run; it has to be run again, in a later pass."""
        self.known = 0
        self.set_back = True
        if self.model.native is not None:
            self.rail_state = RailState()
        elif self.model.rail is not None:
            self.rail_cache: RailCache = self.model.rail.new_cache()

    @property
    def unread(self) -> list[int]:
        """Tokens that the model has not seen."""
        return self.tokens[self.known :]

    @property
    def ready(self) -> bool:
        """Whether the next logits are there, or the reason why there are none."""
        return self.answer is not None or self.failure is not None

    def logits(self) -> Tensor:
        """Logits [V] of the next token.

        Raises:
            RuntimeError: the batcher has not run since the last `append`.
            BuilderBrainError: the pass that was to give them failed.
        """
        if self.failure is not None:
            raise self.failure
        if self.answer is None:
            raise RuntimeError("expected the batcher to run before logits are asked for")
        return self.answer

    def append(self, token: int) -> None:
        """Extend the sequence; `ready` again after the next pass."""
        if len(self.tokens) >= self.model.max_length:
            raise ContextLengthError(f"expected at most {self.model.max_length} tokens, got one more", field="max_tokens")
        self.tokens.append(token)
        self.answer = self.row = self.fill = self.drawn = self.influence = None

    @property
    def fills_masks(self) -> bool:
        """Whether the batcher makes masks while the model runs."""
        return self.model.batcher.masks is not None

    def ask(self, row: Row, fill: FillMask | None = None) -> None:
        """Draw the next token with `row` in the pass that makes its logits; its mask is made by `fill` meanwhile."""
        if self.answer is None:
            self.row, self.fill = row, fill

    def fork(self) -> BatchedState:
        """See `TokenState.fork`. Shares full pages; where there is no page for the rest, all of it is run again."""
        forked = copy(self)
        forked.tokens, forked.row, forked.fill, forked.drawn = list(self.tokens), None, None, None
        forked.number = self.model.batcher.open(forked)
        forked.order = (self.order[0], forked.number)
        if not self.model.batcher.share(self, forked):
            forked.begin_anew()
            forked.set_back = False
        elif self.model.native is not None:
            forked.rail_state = self.rail_state.copy()
        elif self.model.rail is not None:
            forked.rail_cache = deepcopy(self.rail_cache)
        return forked

    def watch(self) -> None:
        """See `TellsInfluence`."""
        self.watched = True

    def fail(self, error: BaseException) -> None:
        """The pass failed."""
        self.failure = error if isinstance(error, BuilderBrainError) else RuntimeError(f"a pass of the model failed: {error}")

    def close(self) -> None:
        """Give the pages back."""
        self.model.batcher.close(self.number)
