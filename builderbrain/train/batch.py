"""Batches: rows padded to the right and, per answer token, the mask of what the plan grammar allows there and its weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.masks import masks_along
from builderbrain.hosts.base import Host
from builderbrain.rail.config import RailConfig
from builderbrain.train.row_checks import check_rows
from builderbrain.train.rows import IGNORED, Row, split_by_length


@dataclass(frozen=True, kw_only=True)
class Batch:
    """R rows of T tokens, right-padded.

    `tokens` int64 [R, T]; `lengths`, `prompt_lengths` int64 [R]. `positions` int64 [N] indexes the flattened [R * T]
    states that predict an answer token, `labels` int64 [N] are those tokens, `bitmask` int32 [N, words] what the grammar
    allows there, `weights` float32 [N]. The policy labels are int64: `intent` [R], `actions` [R, A], `span_start` and
    `span_end` [R, S] (prompt length T_p means "none"), `choices` [R, C], `token_labels` [R, T, token slots], `nodes` [R, N]
    (0 is none) and `edges` [R, N, N] (known for i < j among a row's nodes) of the plan's skeleton; IGNORED has no loss.
    `environment` int64 [R] numbers what the rows were told in, `pins` int64 [N] the skills that answer tokens are pinned to.
    """

    tokens: Tensor
    lengths: Tensor
    prompt_lengths: Tensor
    positions: Tensor
    labels: Tensor
    bitmask: Tensor
    weights: Tensor
    intent: Tensor
    actions: Tensor
    span_start: Tensor
    span_end: Tensor
    choices: Tensor
    token_labels: Tensor
    nodes: Tensor
    edges: Tensor
    environment: Tensor
    pins: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Collator:
    """Pads rows into batches on the host's device.

    Args:
        host: of the rail, for the width of the logits and a token to pad with.
        config: of the rail, for the sizes of the labels.
        grammar: of the plans; its masks feed the grammar energy and find the tokens that it forces.
        trivial_weight: weight of answer tokens that the grammar forces.
        literal_weight: weight of the tokens of a string literal after its first, the quote that ends it included. All other
            tokens weigh 1, and a row's weights are divided by the root of their sum.
        width_multiple: batches are padded to a multiple of so many tokens, as far as the host's context goes.
    """

    host: Host
    config: RailConfig
    grammar: CompiledConstraint
    trivial_weight: float
    literal_weight: float
    width_multiple: int = 1

    def parts(self, rows: Sequence[Row], parts: int) -> list[Batch]:
        """At most `parts` batches, each of rows of like length."""
        return [self(some) for some in split_by_length(rows, parts)]

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """One batch of at least one row.

        Raises:
            DataError: a row is of another vocabulary or padded.
            GrammarRefusedError: an answer is no plan in this vocabulary.
        """
        check_rows(rows, self.host.tokenizer)
        return _collate(rows, self)


def _collate(rows: Sequence[Row], collator: Collator) -> Batch:
    config, vocab_size = collator.config, collator.host.vocab_size
    longest = max(len(row.prompt) + len(row.answer) for row in rows)
    length = max(longest, min(-(-longest // collator.width_multiple) * collator.width_multiple, collator.host.max_length))
    prompt_width = max(len(row.prompt) for row in rows)
    tokens = torch.full((len(rows), length), collator.host.tokenizer.eos_token_id, dtype=torch.int64)
    positions: list[int] = []
    for i, row in enumerate(rows):
        tokens[i, : len(row.prompt) + len(row.answer)] = torch.tensor(row.prompt + row.answer)
        first = i * length + len(row.prompt) - 1
        positions.extend(range(first, first + len(row.answer)))
    bitmask = torch.cat([masks_along(collator.grammar, row.answer, vocab_size) for row in rows])
    bits = torch.arange(32, dtype=torch.int32)
    forced = ((bitmask[..., None] >> bits) & 1).sum((1, 2)) == 1

    def spans(edge: int) -> Tensor:
        out = torch.full((len(rows), len(config.span_slots)), IGNORED, dtype=torch.int64)
        for i, row in enumerate(rows):
            for j, slot in enumerate(config.span_slots):
                if slot in row.spans:
                    span = row.spans[slot]
                    out[i, j] = prompt_width if span is None else span[edge]
        return out

    def labels(values: Sequence[Sequence[int]], width: int) -> Tensor:
        return torch.tensor([list(value) or [IGNORED] * width for value in values], dtype=torch.int64).view(len(rows), width)

    batch = Batch(
        tokens=tokens,
        lengths=torch.tensor([len(row.prompt) + len(row.answer) for row in rows]),
        prompt_lengths=torch.tensor([len(row.prompt) for row in rows]),
        positions=torch.tensor(positions),
        labels=torch.tensor([token for row in rows for token in row.answer]),
        bitmask=bitmask,
        weights=_weights(rows, forced.tolist(), collator),
        intent=torch.tensor([row.intent for row in rows]),
        actions=labels([row.actions for row in rows], config.max_actions),
        span_start=spans(0),
        span_end=spans(1),
        choices=labels([row.choices for row in rows], len(config.choice_slots)),
        token_labels=_token_labels(rows, len(config.token_slots), length),
        nodes=_nodes(rows, config.plan_nodes),
        edges=_edges(rows, config.plan_nodes),
        environment=_environments(rows),
        pins=torch.tensor([pin for row in rows for pin in row.pins or (IGNORED,) * len(row.answer)]),
    )
    return batch.to(collator.host.device)


def _token_labels(rows: Sequence[Row], slots: int, width: int) -> Tensor:
    """int64 [R, T, token slots]."""
    out = torch.full((len(rows), width, slots), IGNORED, dtype=torch.int64)
    for i, row in enumerate(rows):
        for slot, labels in enumerate(row.token_labels):
            out[i, : len(labels), slot] = torch.tensor(labels)
    return out


def _nodes(rows: Sequence[Row], size: int) -> Tensor:
    """int64 [R, N]: skills of the skeleton, then none; IGNORED where there is no skeleton."""
    out = torch.full((len(rows), size), IGNORED, dtype=torch.int64)
    for i, row in enumerate(rows):
        if row.nodes:
            out[i] = torch.tensor(row.nodes + (0,) * (size - len(row.nodes)))
    return out


def _edges(rows: Sequence[Row], size: int) -> Tensor:
    """int64 [R, N, N]."""
    out = torch.full((len(rows), size, size), IGNORED, dtype=torch.int64)
    for i, row in enumerate(rows):
        for first, second, kind in row.edges:
            out[i, first, second] = kind
    return out


def _environments(rows: Sequence[Row]) -> Tensor:
    """int64 [R], numbered by name within the batch."""
    names = sorted({row.environment for row in rows})
    return torch.tensor([names.index(row.environment) for row in rows])


def _weights(rows: Sequence[Row], forced: Sequence[bool], collator: Collator) -> Tensor:
    """float32 [N]. Most tokens of a plan copy names, few decide; unweighted, the noise of the many drowns the few."""
    quotes, lines = set(collator.config.quote_tokens), set(collator.config.line_tokens)
    trivial, literal = collator.trivial_weight, collator.literal_weight
    weights: list[float] = []
    for row in rows:
        mine: list[float] = []
        inside = began = False
        for at, token in enumerate(row.answer):
            goes_on = inside and not began  # its end weighs the same, or names would be cut short
            weight = trivial if forced[len(weights) + len(mine)] else literal if goes_on else 1.0
            mine.append(0.0 if row.unscored[0] <= at < row.unscored[1] else weight)
            began = token in quotes and not inside
            inside = (inside or began) and not (token in lines or (token in quotes and not began))
        scale = math.sqrt(sum(mine))
        weights.extend(weight / scale for weight in mine)
    return torch.tensor(weights)
