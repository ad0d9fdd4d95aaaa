"""Beam search keeps every promise of decoding under a constraint; `test_beam_exactness.py` has what it finds."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.beams import BeamSearch
from builderbrain.decode.generate import generate
from builderbrain.decode.random_model import RandomModel
from builderbrain.errors import (
    ConstraintViolatedError,
    ContextLengthError,
    InvalidRequestError,
    MaskEmptyError,
    NonFiniteLogitsError,
)
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.validate import check_json, validator_for
from tests.decode.test_generate import END, SCHEMAS, Script, model
from tests.grammar.toys import VOCAB_SIZE, compile_trusted, toy_engine, toy_engine_of, toy_tokenizer

PROMPT = [5, 6, 7]


def asked(max_tokens: int = 60, **more: Any) -> SamplingParameters:
    return SamplingParameters(max_tokens=max_tokens, **more)


def search(
    of: Any,
    beams: BeamParameters,
    constraint: CompiledConstraint | None = None,
    parameters: SamplingParameters | None = None,
    **more: Any,
) -> tuple[Generation, ...]:
    running = BeamSearch(of, PROMPT, parameters or asked(), beams, constraint, **more)
    while running.ready() and running.step():
        pass
    running.close()
    return running.results()


def test_weight_one_is_the_probability_under_the_unmasked_model() -> None:
    compiled = compile_trusted("regex", "[ab]{2,5}")
    of = model(3)
    for each in search(of, BeamParameters(width=6, count=6, grammar_weight=1.0, length_penalty=0.0), compiled):
        total = 0.0
        state = of.start(PROMPT)
        for token in (*each.tokens, END):
            total += float(state.logits().log_softmax(-1)[token])
            state.append(token)
        assert each.score == pytest.approx(total, abs=1e-3)


def test_a_beam_of_one_is_greedy_decoding() -> None:
    greedy = generate(model(1), PROMPT, asked(temperature=0.0), compile_trusted("json_schema", SCHEMAS[2]))
    beams = BeamParameters(width=1, early_stopping=True)
    (found,) = search(model(1), beams, compile_trusted("json_schema", SCHEMAS[2]))
    assert (found.tokens, found.text, found.finish_reason) == (greedy.tokens, greedy.text, greedy.finish_reason)


def test_more_beams_find_texts_that_are_at_least_as_probable() -> None:
    compiled = compile_trusted("regex", "[a-f]{3}(-[a-f]{2}){1,2}")
    gained = 0.0
    for seed in range(4):
        narrow, wide = (
            search(model(seed), BeamParameters(width=width, length_penalty=0.0), compiled)[0].score for width in (1, 64)
        )
        assert narrow is not None
        assert wide is not None
        assert wide >= narrow
        gained += wide - narrow
    assert gained > 1.0


@pytest.mark.parametrize("jumps", [True, False])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_hostile_outputs_are_valid_or_say_length(weight: float, jumps: bool) -> None:
    endings = {"stop": 0, "length": 0}
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary) if jumps else None
    for index, schema in enumerate(SCHEMAS):
        compiled = compile_trusted("json_schema", schema)
        beams = BeamParameters(width=4, count=4, grammar_weight=weight, diversity_penalty=index % 2)
        stop = (("e",), ("}",), (), ('"',))[index % 4]
        try:
            found = search(model(index, end_bias=3.0), beams, compiled, asked(25, stop=stop), jump=jump)
        except (MaskEmptyError, ConstraintViolatedError):
            assert stop
            continue
        assert len({each.text for each in found}) == len(found)
        for each in found:
            endings[each.finish_reason] += 1
            assert each.constraint is not None
            if each.finish_reason == "length":
                assert each.constraint.valid is None
                assert len(each.tokens) == 25
                continue
            assert not any(text in each.text for text in stop)
            assert each.constraint.valid is True
            assert check_json(each.text, validator_for(schema)) is None  # type: ignore[arg-type]
    assert endings["stop"] > 8
    assert endings["length"] > 0


def test_best_first_and_whole_texts_before_those_that_were_cut() -> None:
    compiled = compile_trusted("regex", "(a|b[a-z]{30})")
    found = search(model(2), BeamParameters(width=6, count=6), compiled, asked(8))
    assert [each.finish_reason for each in found][:2] == ["stop", "length"]
    cut = [each.score for each in found[1:] if each.score is not None]
    assert cut == sorted(cut, reverse=True)
    assert len({each.text for each in found}) == 6


def test_a_text_that_was_cut_inside_its_next_character_is_one_text_with_itself() -> None:
    compiled = compile_trusted("regex", "x[ἀ-ἂ]?")
    (found,) = search(model(2), BeamParameters(width=4, count=4), compiled, asked(2))
    assert (found.text, found.finish_reason) == ("x", "stop")


def test_fewer_texts_come_out_where_there_are_no_more() -> None:
    compiled = compile_trusted("choice", ["yes", "no"])
    assert {each.text for each in search(model(), BeamParameters(width=4, count=4), compiled)} == {"yes", "no"}


def test_a_text_that_the_validator_refuses_is_dropped_and_the_next_best_takes_its_place() -> None:
    schema = {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "maxItems": 3, "uniqueItems": True}
    source = Constraint(kind="json_schema", source=json.dumps(schema))
    compiled = toy_engine_of("llguidance").compile(source, trusted=True)
    assert compiled.declared
    found = search(Script("[1,1,1]"), BeamParameters(width=40, count=6), compiled)
    assert {each.text for each in found} == {f"[{a},{b},{c}]" for a, b, c in itertools.permutations("123")}
    assert all(each.constraint is not None and each.constraint.valid for each in found)
    with pytest.raises(ConstraintViolatedError) as failure:
        search(Script("[1,1,1]"), BeamParameters(width=1, early_stopping=True), compiled)
    assert failure.value.field == compiled.declared[0]


def test_dead_ends_are_an_error_and_never_unconstrained_text() -> None:
    with pytest.raises(MaskEmptyError, match="dead ends alone"):
        search(model(), BeamParameters(width=4), compile_trusted("regex", "[a-c]{3}x"), asked(stop=("x",)))


def test_under_soft_enforcement_alone_dead_ends_give_slack_and_say_so() -> None:
    compiled = compile_trusted("regex", "[a-c]{3}x")
    beams = BeamParameters(width=4, count=4, length_penalty=0.0)
    found = search(model(), beams, compiled, asked(10, stop=("x",), energy_scale=50.0))
    assert len(found) == 4
    for each in found:
        assert each.constraint is not None
        assert each.constraint.softness is not None
        assert "x" not in each.text
        assert re.match("[a-c]{3}", each.text)
        assert each.constraint.softness.left_at == each.constraint.softness.mask_empty_at
        assert each.constraint.softness.left_at is not None
        assert each.constraint.softness.left_at <= 3
        assert each.constraint.softness.illegal_tokens >= 1
        assert each.constraint.valid in ((None,) if each.finish_reason == "length" else (False,))
        assert each.score is not None
        assert each.score < -50


def test_under_soft_enforcement_nothing_illegal_is_taken_while_a_beam_lives() -> None:
    compiled = compile_trusted("json_schema", SCHEMAS[2])
    beams = BeamParameters(width=4, count=3)
    hard = search(model(4, end_bias=3.0), beams, compiled)
    soft = search(model(4, end_bias=3.0), beams, compiled, asked(energy_scale=0.0))
    assert [(each.text, each.score) for each in soft] == [(each.text, each.score) for each in hard]
    for each in soft:
        assert each.constraint is not None
        assert each.constraint.softness is not None
        assert (each.constraint.softness.illegal_tokens, each.constraint.softness.left_at) == (0, None)


def test_ends_that_the_request_names() -> None:
    comma = toy_engine().vocabulary.token_bytes.index(b",")
    compiled = compile_trusted("regex", "ab(,c)?")
    (found,) = search(Script("ab,c"), BeamParameters(width=4), compiled, asked(9, stop_token_ids=(comma,)))
    assert (found.text, found.finish_reason) == ("ab", "stop")
    with pytest.raises(MaskEmptyError):  # it would leave an invalid text
        search(Script("a,c"), BeamParameters(width=4), compile_trusted("regex", "a,c"), asked(9, stop_token_ids=(comma,)))
    (kept,) = search(Script("a,b,c"), BeamParameters(width=4), None, asked(9, stop_included=("b",)))
    assert kept.text == "a,b"


@pytest.mark.parametrize("field", ["logit_bias", "min_tokens"])
def test_what_a_search_does_not_read_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequestError) as failure:
        search(model(), BeamParameters(), None, asked(9, **{field: 3 if field == "min_tokens" else ((3, 1.0),)}))
    assert failure.value.field == field


def test_forced_text_costs_no_steps_and_its_tokens_are_the_tokenizers() -> None:
    compiled = compile_trusted("choice", ['{"name": true}', '{"name": null}'])
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)
    best: Any = {}
    for use in (None, jump):
        found = search(model(4), BeamParameters(width=8, count=2, length_penalty=0.0), compiled, jump=use)
        assert {each.text for each in found} == {'{"name": true}', '{"name": null}'}
        best[use] = found
    for each in best[jump]:
        assert list(each.tokens) == toy_tokenizer().encode(each.text)
        assert each.score > next(other.score for other in best[None] if other.text == each.text)
    # Nothing but the choice between the two is left to the model.
    assert sum(math.exp(each.score) for each in best[jump]) <= 1 + 1e-5
    running = BeamSearch(model(4), PROMPT, asked(), BeamParameters(width=8, count=2), compiled, jump=jump)
    steps = 1
    while running.step():
        steps += 1
    assert steps == 1


def test_a_weight_or_logprobs_leave_forced_text_to_the_model() -> None:
    compiled = compile_trusted("choice", ['{"name": true}'])
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)
    beams = BeamParameters(width=4, grammar_weight=1.0)
    assert search(model(4), beams, compiled, jump=jump) == search(model(4), beams, compiled)
    (found,) = search(model(4), BeamParameters(width=4), compiled, asked(logprobs=2), jump=jump)
    assert len(found.logprobs) == len(found.tokens)
    total = sum(entry.logprob for entry in found.logprobs)
    assert found.score == pytest.approx(total / len(found.tokens), abs=1e-5)
    for entry in found.logprobs:
        assert entry.top[0][1] >= entry.logprob
        assert len(entry.top) <= 2


def test_diversity_makes_the_texts_differ_more() -> None:
    compiled = compile_trusted("regex", "[a-f]{9}")

    def differing(penalty: float) -> int:
        """Places in which the four texts differ, pair by pair."""
        beams = BeamParameters(width=4, count=4, diversity_penalty=penalty)
        found = [[each.text for each in search(model(seed, scale=2.0), beams, compiled)] for seed in range(4)]
        pairs = [pair for texts in found for pair in itertools.combinations(texts, 2)]
        return sum(left != right for one, other in pairs for left, right in zip(one, other, strict=True))

    none, some, much = map(differing, (0.0, 1.0, 20.0))
    assert none < some < much


def test_the_same_request_gives_the_same_texts_whatever_the_seed() -> None:
    compiled = compile_trusted("json_schema", SCHEMAS[3])
    beams = BeamParameters(width=4, count=3)
    first = search(model(9), beams, compiled, asked(40, seed=1))
    assert search(model(9), beams, compiled, asked(40, seed=2)) == first


def test_unconstrained_beams_end_at_their_end_and_at_stop_strings() -> None:
    found = search(model(3, end_bias=2.0), BeamParameters(width=4, count=4), None, asked(12, stop=("e", "a")))
    assert len(found) == 4
    for each in found:
        assert each.constraint is None
        assert not set("ea") & set(each.text)
    assert {"stop"} <= {each.finish_reason for each in found}


def test_early_stopping_ends_with_the_first_texts() -> None:
    compiled = compile_trusted("regex", "[a-z]{1,30}")
    of = model(5, end_bias=4.0)

    def steps(early: bool) -> int:
        running = BeamSearch(of, PROMPT, asked(), BeamParameters(width=4, count=4, early_stopping=early), compiled)
        return 1 + sum(1 for _ in itertools.takewhile(lambda _: running.step(), itertools.count()))

    assert steps(True) < steps(False)


class Watched:
    """A model that counts its open sequences."""

    def __init__(self, of: RandomModel) -> None:
        self.of, self.open, self.most = of, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def start(self, prompt_tokens: Sequence[int]) -> Any:
        return _WatchedState(self, self.of.start(prompt_tokens))


class _WatchedState:
    def __init__(self, watched: Watched, inner: Any) -> None:
        self.watched, self.inner = watched, inner
        watched.open += 1
        watched.most = max(watched.most, watched.open)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def fork(self) -> _WatchedState:
        return _WatchedState(self.watched, self.inner.fork())

    def close(self) -> None:
        self.watched.open -= 1


def test_no_sequence_stays_open_and_no_more_than_the_width_are() -> None:
    watched = Watched(model(2))
    running = BeamSearch(watched, PROMPT, asked(30), BeamParameters(width=5), compile_trusted("regex", "[a-z]{20}"))
    while running.ready() and running.step():
        pass
    assert watched.most == 5
    assert watched.open == 0
    left = BeamSearch(watched, PROMPT, asked(30), BeamParameters(width=5), compile_trusted("regex", "[a-z]{20}"))
    for _ in range(4):
        left.step()
    left.close()
    assert watched.open == 0


def test_tokens_that_the_matcher_refuses_are_pruned() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}
    compiled = compile_trusted("json_schema", schema)
    found = search(Script('{"a":1,"a":1}'), BeamParameters(width=3, count=3), compiled, asked(40))
    assert found
    for each in found:
        if each.finish_reason == "stop":
            pairs = re.findall(r'"([^"]*)":', each.text)
            assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("beams", "field"),
    [
        ({"width": 2, "count": 3}, "n"),
        ({"diversity_penalty": -1.0}, "diversity_penalty"),
        ({"grammar_weight": math.nan}, "grammar_weight"),
    ],
)
def test_parameters_out_of_bounds_are_refused(beams: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as failure:
        BeamSearch(model(), PROMPT, asked(), BeamParameters(**beams))
    assert failure.value.field == field


def test_a_text_beyond_the_context_is_refused() -> None:
    with pytest.raises(ContextLengthError):
        BeamSearch(model(), PROMPT, asked(4000), BeamParameters())


def test_a_broken_model_is_told() -> None:
    broken = model()
    broken.bias = torch.full((VOCAB_SIZE,), torch.nan)
    with pytest.raises(NonFiniteLogitsError):
        search(broken, BeamParameters(), compile_trusted("regex", "[ab]{3}"))


def test_results_before_the_end_are_an_error() -> None:
    running = BeamSearch(model(), PROMPT, asked(), BeamParameters())
    with pytest.raises(RuntimeError, match="finished search"):
        running.results()


def test_an_output_that_is_all_forced_needs_no_model() -> None:
    watched = Watched(model())
    jump = JumpForward(toy_tokenizer(), toy_engine().vocabulary)
    (found,) = search(watched, BeamParameters(width=4), compile_trusted("choice", ["true"]), jump=jump)
    assert (found.text, found.finish_reason, found.score) == ("true", "stop", 0.0)
    assert watched.open == watched.most == 0
