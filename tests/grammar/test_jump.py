"""Jump-forward adds only text that any decoding would have to give, in the tokenizer's own tokens, and stays in the grammar."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.errors import GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import CompiledGrammar, GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.matching import StrictMatcher, new_bitmask
from builderbrain.grammar.native import ENGINES, EngineName
from tests.grammar.toys import VOCAB_SIZE, legal_tokens, toy_engine_of, toy_tokenizer

PLAN = 'root ::= ("s" [1-9] "=read(path=\\"" [a-z]{1,4} ".md\\")\\n")+ "done é日\\n"\n'
SOURCES: dict[str, tuple[str, str]] = {
    "object": (
        "json_schema",
        json.dumps(
            {
                "type": "object",
                "properties": {"name": {"enum": ["value", "values", "né日本"]}, "identifier": {"type": "boolean"}},
                "required": ["name", "identifier"],
                "additionalProperties": False,
            }
        ),
    ),
    "literal": ("json_schema", json.dumps({"const": {"name": [1, "é😀", None]}})),
    "choice": ("choice", json.dumps(["the name is true", "the name is value", "thé 日本語 name", "name"])),
    "regex": ("regex", "value=[0-9]{2}; name=(true|trust)(é😀)?!"),
    "grammar": ("grammar", PLAN),
}


@cache
def compiled(label: str, name: EngineName) -> CompiledGrammar:
    kind, source = SOURCES[label]
    return toy_engine_of(name).compile(Constraint(kind=kind, source=source), trusted=True)  # type: ignore[arg-type]


@cache
def jumper() -> JumpForward:
    return JumpForward(toy_tokenizer(), engine().vocabulary)


def engine() -> GrammarEngine:
    return toy_engine_of("xgrammar")


def draw(matcher: StrictMatcher, rng: np.random.Generator) -> int:
    """A legal token, accepted."""
    bitmask = new_bitmask(VOCAB_SIZE)
    matcher.fill_mask(bitmask)
    allowed = legal_tokens(bitmask)
    while True:
        token = int(allowed.pop(rng.integers(len(allowed))))
        try:
            matcher.accept(token)
            return token
        except GrammarRefusedError:
            if not allowed:
                raise


def replay(grammar: CompiledGrammar, tokens: list[int]) -> StrictMatcher:
    """A fresh matcher after these tokens, each of which was in its mask."""
    matcher, bitmask = grammar.matcher(), new_bitmask(VOCAB_SIZE)
    for token in tokens:
        matcher.fill_mask(bitmask)
        assert token in legal_tokens(bitmask)
        matcher.accept(token)
    return matcher


CASES = [(label, name) for label in SOURCES for name in ENGINES if (label, name) != ("grammar", "llguidance")]


@pytest.mark.parametrize(("label", "name"), CASES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_jumps_keep_to_the_grammar_and_to_what_every_decoding_gives(label: str, name: EngineName, seed: int) -> None:
    grammar, rng = compiled(label, name), np.random.default_rng(seed)
    end = toy_tokenizer().eos_token_id
    vocabulary = engine().vocabulary
    matcher, tokens = grammar.matcher(), list[int]()
    for _ in range(120):
        before = vocabulary.text(tokens)
        found = jumper().jump(matcher, tokens)
        if found is not None:
            assert found.text, "a jump adds something"
            other, without = replay(grammar, tokens), list[int]()
            tokens[len(tokens) - found.drop :] = found.tokens
            after = vocabulary.text(tokens)
            assert after == before + found.text
            whole = toy_tokenizer().encode((after + matcher.forced_text()).decode("utf-8", "ignore"))
            assert whole[: len(tokens)] == tokens, "the tokens are those of the tokenizer"
            while len(vocabulary.text(without)) < len(found.text):  # decoding without the jump, from the same place
                without.append(draw(other, rng))
            assert vocabulary.text(without).startswith(found.text)
            replay(grammar, tokens)
        token = draw(matcher, rng)
        if token == end:
            text = vocabulary.text(tokens).decode("utf-8")
            assert grammar.validate(text) is None
            assert matcher.is_complete()
            return
        tokens.append(token)
    assert label in ("grammar", "object"), "walks of the others end"


@pytest.mark.parametrize("name", ENGINES)
def test_a_forced_text_needs_no_step_of_the_model(name: EngineName) -> None:
    grammar = compiled("literal", name)
    matcher = grammar.matcher()
    matcher.accept_text(b'{"na')
    assert matcher.forced_text().startswith(b'me"')
    assert grammar.matcher().forced_text().startswith(b"{")


def test_a_token_of_the_output_is_replaced_when_the_tokenizer_joins_it_with_forced_text() -> None:
    text = 'the "name": value'
    grammar = toy_engine_of("llguidance").compile(Constraint(kind="choice", source=json.dumps([text])), trusted=True)
    vocabulary = engine().vocabulary
    tokens = [vocabulary.token_bytes.index(bytes([byte])) for byte in b'the "na']
    matcher = replay(grammar, tokens)
    found = jumper().jump(matcher, tokens)
    assert found is not None
    assert found.drop > 0
    tokens[len(tokens) - found.drop :] = found.tokens
    assert tokens == toy_tokenizer().encode(text)
    bitmask = new_bitmask(VOCAB_SIZE)
    matcher.fill_mask(bitmask)
    assert legal_tokens(bitmask) == [toy_tokenizer().eos_token_id]


def test_no_jump_where_the_model_has_a_choice_or_the_output_has_ended() -> None:
    grammar = compiled("regex", "llguidance")
    matcher = grammar.matcher()
    matcher.accept_text(b"value=")
    assert jumper().jump(matcher, toy_tokenizer().encode("value=")) is None
    ended = compiled("choice", "xgrammar").matcher()
    ended.accept_text(b"the name is true")
    ended.accept(toy_tokenizer().eos_token_id)
    assert jumper().jump(ended, toy_tokenizer().encode("the name is true")) is None
    with pytest.raises(MaskEmptyError):
        ended.fill_mask(new_bitmask(VOCAB_SIZE))


@pytest.mark.parametrize("name", ENGINES)
def test_forced_text_inside_a_character_is_bytes(name: EngineName) -> None:
    matcher = compiled("regex", name).matcher()
    matcher.accept_text("value=12; name=trueé".encode()[:-1])
    assert matcher.forced_text() == "é😀!".encode()[1:]


def test_text_is_accepted_whole_or_not_at_all() -> None:
    for name in ENGINES:
        matcher = compiled("choice", name).matcher()
        with pytest.raises(GrammarRefusedError, match="illegal"):
            matcher.accept_text(b"the name is new")
        matcher.accept_text(b"the name is t")
        matcher.accept_text(b"")
        assert matcher.forced_text() == b"rue"
