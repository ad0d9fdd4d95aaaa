"""Batches of requests for the chain head, and its loss."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.hosts.base import Host
from builderbrain.rail.chain_head import END, ChainHead, chain_options
from builderbrain.train.tool_graph.requests import ChainRequest, ChainRequests

IGNORED = -1
_POOL = 16
_ASKED_FOR = 3.0
"""Weight of a tool that is asked for beside those that are not: few of hundreds are."""


@dataclass(frozen=True, kw_only=True)
class ChainBatch:
    """R requests: `tokens` int64 [R, T], right-padded, `lengths` int64 [R]; `given` int64 [R, K] and `wanted` int64 [R, K], the
    options before and after, IGNORED behind the end; `asked` float32 [R, options], 1 where a tool is asked for.
    """

    tokens: Tensor
    lengths: Tensor
    given: Tensor
    wanted: Tensor
    asked: Tensor


def requests_of_step(requests: ChainRequests, *, seed: int, step: int, count: int) -> list[ChainRequest]:
    """The requests of a step: all chains once in an order of their own before any comes again. (seed, step) fixes them.

    Those of `_POOL` steps are drawn together and dealt by length, so that a batch has little padding.
    """
    pool, place = divmod(step, _POOL)
    drawn = _pool(requests, seed, pool, count)
    return list(drawn[place * count : (place + 1) * count])


def collate(rows: Sequence[ChainRequest], host: Host, names: Sequence[str]) -> ChainBatch:
    """Rows as tensors on the host's device; prompts longer than the base's context lose their end."""
    prompts = [plan_prompt(host.tokenizer, row.text)[: host.max_length] for row in rows]
    tokens = torch.full((len(rows), max(map(len, prompts))), host.tokenizer.eos_token_id, dtype=torch.int64)
    steps = 1 + max(len(row.tools) for row in rows)
    given = torch.full((len(rows), steps), END, dtype=torch.int64)
    wanted = torch.full((len(rows), steps), IGNORED, dtype=torch.int64)
    asked = torch.zeros(len(rows), 1 + len(names))
    for at, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        options = torch.tensor(chain_options(names, row.tools))
        tokens[at, : len(prompt)] = torch.tensor(prompt)
        given[at, 1 : 1 + len(options)] = options
        wanted[at, : len(options)] = options
        wanted[at, len(options)] = END
        asked[at, options] = 1.0
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    values = (tensor.to(host.device) for tensor in (tokens, lengths, given, wanted, asked))
    return ChainBatch(**dict(zip(("tokens", "lengths", "given", "wanted", "asked"), values, strict=True)))


def chain_loss(
    head: ChainHead, host: Host, batch: ChainBatch, *, smoothing: float, asked_weight: float, reader: int = 0
) -> Tensor:
    """Of one reader: mean cross-entropy of the options, nats, plus `asked_weight` times that of which tools are asked for."""
    states = None if head.base is None else host.forward(batch.tokens, lengths=batch.lengths)
    scores = head(states, batch.tokens, batch.lengths, batch.given, reader=reader)
    steps = F.cross_entropy(scores.steps.flatten(0, 1), batch.wanted.flatten(), ignore_index=IGNORED, label_smoothing=smoothing)
    weight = torch.tensor(_ASKED_FOR, device=batch.tokens.device)
    asked = F.binary_cross_entropy_with_logits(scores.tools[:, 1:], batch.asked[:, 1:], pos_weight=weight)
    return steps + asked_weight * asked


@lru_cache(maxsize=64)
def _pool(requests: ChainRequests, seed: int, pool: int, count: int) -> tuple[ChainRequest, ...]:
    """The requests of a pool in the order of its steps."""
    chains, size = requests.chains, _POOL * count
    rng = random.Random(f"{seed} requests {pool}")
    drawn = []
    for place in range(pool * size, (pool + 1) * size):
        epoch, at = divmod(place, len(chains))
        drawn.append(requests.draw(rng, chains[_order(len(chains), seed, epoch)[at]]))
    drawn.sort(key=lambda request: len(request.text))
    steps = [drawn[first : first + count] for first in range(0, size, count)]
    rng.shuffle(steps)
    return tuple(request for step in steps for request in step)


@lru_cache(maxsize=4)
def _order(size: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of an epoch."""
    places = list(range(size))
    random.Random(f"{seed} epoch {epoch}").shuffle(places)
    return tuple(places)
