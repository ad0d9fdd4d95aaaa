"""The builder rail: a small trainable stream beside a frozen base.

It reads tapped base states and never writes to them: the base stream is the same with and without a rail, so any number
of rails can share one base forward, and no gradient ever enters the base.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from bbkernels.gated_fusion import gated_fusion
from builderbrain.errors import SkillError, TapError
from builderbrain.hosts.base import BaseStates
from builderbrain.rail.block import BuilderBlock
from builderbrain.rail.cache import RailCache
from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.config import RailConfig
from builderbrain.rail.copying import CopyAttention, Copying
from builderbrain.rail.gates import Gates
from builderbrain.rail.heads import PolicyHeads, PolicyOutput
from builderbrain.rail.labels import Labels, TokenLabels
from builderbrain.rail.places import Places
from builderbrain.rail.plan_head import PlanHead, PlanScores
from builderbrain.rail.reading import ReadingHead
from builderbrain.rail.skill_book import SkillBook
from builderbrain.rail.skills import SkillAdapters, SkillChoice, SkillRouter
from builderbrain.rail.stream_norm import StreamNorm
from builderbrain.rail.tap_reading import epsilon_of, is_narrow, norm_linear, read_fusion
from builderbrain.rail.words import WordEmbedding


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory tokens every position may attend to: `tokens` [B, M, c], of which `lengths` int64 [B] are real."""

    tokens: Tensor
    lengths: Tensor


@dataclass(frozen=True, kw_only=True)
class RailOutput:
    """What a rail makes of T tokens.

    `fused` [B, T, d] in the base's dtype: the last tap after fusion, before the base's final norm.
    `features` [B, T, c]: what the other heads read. `choice`: the skills taken.
    `stream` [B, T, c]: the builder's state after the last block; `written` [B, T, c]: what all blocks' skills added to it.
    `copying`: where the copy attention looked. `labels`: scores [B, T, 1 + options] per token slot of the configuration.
    """

    fused: Tensor
    features: Tensor
    stream: Tensor
    written: Tensor
    choice: SkillChoice
    copying: Copying
    labels: tuple[Tensor, ...]


