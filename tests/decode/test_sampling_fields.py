"""Schedules of temperature, biases of logits, and what ends an output: each as the field knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.domain_temperatures import domain_temperatures, read_temperatures
from builderbrain.decode.generate import Decoding, generate
from builderbrain.decode.sampler import Sampler, draw_rows
from builderbrain.decode.temperature import TemperatureSchedule
from builderbrain.errors import ConfigError, InvalidRequestError, MaskEmptyError
from builderbrain.grammar.jump import JumpForward
from builderbrain.plan.assets import schema_paths
from tests.decode.test_generate import END, PROMPT, Script, hot, model
from tests.grammar.toys import VOCAB_SIZE, compile_trusted, toy_engine, toy_tokenizer

GREEDY = SamplingParameters(max_tokens=30, temperature=0)
COOLING = TemperatureSchedule(start=1.2, end=0.7, tokens=64)


def token(text: str) -> int:
    return toy_engine().vocabulary.token_bytes.index(text.encode())


def free(text: str, stop_tokens: frozenset[int] = frozenset(), **more: object) -> Generation:
    decoding = Decoding(Script(text), PROMPT, replace(GREEDY, **more), stop_tokens=stop_tokens)  # type: ignore[arg-type]
    while decoding.step() is not None:
        pass
    return decoding.result()


# --- temperature ---------------------------------------------------------------------------------------------------


def test_a_schedule_goes_from_start_to_end_and_stays_there() -> None:
    assert [COOLING.at(place) for place in (0, 32, 64, 1000)] == pytest.approx([1.2, 0.95, 0.7, 0.7])
    cosine = replace(COOLING, shape="cosine")
    assert [cosine.at(place) for place in (0, 32, 64, 65)] == pytest.approx([1.2, 0.95, 0.7, 0.7])
    assert cosine.at(8) > COOLING.at(8)
    assert cosine.at(56) < COOLING.at(56)


def test_a_draw_depends_on_its_place_in_the_schedule_alone() -> None:
    """Each row draws what it would draw at the fixed temperature of its place."""
    logits = torch.randn(40, 70, generator=torch.Generator().manual_seed(0)) * 3
    scheduled = Sampler(SamplingParameters(max_tokens=99, temperature=COOLING, seed=5), [1], 70)
    places = range(0, 80, 2)
    drawn = draw_rows(logits, [scheduled.row(None, place) for place in places])
    fixed = [SamplingParameters(max_tokens=99, temperature=COOLING.at(place), seed=5) for place in places]
    expected = [Sampler(each, [1], 70).row(None, place) for each, place in zip(fixed, places, strict=True)]
    assert drawn == draw_rows(logits, expected)


def test_a_schedule_is_hot_first_and_greedy_at_last() -> None:
    cooling = TemperatureSchedule(start=2.0, end=0.0, tokens=10)
    outputs = [generate(model(end_bias=-50.0), PROMPT, replace(hot(seed, 30), temperature=cooling)).tokens for seed in range(6)]
    assert len({tokens[:10] for tokens in outputs}) == 6
    # From where the temperature is 0, an output is what the greedy one is after the same tokens.
    for tokens in outputs:
        rest = generate(model(end_bias=-50.0), [*PROMPT, *tokens[:10]], SamplingParameters(max_tokens=20, temperature=0))
        assert rest.tokens == tokens[10:]


def test_forced_text_counts_as_positions() -> None:
    """A schedule that is hot for the first tokens alone finds nothing to vary behind a long forced text."""
    compiled = compile_trusted("regex", "name is value of [a-z]{6}")
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)

    def text(seed: int, tokens: int) -> str:
        schedule = TemperatureSchedule(start=2.0, end=0.0, tokens=tokens)
        decoding = Decoding(model(), PROMPT, replace(hot(seed, 60), temperature=schedule), compiled, jump=jump)
        while decoding.step() is not None:
            pass
        return decoding.result().text

    assert len({text(seed, 5) for seed in range(4)}) == 1
    assert len({text(seed, 500) for seed in range(4)}) == 4


def test_only_a_schedule_of_zeros_is_greedy() -> None:
    def greedy(start: float, end: float) -> bool:
        return replace(GREEDY, temperature=TemperatureSchedule(start=start, end=end, tokens=3)).is_greedy

    assert (greedy(0, 0), greedy(0, 1), greedy(1, 0), GREEDY.is_greedy, hot().is_greedy) == (True, False, False, True, False)


@pytest.mark.parametrize(("field", "value"), [("start", 2.5), ("end", -0.1), ("start", float("nan")), ("tokens", 0)])
def test_a_schedule_out_of_bounds_is_named(field: str, value: float) -> None:
    with pytest.raises(InvalidRequestError, match=rf"temperature_schedule\.{field}") as refusal:
        Decoding(model(), PROMPT, replace(hot(), temperature=replace(COOLING, **{field: value})))  # type: ignore[arg-type]
    assert refusal.value.field == "temperature_schedule"


def test_every_domain_says_how_it_is_drawn() -> None:
    found = domain_temperatures()
    assert {path.name.split(".")[0] for path in schema_paths()} <= found.keys()
    assert found["repo_assistant"] == 0.0
    assert found["chat_social"] == COOLING


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("chat: warm", "chat"),
        ("chat: true", "chat"),
        ("chat: 2.5", "chat"),
        ("chat: {start: 1.2}", "chat.end"),
        ("chat: {start: 1.2, end: 0.7, tokens: 0}", "chat.tokens"),
        ("chat: {start: 1.2, end: 0.7, tokens: 9, shap: linear}", "chat.shape"),
        ("chat: {start: 1.2, end: 0.7, tokens: 9, shape: round}", "chat.shape"),
        ("chat: 1.0\nchat: 0.5", "chat"),
    ],
)
def test_a_wrong_entry_of_a_domain_is_named(tmp_path: Path, text: str, names: str) -> None:
    path = tmp_path / "temperatures.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=names):
        read_temperatures(path)


# --- bias ----------------------------------------------------------------------------------------------------------


def test_a_bias_is_added_before_the_draw() -> None:
    assert free("ab", logit_bias=((token("a"), -29.0),)).text == "ab"
    moved = free("ab", logit_bias=((token("a"), -31.0), (token("q"), 2.0)), logprobs=2)
    assert moved.text == "qb"
    assert moved.logprobs[0].token == token("q")
    assert moved.logprobs[0].top[0] == (token("q"), pytest.approx(moved.logprobs[0].logprob, abs=1e-5))


def test_a_bias_acts_within_the_constraint_and_never_against_it() -> None:
    compiled = compile_trusted("choice", '["yes","no"]')
    against = ((token("z"), 100.0), (END, 100.0))
    assert generate(Script("no"), PROMPT, replace(GREEDY, logit_bias=against), compiled).text == "no"
    within = (*against, (token("y"), 100.0), (token("n"), -100.0))
    assert generate(Script("no"), PROMPT, replace(GREEDY, logit_bias=within), compiled).text.startswith("y")


# --- what ends an output -------------------------------------------------------------------------------------------


def test_no_output_ends_before_its_least_length() -> None:
    for seed in range(12):
        found = generate(model(seed, end_bias=8.0), PROMPT, hot(seed, 40, min_tokens=10))
        assert len(found.tokens) >= 10
    assert len(generate(model(end_bias=40.0), PROMPT, hot(max_tokens=40, min_tokens=10)).tokens) == 10
    assert generate(model(end_bias=40.0), PROMPT, hot(max_tokens=40)).tokens == ()


def test_stop_tokens_and_stop_strings_wait_for_the_least_length_too() -> None:
    assert free("abcabc", stop=("c",)).text == "ab"
    assert free("abcabc", stop=("c",), min_tokens=3).text == "abcab"
    assert free("abcabc", stop=("ca",), min_tokens=3).text == "ab"  # completed by the fourth token
    assert free("abcabc", stop_token_ids=(token("b"),)).text == "a"
    held_back = free("abcabc", stop_token_ids=(token("b"),), min_tokens=3, max_tokens=6)
    assert token("b") not in held_back.tokens[:3]
    assert held_back.text.endswith("a")


def test_a_hard_constraint_that_allows_nothing_but_the_end_wins() -> None:
    found = generate(Script("yes"), PROMPT, replace(GREEDY, min_tokens=20), compile_trusted("choice", '["yes"]'))
    assert (found.text, found.finish_reason, len(found.tokens)) == ("yes", "stop", 3)
    # Where it allows more, it is not asked.
    longer = generate(Script("yes"), PROMPT, replace(GREEDY, min_tokens=9), compile_trusted("regex", "yes(no)*"))
    assert longer.text == "yesnonono"
    assert longer.constraint is not None
    assert longer.constraint.valid is True


def test_an_output_that_ignores_its_end_goes_on_to_its_length() -> None:
    found = free("ab", max_tokens=6, ignore_eos=True)
    assert (found.text, found.finish_reason, len(found.tokens)) == ("ab", "length", 6)
    assert found.tokens[2:] == (END,) * 4
    turn = free("abab", stop_tokens=frozenset({token("b")}), max_tokens=4, ignore_eos=True)
    assert turn.text == "abab"
    stopped = free("abab", max_tokens=4, ignore_eos=True, stop_token_ids=(token("b"),))
    assert (stopped.text, stopped.finish_reason) == ("a", "stop")
    with pytest.raises(InvalidRequestError) as refusal:
        Decoding(model(), PROMPT, hot(ignore_eos=True), compile_trusted("regex", "a*"))
    assert refusal.value.field == "ignore_eos"


def test_a_stop_token_ends_a_strict_output_only_where_its_text_is_valid() -> None:
    compiled = compile_trusted("regex", "yes(no)*")
    assert generate(Script("yesnono"), PROMPT, replace(GREEDY, stop_token_ids=(token("n"),)), compiled).text == "yes"
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)
    unavoidable = replace(GREEDY, stop_token_ids=(token("Q"),))
    decoding = Decoding(Script("Q"), PROMPT, unavoidable, compile_trusted("choice", '["Q"]'), jump=jump)
    with pytest.raises(MaskEmptyError):
        decoding.step()


def test_a_stop_string_may_stay_in_the_text() -> None:
    assert free("one two", stop_included=(" t",)).text == "one t"
    assert free("one two", stop_included=("e t",), stop=("tw",)).text == "one t"
    assert free("one two", stop_included=("two",), stop=("e",)).text == "on"
    compiled = compile_trusted("regex", "yes(no)*")
    kept = generate(Script("yesnono"), PROMPT, replace(GREEDY, stop_included=("no",)), compiled)
    assert (kept.text, kept.constraint and kept.constraint.valid) == ("yesno", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logit_bias", ((3, 101.0),)),
        ("logit_bias", ((3, float("nan")),)),
        ("logit_bias", ((3, 1.0), (3, 2.0))),
        ("logit_bias", ((VOCAB_SIZE, 1.0),)),
        ("logit_bias", ((-1, 1.0),)),
        ("stop_token_ids", (VOCAB_SIZE,)),
        ("min_tokens", -1),
        ("min_tokens", 31),
    ],
)
def test_fields_out_of_bounds_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError, match=field) as refusal:
        Decoding(model(), PROMPT, replace(GREEDY, **{field: value}))  # type: ignore[arg-type]
    assert refusal.value.field == field
