"""Outputs under a constraint that run together: forced text costs no model steps, and changes nothing that is promised."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.errors import MaskEmptyError
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.load import load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail

SCHEMA = {
    "type": "object",
    "properties": {
        "description": {"type": "string", "maxLength": 12},
        "availability": {"enum": ["immediately", "tomorrow"]},
        "quantity": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["description", "availability", "quantity"],
    "additionalProperties": False,
}


@cache
def host() -> Any:
    return load_host("builderbrain-nano")


@cache
def jump() -> JumpForward:
    return JumpForward(host().tokenizer, vocabulary_for(host().tokenizer, host().vocab_size))


@cache
def compiled(kind: str, source: str) -> CompiledConstraint:
    engine = GrammarEngine(host().tokenizer, host().vocab_size)
    return engine.compile(Constraint(kind=kind, source=source), trusted=True)  # type: ignore[arg-type]


def schema(value: object = SCHEMA) -> CompiledConstraint:
    return compiled("json_schema", json.dumps(value))


def batcher(**more: Any) -> Batcher:
    return Batcher(host(), num_pages=128, **more)


def run(batcher: Batcher, outputs: list[Decoding]) -> list[Generation]:
    left = list(outputs)
    for _ in range(2000):
        for output in tuple(left):
            if output.ready() and output.step() is None:
                output.close()
                left.remove(output)
        if not left:
            return [output.result() for output in outputs]
        batcher.run()
    raise AssertionError("expected all outputs to end")


def output(model: BatchedModel, seed: int, *, jumps: bool = True, most: int = 200, **more: Any) -> Decoding:
    parameters = SamplingParameters(max_tokens=most, temperature=1.2, seed=seed, **more)
    prompt = model.tokenizer.encode(f"number {seed}: ")
    return Decoding(model, prompt, parameters, schema(), jump=jump() if jumps else None)


def test_forced_text_needs_less_than_half_of_the_passes() -> None:
    passes = []
    for jumps in (True, False):
        runs = batcher()
        model = BatchedModel(runs, None)
        found = run(runs, [output(model, seed, jumps=jumps) for seed in range(4)])
        assert all(generation.constraint and generation.constraint.valid for generation in found)
        passes.append(runs.counts.passes)
    assert passes[0] < passes[1] / 2


def test_an_output_that_jumps_is_the_same_whatever_runs_beside_it() -> None:
    rail = load_rail(BUNDLED_RAIL)
    runs = batcher()
    models = [BatchedModel(runs, rail), BatchedModel(runs, None)]
    together = run(runs, [output(models[seed % 2], seed) for seed in range(8)])
    for seed in (0, 1, 5):
        alone = batcher(max_tokens=5, reuse=False)
        [again] = run(alone, [output(BatchedModel(alone, None if seed % 2 else rail), seed)])
        assert (again.tokens, again.text) == (together[seed].tokens, together[seed].text)


def test_tokens_spell_the_text_and_are_no_more_than_asked() -> None:
    runs = batcher()
    model = BatchedModel(runs, None)
    vocabulary = vocabulary_for(model.tokenizer, model.vocab_size)
    for most in (1, 3, 9, 17, 30):
        [found] = run(runs, [output(model, most, most=most)])
        assert len(found.tokens) <= most
        assert vocabulary.text(found.tokens).decode("utf-8") == found.text
        assert found.finish_reason == ("length" if len(found.tokens) == most else "stop")


def test_log_probabilities_are_those_of_every_token() -> None:
    runs = batcher()
    [found] = run(runs, [output(BatchedModel(runs, None), 3, logprobs=2)])
    assert runs.counts.passes >= len(found.tokens) == len(found.logprobs)


def test_forced_text_never_holds_a_stop_string() -> None:
    """A stop string within what is forced cannot be kept, and is a dead end with jumps as without; others change nothing."""
    runs = batcher()
    model = BatchedModel(runs, None)
    [plain, stopped] = run(runs, [output(model, 3), output(model, 3, stop=("zzz",))])
    assert plain.tokens == stopped.tokens
    with pytest.raises(MaskEmptyError):
        run(runs, [output(model, 3, stop=('lity":',))])


def test_penalties_count_the_tokens_that_stay() -> None:
    runs = batcher()
    decoding = output(BatchedModel(runs, None), 4, presence_penalty=0.4)
    [found] = run(runs, [decoding])
    counts = decoding._sampler._counts
    assert counts is not None
    assert counts[1].sum() == len(found.tokens)
    assert all(counts[1][token] == found.tokens.count(token) for token in found.tokens)


def test_what_is_forced_from_end_to_end_needs_no_pass() -> None:
    runs = batcher()
    model = BatchedModel(runs, None)
    wanted = schema({"const": {"name": ["é😀", 1]}})
    decoding = Decoding(model, [5], SamplingParameters(max_tokens=60), wanted, jump=jump())
    [found] = run(runs, [decoding])
    assert json.loads(found.text) == {"name": ["é😀", 1]}
    assert found.finish_reason == "stop"
    assert runs.counts.passes == 0
