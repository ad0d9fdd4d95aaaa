"""How likely a model finds each of some answers: exact log-probabilities of whole texts, not of their first tokens.

    log P(label | prompt) = sum over i of log p(label[i] | prompt, label[:i])        [+ log p(an end | prompt, label)]

The labels of one call are scored by one version of the weights, and the prompt is run once: what follows takes over its pages.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from builderbrain.decode.model import TokenModel, TokenState
from builderbrain.serve.backend import WAITING, Waiting

AT_ONCE = 8
"""Labels of several tokens that are followed together."""


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """Natural logs, one a label, and what it took."""

    logprobs: tuple[float, ...]
    weight_version: str
    cached_tokens: int


def begins_another(labels: Sequence[Sequence[int]]) -> bool:
    """Whether some label is the beginning of another one, so that only their ends tell them apart."""
    ordered = sorted(tuple(label) for label in labels)
    return any(after[: len(before)] == before for before, after in pairwise(ordered))


def score_labels(
    model: TokenModel, prompt: Sequence[int], labels: Sequence[Sequence[int]], ends: frozenset[int]
) -> Generator[Waiting, None, LabelScores]:
    """Score labels, of at least one token each. Yields `WAITING` whenever the model has to run.

    Args:
        ends: ids any of which has to follow a label; empty where a label may go on.
    """
    totals = [0.0] * len(labels)
    first, cached = yield from _first(model, prompt)
    left = []
    for place, label in enumerate(labels):
        totals[place] = float(first[label[0]])
        if len(label) > 1 or ends:
            left.append(place)
    for start in range(0, len(left), AT_ONCE):
        places = left[start : start + AT_ONCE]
        found = yield from _follow(model, prompt, [labels[place] for place in places], ends)
        for place, more in zip(places, found, strict=True):
            totals[place] += more
    return LabelScores(logprobs=tuple(totals), weight_version=model.weight_version, cached_tokens=cached)


def _first(model: TokenModel, prompt: Sequence[int]) -> Generator[Waiting, None, tuple[Tensor, int]]:
    state = model.start(prompt)
    try:
        yield from _until_ready(state)
        return _logprobs(state, model), state.reused
    finally:
        state.close()


def _follow(
    model: TokenModel, prompt: Sequence[int], labels: Sequence[Sequence[int]], ends: frozenset[int]
) -> Generator[Waiting, None, list[float]]:
    """What each label's later tokens, and its end, add."""
    states = [model.start([*prompt, label[0]]) for label in labels]
    try:
        totals = [0.0] * len(labels)
        for step in range(1, max(map(len, labels)) + 1):
            yield WAITING  # others take their turn, also where a model answers at once
            for place, (state, label) in enumerate(zip(states, labels, strict=True)):
                if step < len(label):
                    yield from _until_ready(state)
                    totals[place] += float(_logprobs(state, model)[label[step]])
                    if step + 1 < len(label) or ends:
                        state.append(label[step])
                elif step == len(label) and ends:
                    yield from _until_ready(state)
                    totals[place] += float(torch.logsumexp(_logprobs(state, model)[sorted(ends)], dim=0))
        return totals
    finally:
        for state in states:
            state.close()


def _until_ready(state: TokenState) -> Generator[Waiting, None, None]:
    while not state.ready:
        yield WAITING


def _logprobs(state: TokenState, model: TokenModel) -> Tensor:
    """Float64 [V] over the tokenizer's own ids."""
    return torch.log_softmax(state.logits()[: model.tokenizer.vocab_size].double(), dim=-1).cpu()
