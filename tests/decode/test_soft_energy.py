"""Soft energy: between the free output and the hard mask, and honest about how far the output kept to its constraint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import pytest
from torch import Tensor

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.generate import Decoding, generate, stream
from builderbrain.errors import InvalidRequestError, MaskEmptyError
from builderbrain.grammar.base import CompiledConstraint, Matcher, Softness
from builderbrain.grammar.jump import JumpForward
from tests.decode.test_generate import PROMPT, SCHEMAS, Script, hot, model
from tests.grammar.toys import compile_trusted, toy_engine, toy_tokenizer

SCALES = (0.0, 5.0, 7.0, 9.0, 100.0)
GREEDY = SamplingParameters(max_tokens=30, temperature=0)


def decoded(
    seed: int, compiled: CompiledConstraint | None, parameters: SamplingParameters, *, end_bias: float = 3.0
) -> Generation:
    """One output in one attempt."""
    decoding = Decoding(model(seed, end_bias=end_bias), PROMPT, parameters, compiled)
    while decoding.step() is not None:
        pass
    return decoding.result()


def softness(generation: Generation) -> Softness:
    assert generation.constraint is not None
    assert generation.constraint.softness is not None
    return generation.constraint.softness


@cache
def repeated_keys() -> CompiledConstraint:
    """Masks of it allow tokens that `accept` refuses: a key that is there already."""
    return compile_trusted("json_schema", {"type": "object", "additionalProperties": {"type": "boolean"}})


def test_no_energy_gives_the_free_output() -> None:
    left = 0
    for seed in range(9):
        compiled = compile_trusted("json_schema", SCHEMAS[seed % len(SCHEMAS)])
        parameters = hot(seed, 20, logprobs=2, top_p=0.95, presence_penalty=0.5)
        soft = decoded(seed, compiled, replace(parameters, energy_scale=0.0))
        free = decoded(seed, None, parameters)
        assert replace(soft, constraint=None, logprobs=()) == replace(free, logprobs=())
        for under, without in zip(soft.logprobs, free.logprobs, strict=True):
            assert (under.token, under.logprob) == (without.token, pytest.approx(without.logprob, abs=1e-5))
        left += softness(soft).left_at is not None
    assert left > 6


def test_much_energy_gives_the_output_of_the_hard_mask() -> None:
    finished = 0
    for seed in range(27):
        compiled = compile_trusted("json_schema", SCHEMAS[seed % len(SCHEMAS)])
        hard, soft = (decoded(seed, compiled, hot(seed, 60, energy_scale=scale)) for scale in (None, 1000.0))
        if len(hard.tokens) == 60:
            continue  # where a forced end comes with the last token, a drawn one comes too late
        finished += 1
        assert (soft.tokens, soft.text, soft.finish_reason) == (hard.tokens, hard.text, hard.finish_reason)
        assert softness(soft) == Softness(energy_scale=1000.0, illegal_tokens=0, left_at=None, mask_empty_at=None)
        assert soft.constraint is not None
        assert hard.constraint is not None
        assert (soft.constraint.valid, hard.constraint.softness) == (True, None)
    assert finished > 15


def test_more_energy_keeps_every_output_legal_for_at_least_as_long() -> None:
    """A position's noise is fixed: a legal token that was the best one stays so when illegal ones lose more."""
    illegal = [0] * len(SCALES)
    compiled = compile_trusted("json_schema", {"type": "string", "pattern": "^[a-z, ]*$"})
    for seed in range(16):
        places = []
        for index, scale in enumerate(SCALES):  # no output ends by itself, so that all are of one length
            report = softness(decoded(seed, compiled, hot(seed, 20, energy_scale=scale), end_bias=-40.0))
            places.append(20 if report.left_at is None else report.left_at)
            illegal[index] += report.illegal_tokens
        assert places == sorted(places)
    assert illegal == sorted(set(illegal), reverse=True)
    assert (illegal[0] > 250, illegal[-1]) == (True, 0)


def test_a_text_that_leaves_its_constraint_goes_on_and_says_so() -> None:
    compiled = compile_trusted("regex", "[0-9]+")
    soft = generate(Script("12ab!"), PROMPT, replace(GREEDY, energy_scale=4.0), compiled)
    assert (soft.text, soft.finish_reason, soft.attempts) == ("12ab!", "stop", 1)
    assert softness(soft) == Softness(energy_scale=4.0, illegal_tokens=4, left_at=2, mask_empty_at=None)  # the end is one
    assert soft.constraint is not None
    assert soft.constraint.valid is False
    cut = generate(Script("12ab!"), PROMPT, replace(GREEDY, energy_scale=4.0, max_tokens=3), compiled)
    assert cut.constraint is not None
    assert (cut.finish_reason, cut.constraint.valid, softness(cut).left_at) == ("length", None, 2)