class BuilderRail(nn.Module):
    """N blocks, one per tap, with gates, skills and policy heads. Parameters are float32; K skills are shared by all blocks."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.config = config
        self.ablated_skills: frozenset[int] = frozenset()  # rows of adapters; see `builderbrain.rail.skills`
        self.enter_norm = nn.RMSNorm(config.d_model)
        self.enter = nn.Linear(config.d_model, config.width, bias=False)
        self.enter_previous = nn.Linear(config.d_model, config.width, bias=False)
        self.words = WordEmbedding(config)
        self.reading = ReadingHead(config)
        self.memory = nn.Linear(config.width, config.latent_heads * config.head_size, bias=False)
        self.router = SkillRouter(config)
        self.blocks = nn.ModuleList(BuilderBlock(config) for _ in config.tap_points)
        self.proposal_skills = (
            SkillAdapters(width=config.d_model, num_skills=config.num_skills, rank=config.proposal_rank)
            if config.proposal_rank
            else None
        )
        self.labels = TokenLabels(config) if config.token_slots else None
        self.copying = CopyAttention(config)
        self.gates = Gates(config)
        self.mix = nn.Parameter(torch.zeros(config.num_taps))
        self.mix_norm = nn.RMSNorm(config.d_model)
        self.mix_read = nn.Linear(config.d_model, config.width, bias=False)
        self.feature_norm = StreamNorm(config.width)
        self.policy = PolicyHeads(config)
        self.plan = PlanHead(config) if config.plan_nodes else None
        self.chain = ChainHead(config) if config.chain_width else None
        self.adopt(SkillBook.of(config))

    def adopt(self, book: SkillBook) -> None:
        """Take over a skill book: from now on the router sends tokens where it says. Weights are not touched.

        Raises:
            SkillError: the book is of a rail of another shape.
        """
        shape = (self.config.num_skills, self.config.num_routes, len(self.config.pinned_skills))
        if (book.adapters, book.routes, book.pinned) != shape:
            raise SkillError(
                f"expected a skill book for adapters, routes and pinned skills {shape}, got "
                f"{(book.adapters, book.routes, book.pinned)}; use the book that lies beside the weights",
                field="skills",
            )
        self.book = book
        self.router.follow(book.leads())

    def new_cache(self) -> RailCache:
        """An empty cache for one batch."""
        return RailCache.empty(self.config.num_taps)

    def forward(
        self,
        states: BaseStates,
        *,
        memory: Memory | None = None,
        cache: RailCache | None = None,
        gumbel: Tensor | None = None,
        temperature: float = 1.0,
    ) -> RailOutput:
        """Run beside the base states of T new tokens.

        Args:
            states: of the new tokens; padding on the right changes no real position, since everything is causal.
            memory: memory tokens; None for none. With a cache, give the same memory at every call.
            cache: extended in place.
            gumbel: router noise [B, T, K] in training, None at run time.
            temperature: of the router, only with `gumbel`.

        Raises:
            TapError: the number of taps differs from the rail's.
        """
        if len(states.taps) != self.config.num_taps:
            raise TapError(f"expected {self.config.num_taps} taps for this rail, got {len(states.taps)}", field="tap_points")
        embedding = states.embedding
        batch = embedding.shape[0]
        offset = 0 if cache is None else cache.length
        if memory is None:
            slots = embedding.new_zeros((batch, 0, self.memory.out_features), dtype=self.enter.weight.dtype)
            slot_lengths = torch.zeros(batch, dtype=torch.int64, device=embedding.device)
        else:
            slots, slot_lengths = self.memory(memory.tokens), memory.lengths
        alpha = self.gates()
        weight = self.mix.softmax(0)
        x, place = self._enter(states, cache)
        shape = self.config
        places = Places.of(
            place, offset=offset, window=shape.reading_window, head_size=shape.head_size, theta=shape.rope_theta, like=x
        )
        choice: SkillChoice | None = None
        copying: Copying | None = None
        labels: Labels | None = None
        read = self.mix_read.weight * self.mix_norm.weight
        mixed = torch.zeros_like(x)
        written = torch.zeros_like(x)
        fused = embedding
        last = len(states.taps) - 1
        blocks = cast(Iterable[BuilderBlock], self.blocks)
        for i, (block, tap) in enumerate(zip(blocks, states.taps, strict=True)):
            block_cache = None if cache is None else cache.blocks[i]
            x = block.attend(x, tap, slots, slot_lengths, places, cache=block_cache)
            if choice is None:
                choice = self.router(x, gumbel=gumbel, temperature=temperature)
            skill = block.skills(x, choice, self.ablated_skills)
            written = written + skill
            x = block.compute(x + skill, narrow=is_narrow(tap, block.leave.weight))
            if self.labels is not None and i == last // 2:
                label_cache = None if cache is None else cache.labels
                labels = self.labels(x, place, offset=offset, cache=label_cache)
                x = x + labels.enters
            if i < last:
                proposed, leave = block.leave_norm(x), block.leave.weight
                reading = read_fusion(tap, proposed, leave, alpha[i], read, epsilon_of(self.mix_norm, x))
            else:
                update = block.propose(x)
                copy_cache = None if cache is None else cache.copying
                hints = None if labels is None else labels.copying
                copying = self.copying(x, states.unembedding, tap, places, hints, cache=copy_cache)
                if self.proposal_skills is not None:
                    update = update + self.proposal_skills(update, choice, self.ablated_skills)
                update = update + copying.update
                if self.ablated_skills:
                    update = update.masked_fill(choice.is_one_of(self.ablated_skills)[..., None], 0.0)
                fused = gated_fusion(tap, update, alpha[i])
                reading = norm_linear(fused, self.mix_norm, self.mix_read.weight)
            mixed = mixed + weight[i] * reading
        if cache is not None:
            cache.length += embedding.shape[1]
        features = self.feature_norm(x + mixed)
        if choice is None or copying is None:
            raise TapError("expected at least one tap, got none", field="tap_points")
        return RailOutput(
            fused=fused,
            features=features,
            stream=x,
            written=written,
            choice=choice,
            copying=copying,
            labels=() if labels is None else labels.scores,
        )

    def _enter(self, states: BaseStates, cache: RailCache | None) -> tuple[Tensor, Tensor]:
        """The stream [B, T, c] before the first block, and the reading head's places int64 [B, T].

        Token t enters together with token t - 1, so that a key can say what followed a token, with the word it ends, and with
        what the reading head finds.
        """
        tokens = states.tokens
        weights = [self.enter.weight, self.enter_previous.weight, self.reading.project.weight]
        read = norm_linear(states.embedding, self.enter_norm, torch.cat(weights))
        own, follows, pieces = read.split([len(weight) for weight in weights], -1)
        first = torch.zeros_like(follows[:, :1]) if cache is None or cache.previous is None else cache.previous
        if cache is not None:
            cache.previous = follows[:, -1:]
        x = own + torch.cat([first, follows[:, :-1]], 1)
        x = x + self.words(tokens, cache=None if cache is None else cache.words)
        reading = self.reading(tokens, pieces, cache=None if cache is None else cache.reading)
        return x + reading.read, reading.place

    def read_policy(self, features: Tensor, lengths: Tensor) -> PolicyOutput:
        """Policy heads over the features [B, T, c] of prompts with `lengths` int64 [B] real tokens."""
        return self.policy(features, lengths)

    def read_plan(self, features: Tensor, lengths: Tensor) -> PlanScores | None:
        """Scores of the plan head over the same; None for a rail without one."""
        return None if self.plan is None else self.plan(features, lengths)
