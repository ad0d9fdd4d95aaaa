"""Training rows as tokens: what the rail reads and what it has to say.

A row is a goal, tokenised once: prompt, plan, end token, labels for the policy heads. `Batch` pads rows to the right and
adds, per answer token, the mask of what the plan grammar allows there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from builderbrain.decode.plan_prompt import AFTER_GOAL, BEFORE_GOAL
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.masks import masks_along
from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.train.goals import Goal

IGNORED = -1
"""Label of what is not known; it has no loss."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One goal. Spans are half-open token ranges of the prompt, None where there is none.

    `token_labels` are per token slot the labels of all tokens, those of the answer's end token excepted.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    intent: int = IGNORED
    actions: tuple[int, ...] = ()
    spans: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    choices: tuple[int, ...] = ()
    token_labels: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Batch:
    """R rows of T tokens, right-padded.

    `tokens` int64 [R, T]; `lengths`, `prompt_lengths` int64 [R]. `positions` int64 [N] indexes the flattened [R * T]
    states that predict an answer token, `labels` int64 [N] are those tokens, `bitmask` int32 [N, words] what the grammar
    allows there, `weights` float32 [N]. The policy labels are int64: `intent` [R], `actions` [R, A], `span_start` and
    `span_end` [R, S] (prompt length T_p means "none"), `choices` [R, C], `token_labels` [R, T, token slots]; IGNORED has
    no loss.
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


def row_of(goal: Goal, tokenizer: Tokenizer, config: RailConfig) -> Row:
    """Tokenise a goal and its labels.

    The prompt is tokenised as it will be at run time; a span takes in every token that has a character of it.
    """
    before, after = tokenizer.encode(BEFORE_GOAL), tokenizer.encode(AFTER_GOAL)
    ids, offsets = tokenizer.encode_with_offsets(goal.text)

    def tokens_of(start: int, end: int) -> tuple[int, int]:
        inside = [i for i, (first, last) in enumerate(offsets, len(before)) if first < end and last > start]
        return inside[0], inside[-1] + 1

    answer = tokenizer.encode(goal.plan)
    labels: dict[str, list[int]] = {}
    for slot, options in config.token_slots if goal.clauses else ():
        mine = [0] * (len(before) + len(ids) + len(after) + len(answer))
        for start, end, option in goal.token_ranges(slot):
            first, last = tokens_of(start, end)
            mine[first:last] = [1 + options.index(option)] * (last - first)
            if slot == "name":
                mine[first] = 1 + options.index(f"{option} begins")
        labels[slot] = mine
    if labels:
        _label_answer(labels, tokenizer, answer, config)
    numbers = [1 + config.actions.index(action) for action in goal.actions[: config.max_actions]]
    return Row(
        prompt=(*before, *ids, *after),
        answer=(*answer, tokenizer.eos_token_id),
        intent=config.intents.index(goal.intent),
        actions=tuple(numbers + [0] * (config.max_actions - len(numbers))),
        spans={slot: None if span is None else tokens_of(*span) for slot, span in goal.spans.items()},
        choices=tuple(options.index(goal.pick) for _, options in config.choice_slots),
        token_labels=tuple(tuple(mine) for mine in labels.values()),
    )


def _label_answer(labels: dict[str, list[int]], tokenizer: Tokenizer, answer: Sequence[int], config: RailConfig) -> None:
    """The tokens of a step say which one they write, and a quote that opens a name which name has to begin."""
    options = dict(config.token_slots)
    first = len(labels["step"]) - len(answer)
    step, text = 1, ""
    for at, token in enumerate(answer, first):
        step += token in config.line_tokens
        labels["step"][at] = step
        text += tokenizer.decode([token])
        for name in ("pattern", "path"):
            if text.endswith(f'{name}="'):
                labels["name"][at] = 1 + options["name"].index(f"{name} begins")


def split_by_length(rows: Sequence[Row], parts: int) -> list[list[Row]]:
    """At most `parts` parts of equal size (or one more), each of rows of like length."""
    ordered = sorted(rows, key=lambda row: len(row.prompt) + len(row.answer))
    cuts = [round(i * len(rows) / parts) for i in range(parts + 1)]
    return [ordered[start:end] for start, end in pairwise(cuts) if end > start]


def collate(
    rows: Sequence[Row],
    *,
    grammar: CompiledConstraint,
    vocab_size: int,
    config: RailConfig,
    pad: int,
    trivial_weight: float,
    literal_weight: float,
) -> Batch:
    """Pad rows into a batch.

    Args:
        rows: at least one.
        grammar: of the plans; its masks feed the grammar energy and find the tokens that it forces.
        vocab_size: width of the logits.
        config: of the rail, for the sizes of the policy labels.
        pad: any token id.
        trivial_weight: weight of answer tokens that the grammar forces.
        literal_weight: weight of the tokens of a string literal after its first, the quote that ends it included. All other
            tokens weigh 1, and a row's weights are divided by the root of their sum.
    """
    length = max(len(row.prompt) + len(row.answer) for row in rows)
    prompt_width = max(len(row.prompt) for row in rows)
    tokens = torch.full((len(rows), length), pad, dtype=torch.int64)
    positions: list[int] = []
    for i, row in enumerate(rows):
        tokens[i, : len(row.prompt) + len(row.answer)] = torch.tensor(row.prompt + row.answer)
        first = i * length + len(row.prompt) - 1
        positions.extend(range(first, first + len(row.answer)))
    bitmask = torch.cat([masks_along(grammar, row.answer, vocab_size) for row in rows])
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

    return Batch(
        tokens=tokens,
        lengths=torch.tensor([len(row.prompt) + len(row.answer) for row in rows]),
        prompt_lengths=torch.tensor([len(row.prompt) for row in rows]),
        positions=torch.tensor(positions),
        labels=torch.tensor([token for row in rows for token in row.answer]),
        bitmask=bitmask,
        weights=_weights(rows, forced.tolist(), config, trivial_weight, literal_weight),
        intent=torch.tensor([row.intent for row in rows]),
        actions=labels([row.actions for row in rows], config.max_actions),
        span_start=spans(0),
        span_end=spans(1),
        choices=labels([row.choices for row in rows], len(config.choice_slots)),
        token_labels=_token_labels(rows, len(config.token_slots), length),
    )


def _token_labels(rows: Sequence[Row], slots: int, width: int) -> Tensor:
    """int64 [R, T, token slots]."""
    out = torch.full((len(rows), width, slots), IGNORED, dtype=torch.int64)
    for i, row in enumerate(rows):
        for slot, labels in enumerate(row.token_labels):
            out[i, : len(labels), slot] = torch.tensor(labels)
    return out


def _weights(rows: Sequence[Row], forced: Sequence[bool], config: RailConfig, trivial: float, literal: float) -> Tensor:
    """float32 [N]. Most tokens of a plan copy names, few decide; unweighted, the noise of the many drowns the few."""
    quotes, lines = set(config.quote_tokens), set(config.line_tokens)
    weights: list[float] = []
    for row in rows:
        mine: list[float] = []
        inside = began = False
        for token in row.answer:
            goes_on = inside and not began  # its end weighs the same, or names would be cut short
            mine.append(trivial if forced[len(weights) + len(mine)] else literal if goes_on else 1.0)
            began = token in quotes and not inside
            inside = (inside or began) and not (token in lines or (token in quotes and not began))
        scale = math.sqrt(sum(mine))
        weights.extend(weight / scale for weight in mine)
    return torch.tensor(weights)
