"""Decoding under hostile logits: always legal, deterministic, and honest about how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import Decoding, attempt_seed, generate, stream
from builderbrain.decode.random_model import RandomModel
from builderbrain.errors import (
    ConstraintViolatedError,
    ContextLengthError,
    InvalidRequestError,
    MaskEmptyError,
    NonFiniteLogitsError,
)
from builderbrain.grammar.validate import check_json, validator_for
from tests.grammar.toys import VOCAB_SIZE, compile_trusted, toy_engine, toy_tokenizer

PROMPT = [5, 6, 7]
END = toy_tokenizer().eos_token_id


def model(seed: int = 0, *, end_bias: float = 1.0, scale: float = 1.0) -> RandomModel:
    return RandomModel(toy_tokenizer(), VOCAB_SIZE, seed=seed, scale=scale, end_bias=end_bias, max_length=600)


def hot(seed: int = 0, max_tokens: int = 120, **more: object) -> SamplingParameters:
    return SamplingParameters(max_tokens=max_tokens, temperature=1.5, seed=seed, **more)  # type: ignore[arg-type]


class Script:
    """A model that wants to say a given text, byte by byte, and then end."""

    ready, reused = True, 0

    def __init__(self, text: str) -> None:
        index = toy_engine().vocabulary.token_bytes.index
        self.wanted = [*(index(bytes([byte])) for byte in text.encode()), END]
        self.tokenizer, self.eos_token_id = toy_tokenizer(), END
        self.vocab_size, self.max_length, self.weight_version = VOCAB_SIZE, 600, "script"
        self.steps = 0

    def start(self, prompt_tokens: Sequence[int]) -> Script:
        self.steps = 0
        return self

    def logits(self) -> Tensor:
        logits = torch.zeros(VOCAB_SIZE)
        logits[self.wanted[min(self.steps, len(self.wanted) - 1)]] = 30.0
        return logits

    def append(self, token: int) -> None:
        self.steps += 1

    def fork(self) -> Script:
        return copy(self)

    def close(self) -> None:
        pass


SCHEMAS: list[object] = [
    {"type": "string"},
    {"type": "string", "minLength": 1, "maxLength": 8},
    {"type": "object", "properties": {"id": {"type": "integer"}, "n": {"type": "string"}}, "required": ["id"]},
    {"type": "array", "items": {"type": "number"}, "maxItems": 6},
    {"type": "object", "additionalProperties": {"type": "boolean"}},
    {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]},
    {"enum": ["red", 1.5, None, {"a": ["é"]}]},
    {"type": "string", "pattern": "^[^b]{2,6}$"},
    {},
]


def test_two_hundred_hostile_outputs_are_valid_or_say_length() -> None:
    endings = {"stop": 0, "length": 0}
    for index in range(207):
        schema = SCHEMAS[index % len(SCHEMAS)]
        compiled = compile_trusted("json_schema", schema)
        generation = generate(model(index, end_bias=3.0), PROMPT, hot(index, 40), compiled)
        endings[generation.finish_reason] += 1
        assert generation.constraint is not None
        if generation.finish_reason == "stop":
            assert generation.constraint.valid is True
            assert check_json(generation.text, validator_for(schema)) is None  # type: ignore[arg-type]
            assert generation.text.encode() == toy_engine().vocabulary.text(generation.tokens)
        else:
            assert generation.constraint.valid is None
            assert len(generation.tokens) == 40
    assert endings["stop"] > 100
    assert endings["length"] > 0


def test_the_same_seed_gives_the_same_output_whatever_runs_beside_it() -> None:
    compiled = compile_trusted("json_schema", SCHEMAS[2])
    alone = [generate(model(), PROMPT, hot(seed), compiled) for seed in range(4)]
    together = [Decoding(model(), PROMPT, hot(seed), compiled) for seed in range(4)]
    running = list(together)
    while running:
        running = [decoding for decoding in running if decoding.step() is not None]
    assert [decoding.result() for decoding in together] == alone
    assert len({generation.text for generation in alone}) > 1


def test_steps_add_up_to_the_result() -> None:
    for seed in range(12):
        steps = stream(model(seed), PROMPT, hot(seed, 60, logprobs=2), compile_trusted("json_schema", SCHEMAS[0]))
        texts, tokens, generation = [], [], None
        while generation is None:
            try:
                step = next(steps)
                texts.append(step.text)
                tokens.append(step.token)
                assert step.logprob is not None
                assert step.logprob.token == step.token
                assert step.logprob.logprob <= 0
            except StopIteration as end:
                generation = end.value
        assert "".join(texts) == generation.text
        assert all("\ufffd" not in text for text in texts)
        assert tuple(token for token in tokens if token != END) == generation.tokens
        assert len(generation.logprobs) == len(generation.tokens)


def test_unconstrained_output_ends_at_end_of_sequence_or_length() -> None:
    generation = generate(Script("héllo"), PROMPT, SamplingParameters(max_tokens=50, temperature=0))
    assert (generation.text, generation.finish_reason, generation.constraint) == ("héllo", "stop", None)
    cut = generate(Script("héllo"), PROMPT, SamplingParameters(max_tokens=2, temperature=0))
    assert (cut.text, cut.finish_reason) == ("h", "length")  # the torn character is left out
    assert (cut.prompt_tokens, cut.weight_version) == (3, "script")


def test_stop_strings_end_the_text_before_them_across_token_borders() -> None:
    generation = generate(
        Script("one two three"), PROMPT, SamplingParameters(max_tokens=50, temperature=0, stop=("o t", "thr"))
    )
    assert (generation.text, generation.finish_reason) == ("one tw", "stop")


def test_stop_tokens_end_an_unconstrained_output() -> None:
    script = Script("abc")
    decoding = Decoding(
        script, PROMPT, SamplingParameters(max_tokens=9, temperature=0), stop_tokens=frozenset({script.wanted[2]})
    )
    while decoding.step() is not None:
        pass
    assert (decoding.result().text, decoding.result().finish_reason) == ("ab", "stop")


def test_stop_strings_never_break_a_strict_output() -> None:
    """The text holds no stop string, and is valid all the same."""
    finished = 0
    for seed in range(30):
        compiled = compile_trusted("json_schema", {"type": "array", "items": {"type": "integer"}, "maxItems": 5})
        generation = generate(model(seed), PROMPT, hot(seed, stop=("1", " ", "\n")), compiled)
        assert not any(stop in generation.text for stop in ("1", " ", "\n"))
        if generation.finish_reason == "stop":
            finished += 1
            assert generation.constraint is not None
            assert generation.constraint.valid is True
            json.loads(generation.text)
    assert finished > 20


def test_a_stop_string_after_a_complete_strict_text_is_honoured() -> None:
    compiled = compile_trusted("regex", "yes(no)*")
    generation = generate(Script("yesnono"), PROMPT, SamplingParameters(max_tokens=20, temperature=0, stop=("no",)), compiled)
    assert generation.text == "yes"
    assert generation.constraint is not None
    assert generation.constraint.valid is True


def test_a_stop_string_that_the_constraint_requires_is_a_dead_end_and_no_invalid_text() -> None:
    with pytest.raises(MaskEmptyError):
        generate(model(), PROMPT, hot(stop=("{",)), compile_trusted("json_schema", {"type": "object"}))


def test_a_forced_end_takes_no_model_step() -> None:
    script = Script("yes")
    generation = generate(script, PROMPT, SamplingParameters(max_tokens=3, temperature=0), compile_trusted("choice", '["yes"]'))
    assert (generation.text, generation.finish_reason) == ("yes", "stop")
    assert script.steps == 2


def test_invalid_outputs_of_an_inexact_mask_are_tried_again_and_never_returned() -> None:
    compiled = compile_trusted("json_schema", {"type": "integer", "minimum": 0, "maximum": 9, "not": {"maximum": 6}})
    assert not compiled.exact
    attempts = []
    for seed in range(40):
        try:
            generation = generate(model(seed), PROMPT, hot(seed), compiled)
        except ConstraintViolatedError:
            continue
        assert generation.text in {"7", "8", "9"}
        attempts.append(generation.attempts)
    assert max(attempts) > 1
    decoding = Decoding(Script("3"), PROMPT, SamplingParameters(max_tokens=9, temperature=0), compiled)
    while decoding.step() is not None:
        pass
    assert decoding.result().constraint.valid is False  # type: ignore[union-attr]
    with pytest.raises(ConstraintViolatedError, match="/not"):
        list(stream(Script("3"), PROMPT, SamplingParameters(max_tokens=9, temperature=0), compiled))
    assert attempt_seed(5, 0) == 5
    assert attempt_seed(5, 1) != attempt_seed(5, 2)


def test_a_greedy_model_that_repeats_a_key_is_led_around_it() -> None:
    compiled = compile_trusted("json_schema", {"type": "object", "additionalProperties": {"type": "null"}})
    parameters = SamplingParameters(max_tokens=60, temperature=0, seed=1)
    generation = generate(Script('{"a":null,"a":null}'), PROMPT, parameters, compiled)
    if generation.finish_reason == "stop":
        assert len(json.loads(generation.text)) == generation.text.count("null")
    assert re.match(r'\{"a":null,"a[^"]', generation.text)


def test_grammar_energy_is_reported_per_token() -> None:
    compiled = compile_trusted("choice", '["yes","no"]')
    decoding = Decoding(Script("no"), PROMPT, SamplingParameters(max_tokens=9, temperature=0), compiled)
    while decoding.step() is not None:
        pass
    assert decoding.allowed_log_masses[0] == pytest.approx(0.0, abs=1e-3)
    against = Decoding(Script("zz"), PROMPT, SamplingParameters(max_tokens=9, temperature=0), compiled)
    against.step()
    assert against.allowed_log_masses[0] < -25


def test_logprob_alternatives_are_legal_and_sum_to_at_most_one() -> None:
    compiled = compile_trusted("choice", '["yes","no"]')
    generation = generate(model(), PROMPT, hot(logprobs=5), compiled)
    first = generation.logprobs[0]
    assert 1 <= len(first.top) <= 5
    assert sum(torch.tensor([value for _, value in first.top]).exp().tolist()) <= 1 + 1e-5
    assert {toy_engine().vocabulary.token_bytes[token][:1] for token, _ in first.top} <= {b"y", b"n"}


def test_a_broken_model_is_named() -> None:
    class Broken(Script):
        def logits(self) -> Tensor:
            return torch.full((VOCAB_SIZE,), torch.nan)

    with pytest.raises(NonFiniteLogitsError, match="token 0"):
        generate(Broken("x"), PROMPT, hot())


def test_penalties_and_truncation_reach_the_sampler() -> None:
    uniform = model(scale=0.0, end_bias=-50.0)
    tokens = generate(uniform, PROMPT, hot(max_tokens=60, presence_penalty=2.0, repetition_penalty=1.0)).tokens
    free = generate(uniform, PROMPT, hot(max_tokens=60)).tokens
    assert len(set(tokens)) > len(set(free))
    greedy = generate(model(3), PROMPT, SamplingParameters(max_tokens=20, temperature=0)).tokens
    assert generate(model(3), PROMPT, hot(max_tokens=20, top_k=1)).tokens == greedy
    assert generate(model(3), PROMPT, hot(max_tokens=20, top_p=1e-6)).tokens == greedy
    assert generate(model(3), PROMPT, hot(max_tokens=20, min_p=1.0)).tokens == greedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_k", -1),
        ("min_p", 2.0),
        ("repetition_penalty", 0.0),
        ("presence_penalty", 3.0),
        ("frequency_penalty", float("nan")),
        ("stop", ("",)),
        ("logprobs", -1),
    ],
)
def test_parameters_out_of_bounds_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError, match=field) as refusal:
        Decoding(model(), PROMPT, replace(hot(), **{field: value}))
    assert refusal.value.field == field


def test_the_context_is_checked_before_the_model_runs() -> None:
    class Untouchable(Script):
        def start(self, prompt_tokens: Sequence[int]) -> Script:
            raise AssertionError("ran")

    with pytest.raises(ContextLengthError, match=r"600 tokens.*3 prompt tokens.*max_tokens 598"):
        Decoding(Untouchable("x"), PROMPT, hot(max_tokens=598))
    Decoding(Untouchable("x"), PROMPT, hot(max_tokens=597))
    with pytest.raises(ContextLengthError) as refusal:
        Decoding(Untouchable("x"), [1] * 700, hot(max_tokens=1))
    assert refusal.value.field == "prompt"
    with pytest.raises(InvalidRequestError, match="prompt"):
        Decoding(Untouchable("x"), [], hot())
