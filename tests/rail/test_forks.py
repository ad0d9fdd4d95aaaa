"""A forked sequence says what one with the same tokens says, whether pages were shared, copied or had to be run again."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from builderbrain.decode.host_model import HostModel
from builderbrain.decode.model import TokenModel, TokenState
from builderbrain.hosts.load import load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel

GOAL = 'search for "needle in hay" under src/app and read the first.\ns1=search('


@cache
def host() -> Any:
    return load_host("builderbrain-nano")


def batched(kind: str, num_pages: int) -> BatchedModel:
    batcher = Batcher(host(), num_pages=num_pages, max_tokens=64)
    model = BatchedModel(batcher, None if kind == "base" else load_rail(BUNDLED_RAIL))
    if kind == "slow rail":
        model.native = None
    return model


def run(model: TokenModel, states: list[TokenState]) -> list[Tensor]:
    for _ in range(200):
        if all(state.ready for state in states):
            return [state.logits() for state in states]
        model.batcher.run()  # type: ignore[attr-defined]
    raise AssertionError("expected all sequences to be ready within two hundred passes")


def anew(kind: str, tokens: list[int]) -> Tensor:
    """The logits after tokens that were appended one by one, as a fork's were."""
    model = batched(kind, 64)
    first = len(host().tokenizer.encode(GOAL))
    state = model.start(tokens[:first])
    run(model, [state])
    for token in tokens[first:]:
        state.append(token)
        run(model, [state])
    return state.logits()


@pytest.mark.parametrize("num_pages", [64, 8])
@pytest.mark.parametrize("kind", ["base", "rail"])
def test_forks_say_bit_for_bit_what_their_tokens_say_alone(kind: str, num_pages: int) -> None:
    rng = random.Random(num_pages)
    model = batched(kind, num_pages)
    prompt = host().tokenizer.encode(GOAL)
    texts: list[list[int]] = [list(prompt)]
    states: list[TokenState] = [model.start(prompt)]
    run(model, states)
    younger = model.start([*reversed(prompt)])
    for _ in range(14):
        if younger.ready:
            younger.append(300)
        if len(states) < 2:
            place = rng.randrange(len(states))
            states.append(states[place].fork())
            texts.append(list(texts[place]))
            assert states[-1].ready
            assert torch.equal(states[-1].logits(), states[place].logits())
        for state, text in zip(states, texts, strict=True):
            text.append(rng.randrange(300, 900))
            state.append(text[-1])
        run(model, states)
        if rng.random() < 0.3:
            place = rng.randrange(len(states))
            states.pop(place).close()
            texts.pop(place)
            if not states:
                states, texts = [model.start(prompt)], [list(prompt)]
                run(model, states)
    for state, text in zip(states, texts, strict=True):
        assert torch.equal(state.logits(), anew(kind, text))
        state.close()
    younger.close()
    assert model.batcher.pool.available == num_pages
    assert model.batcher.num_open == 0
    assert (model.batcher.counts.set_back > 0) == (num_pages == 8)


def test_forks_share_the_full_pages() -> None:
    model = batched("rail", 64)
    state = model.start(host().tokenizer.encode(GOAL * 3))
    run(model, [state])
    held = 64 - model.batcher.pool.available
    forks = [state.fork() for _ in range(7)]
    assert 64 - model.batcher.pool.available == held + 7  # one page each, of its own
    tokens = model.batcher.counts.tokens
    for fork in forks:
        fork.append(400)
    run(model, [*forks])
    assert model.batcher.counts.tokens == tokens + 7
    for each in (state, *forks):
        each.close()


@pytest.mark.parametrize("kind", ["host", "pair", "slow rail"])
def test_forks_of_sequences_with_caches_of_their_own(kind: str) -> None:
    model: Any = batched(kind, 64) if kind == "slow rail" else HostModel(host())
    if kind == "pair":
        model = RailModel(host(), load_rail(BUNDLED_RAIL))
    state = model.start(host().tokenizer.encode(GOAL))
    run(model, [state])
    fork = state.fork()
    for each, tokens in ((state, [400, 401]), (fork, [500, 501, 502])):
        for token in tokens:
            each.append(token)
            run(model, [each])
    for each, tokens in ((state, [400, 401]), (fork, [500, 501, 502])):
        alone = model.start(host().tokenizer.encode(GOAL))
        for token in tokens:
            run(model, [alone])
            alone.append(token)
        torch.testing.assert_close(each.logits(), run(model, [alone])[0], atol=1e-4, rtol=1e-4)


def test_the_oldest_keeps_its_pages_and_its_forks_stand_where_it_stands() -> None:
    model = batched("base", 9)
    prompt = host().tokenizer.encode(GOAL)
    old = model.start(prompt)
    run(model, [old])
    young = model.start([*reversed(prompt[:20])])
    run(model, [young])
    family = [old, *(old.fork() for _ in range(2))]
    for token in range(400, 420):
        for state in family:
            state.append(token)
        run(model, family)  # would stand still if the forks came behind `young`
    assert model.batcher.counts.set_back > 0
    for state in (*family, young):
        state.close()
    assert model.batcher.pool.available == 9