def test_an_end_that_comes_too_early_is_an_illegal_token() -> None:
    soft = generate(Script("y"), PROMPT, replace(GREEDY, energy_scale=4.0), compile_trusted("choice", '["yes"]'))
    assert (soft.text, soft.finish_reason) == ("y", "stop")
    assert softness(soft) == Softness(energy_scale=4.0, illegal_tokens=1, left_at=1, mask_empty_at=None)


def test_enough_energy_leads_a_model_back() -> None:
    compiled = compile_trusted("choice", '["yes"]')
    assert generate(Script("no"), PROMPT, replace(GREEDY, energy_scale=29.0), compiled).text == "no"
    assert generate(Script("no"), PROMPT, replace(GREEDY, energy_scale=31.0), compiled).text.startswith("yes")


def test_a_token_that_only_the_matcher_refuses_is_drawn_again_with_its_energy() -> None:
    """The key stands twice: no mask sees that."""
    wanted = '{"a":true,"a":true}'
    compiled = repeated_keys()
    weak = generate(Script(wanted), PROMPT, replace(GREEDY, energy_scale=4.0), compiled)
    assert weak.text == wanted
    assert weak.constraint is not None
    assert weak.constraint.valid is False
    assert softness(weak).left_at == wanted.rindex('"')  # the token that would end the second key
    strong = generate(Script(wanted), PROMPT, replace(GREEDY, energy_scale=100.0), compiled)
    assert strong.text.startswith('{"a":true,"a')
    assert strong.text != wanted
    assert softness(strong).left_at is None


@dataclass(frozen=True)
class _DeadEnd:
    """Allows everything that `inner` does until `tokens` were accepted, then nothing."""

    inner: CompiledConstraint
    tokens: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def matcher(self) -> _DeadEndMatcher:
        return _DeadEndMatcher(self.inner.matcher(), self.tokens)


class _DeadEndMatcher:
    def __init__(self, inner: Matcher, left: int) -> None:
        self._inner, self._left = inner, left

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def fill_mask(self, bitmask: Tensor) -> None:
        if not self._left:
            raise MaskEmptyError("nothing is legal")
        self._inner.fill_mask(bitmask)

    def accept(self, token: int) -> None:
        self._inner.accept(token)
        self._left -= 1


def test_an_empty_mask_is_a_record_and_no_error() -> None:
    dead_end: CompiledConstraint = _DeadEnd(compile_trusted("regex", "[0-9]+"), 2)  # type: ignore[assignment]
    soft = generate(Script("123"), PROMPT, replace(GREEDY, energy_scale=4.0), dead_end)
    assert soft.text == "123"
    assert softness(soft) == Softness(energy_scale=4.0, illegal_tokens=2, left_at=2, mask_empty_at=2)
    with pytest.raises(MaskEmptyError):
        generate(Script("123"), PROMPT, GREEDY, dead_end)


def test_stop_strings_end_a_soft_output_where_they_stand() -> None:
    compiled = compile_trusted("json_schema", {"type": "array", "items": {"type": "integer"}})
    soft = generate(Script("[1,2]"), PROMPT, replace(GREEDY, energy_scale=4.0, stop=(",",)), compiled)
    assert (soft.text, soft.finish_reason) == ("[1", "stop")
    assert soft.constraint is not None
    assert (soft.constraint.valid, softness(soft).left_at) == (False, None)


def test_soft_outputs_stream_every_token_and_jump_over_none() -> None:
    compiled = compile_trusted("choice", '["yes"]')
    script = Script("yes")
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)
    decoding = Decoding(script, PROMPT, replace(GREEDY, energy_scale=4.0), compiled, jump=jump)
    tokens = []
    while (step := decoding.step()) is not None:
        tokens.append(step.token)
    assert tokens == script.wanted
    steps = stream(Script("no"), PROMPT, replace(GREEDY, energy_scale=1.0), compiled)
    assert "".join(step.text for step in steps) == "no"


def test_logprobs_are_of_the_logits_less_the_energy() -> None:
    compiled = compile_trusted("choice", '["yes","no"]')
    found = generate(Script("zz"), PROMPT, replace(GREEDY, energy_scale=28.0, logprobs=345), compiled).logprobs[0]
    chances = dict(found.top)
    index = toy_engine().vocabulary.token_bytes.index
    assert found.token == index(b"z")
    assert found.logprob == pytest.approx(chances[found.token], abs=1e-4)
    assert chances[found.token] - chances[index(b"y")] == pytest.approx(30.0 - 28.0, abs=1e-4)
    assert chances[index(b"y")] - chances[index(b"q")] == pytest.approx(28.0, abs=1e-4)


def test_energy_needs_a_constraint_and_a_number() -> None:
    with pytest.raises(InvalidRequestError, match="constraint") as refusal:
        Decoding(model(), PROMPT, hot(energy_scale=4.0))
    assert refusal.value.field == "energy_scale"
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidRequestError, match="energy_scale"):
            Decoding(model(), PROMPT, hot(energy_scale=wrong), repeated_keys())
