"""Beam searches that run beside other outputs: what each gives does not change, and a step of all beams is one pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.beams import BeamSearch
from builderbrain.decode.generate import Decoding
from builderbrain.errors import InvalidRequestError
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from tests.rail.test_jumping import host, jump, schema

SMALL = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 6}, "b": {"enum": ["x", "yes"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


def searches(model: BatchedModel, *, jumps: bool = True) -> list[BeamSearch]:
    found = []
    for width, weight, most in ((4, 0.0, 40), (8, 0.5, 24), (2, 1.0, 40)):
        beams = BeamParameters(width=width, count=2, grammar_weight=weight, diversity_penalty=0.2)
        prompt = model.tokenizer.encode(f"answer {width} as JSON: ")
        parameters = SamplingParameters(max_tokens=most)
        found.append(BeamSearch(model, prompt, parameters, beams, schema(SMALL), jump=jump() if jumps else None))
    return found


def run(batcher: Batcher, running: list[Any]) -> None:
    left = list(running)
    for _ in range(3000):
        for each in tuple(left):
            if each.ready() and not each.step():
                each.close()
                left.remove(each)
        if not left:
            return
        batcher.run()
    raise AssertionError("expected all to end")


def test_searches_give_bit_for_bit_what_they_give_alone_even_where_pages_run_short() -> None:
    rail = load_rail(BUNDLED_RAIL)
    alone = []
    for place in range(3):
        batcher = Batcher(host(), num_pages=256)
        search = searches(BatchedModel(batcher, rail))[place]
        run(batcher, [search])
        alone.append(search.results())
    assert all(len(results) == 2 for results in alone)
    batcher = Batcher(host(), num_pages=24, max_tokens=40)
    model = BatchedModel(batcher, rail)
    beside = [
        Decoding(model, host().tokenizer.encode(f"number {seed}: " * 8), SamplingParameters(max_tokens=60, seed=seed))
        for seed in range(6)
    ]
    together = searches(model)
    run(batcher, [*beside[:3], *together, *beside[3:]])
    assert [search.results() for search in together] == alone
    assert batcher.counts.set_back > 0
    assert batcher.num_open == 0
    assert batcher.pool.available == 24


def test_a_step_of_all_beams_is_one_pass() -> None:
    batcher = Batcher(host(), num_pages=256)
    (search, *_) = searches(BatchedModel(batcher, load_rail(BUNDLED_RAIL)), jumps=False)
    steps = 0
    while True:
        while not search.ready():
            batcher.run()
        steps += 1
        if not search.step():
            break
    assert batcher.counts.passes == steps
    prompt = len(host().tokenizer.encode("answer 4 as JSON: "))
    assert 2 * steps < batcher.counts.tokens <= prompt + 4 * (steps - 1)  # the prompt once, then a row for each of four
    assert batcher.num_open == 0


def test_forced_text_needs_fewer_passes_in_beams_as_well() -> None:
    passes = []
    for jumps in (False, True):
        batcher = Batcher(host(), num_pages=256)
        (search, *_) = searches(BatchedModel(batcher, load_rail(BUNDLED_RAIL)), jumps=jumps)
        run(batcher, [search])
        for each in search.results():
            if each.finish_reason == "stop":
                assert set(json.loads(each.text)) == {"a", "b"}
        passes.append(batcher.counts.passes)
    assert passes[1] < passes[0]


def test_beams_that_cannot_all_be_open_are_refused_at_once() -> None:
    model = BatchedModel(Batcher(host(), num_pages=16), None)
    prompt = host().tokenizer.encode("x")
    with pytest.raises(InvalidRequestError, match="--kv-cache-tokens") as refusal:
        BeamSearch(model, prompt, SamplingParameters(max_tokens=60), BeamParameters(width=8))
    assert refusal.value.field == "max_tokens"
    BeamSearch(model, prompt, SamplingParameters(max_tokens=30), BeamParameters(width=8)).close()
