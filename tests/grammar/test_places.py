"""Masks by the place in a schema equal the library's own, whichever outputs came before."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import torch

from builderbrain.errors import GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import CompiledGrammar
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.mask_store import MaskStore
from builderbrain.grammar.matching import StrictMatcher, new_bitmask
from builderbrain.grammar.places import MAX_CONTAINERS, UNKNOWN, Places
from builderbrain.grammar.strict_text import StrictJson
from tests.grammar.oracle import PIECES, PieceTokenizer

LONGEST = 30
MORE_PIECES = (
    *(b"c", b"d", b"x", b"0", b".", b"\\", b"n", b"/", b" ", b"_", b"\x7f"),
    *(b'\\"', b"\\n", b'b\\"a', b"\\\\", b'\\\\"', b'ab","b":', b'"],"c":', b'a"},', b'","a', b"abab", b"ababab", b'abab"'),
    *(b'":"', "éé".encode(), 'é","'.encode(), b'\xa9","a', b"\xf0\x9f\x9f\x9f\xf0", b'n"', b"nab", b"\xa9\\", b'"]]', b"],["),
    *(b'":[', b'xx":', b'""}'),
)  # fmt: skip
"""Escapes, several characters, and quotes with all that may stand before and after them."""
STRING = {"type": "string"}
SCHEMAS: dict[str, Any] = {
    "bounded strings": {"type": "object", "properties": {"a": STRING | {"maxLength": 3}, "b": STRING | {"minLength": 2}}},
    "exact length": {"type": "array", "items": STRING | {"minLength": 4, "maxLength": 4}, "maxItems": 2},
    "optional and required": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "ab": STRING, "b": {"type": ["boolean", "null", "string"], "maxLength": 2}},
        "required": ["ab", "c"],
    },
    "closed": {"type": "object", "properties": {"a": {"const": "ab"}, "b": {}}, "additionalProperties": False},
    "map": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number", "maximum": 12}}},
    "tuple": {"type": "array", "prefixItems": [STRING, {"enum": ["a", "ab", 1]}], "items": {"type": "integer"}, "minItems": 3},
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"a": STRING | {"maxLength": 2}, "b": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "additionalProperties": False,
            }
        },
    },
    "alternatives of one kind": {
        "type": "object",
        "properties": {
            "a": {"anyOf": [STRING | {"maxLength": 2}, {"const": "abab"}]},
            "b": {"anyOf": [{"type": "array", "items": STRING, "maxItems": 1}, {"type": "array", "items": {"type": "null"}}]},
        },
    },
    "patterns": {"type": "array", "items": STRING | {"pattern": "^(ab)*é?$"}},
    "counted": {"type": "object", "additionalProperties": STRING, "maxProperties": 2},
    "anything": {},
    "a string": STRING | {"minLength": 1, "maxLength": 5},
}


def vocabulary(byte_fallback: bool) -> PieceTokenizer:
    return PieceTokenizer((*PIECES, *MORE_PIECES), byte_fallback=byte_fallback)


def compiled(schema: Any, *, byte_fallback: bool = False) -> CompiledGrammar:
    tokenizer = vocabulary(byte_fallback)
    engine = LLGuidanceEngine(tokenizer, tokenizer.vocab_size)
    return engine.compile(Constraint(kind="json_schema", source=json.dumps(schema)), trusted=True)


def bits(bitmask: torch.Tensor) -> set[int]:
    return {int(index) for index in np.flatnonzero(np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little"))}


def of_the_library(matcher: StrictMatcher, width: int) -> set[int]:
    """The mask of a copy of the library's own state; none of ours takes part."""
    bitmask = new_bitmask(width)
    return bits(bitmask) if matcher._native.fork().fill(bitmask) else set()


def key_after(schema: Any, text: str) -> Any:
    machine = StrictJson(Places(schema, longest=LONGEST))
    state = machine.advance(machine.start(), text.encode())
    assert state is not None
    return machine.key(state)


@pytest.mark.parametrize("byte_fallback", [False, True], ids=["byte-level", "byte-fallback"])
@pytest.mark.parametrize("label", SCHEMAS)
def test_masks_on_walks_equal_the_librarys(label: str, byte_fallback: bool) -> None:
    constraint = compiled(SCHEMAS[label], byte_fallback=byte_fallback)
    tokens = constraint.overlay.vocabulary.token_bytes
    bitmask, placed = new_bitmask(len(tokens)), 0
    for seed in range(60):
        rng, matcher, text = random.Random(seed), constraint.matcher(), b""
        for _ in range(40):
            placed += matcher._machine.key(matcher._state) is not None
            expected = of_the_library(matcher, len(tokens))
            try:
                matcher.fill_mask(bitmask)
            except MaskEmptyError:
                bitmask.zero_()
            assert bits(bitmask) == expected, f"after {text!r}"
            parts = [token for token in expected if set(tokens[token]) & set(b'"[]{},:')]
            token = rng.choice(sorted(parts if parts and rng.random() < 0.5 else expected) or [0])
            try:
                matcher.accept(token)
            except GrammarRefusedError:
                break
            text += tokens[token]
            if matcher.is_complete():
                break
    assert placed > 60


def test_a_token_for_some_byte_may_be_missing() -> None:
    tokenizer = PieceTokenizer((b'"a', b'a"', b"a"), byte_fallback=False)
    constraint = LLGuidanceEngine(tokenizer, tokenizer.vocab_size).compile(
        Constraint(kind="json_schema", source='{"type":"string"}'), trusted=True
    )
    matcher, bitmask = constraint.matcher(), new_bitmask(tokenizer.vocab_size)
    for token in (0, 1):
        matcher.fill_mask(bitmask)
        assert bits(bitmask) == of_the_library(matcher, tokenizer.vocab_size)
        matcher.accept(token)


ALIKE = [
    (STRING, '"a', '"\\n\\"bcé'),
    (STRING | {"maxLength": 5}, '"ab', '"é\\n'),
    (STRING | {"minLength": 2}, '"ab', '"abc'),
    (SCHEMAS["optional and required"], '{"ab":"x","c":1', '{"a":12,"ab":"","c":1'),
    (SCHEMAS["optional and required"], '{"ab":"x","c":1,"d":{"a":[1]},', '{"ab":"y","c":1,"e":null,'),
    (SCHEMAS["map"], '{"a":[1,2],"b', '{"c":[],"d'),
    (SCHEMAS["recursive"], '{"a":"","b":{"b":null', '{"b":{"a":"x","b":null'),
    (SCHEMAS["alternatives of one kind"], '{"b":[null],', '{"b":["x"],'),
    ({"type": "array", "minItems": 2}, "[1,2,3,", "[1,{},3,4,5,"),
]
DIFFERENT = [
    (STRING, '"a', '"a\\'),
    (STRING | {"maxLength": 5}, '"ab', '"abc'),
    (STRING | {"minLength": 2}, '"a', '"ab'),
    (SCHEMAS["optional and required"], '{"ab":"x"', '{"a":1'),
    (SCHEMAS["optional and required"], '{"a', '{"x'),
    (SCHEMAS["map"], '{"a":[1', '{"a":[12'),
    (SCHEMAS["recursive"], '{"a":"', '{"b":{"a":"'),
    (SCHEMAS["patterns"], '["ab', '["'),
    (SCHEMAS["tuple"], '["', '["a","'),
    ({"type": "array", "minItems": 2}, "[1,", "[1,2,"),
    ({"type": "array", "maxItems": 9}, "[1,1,1,", "[1,1,"),
]


@pytest.mark.parametrize(("schema", "left", "right"), ALIKE)
def test_outputs_that_go_on_alike_share_a_mask(schema: Any, left: str, right: str) -> None:
    machine = StrictJson(Places(schema, longest=LONGEST))
    states = [machine.advance(machine.start(), text.encode()) for text in (left, right)]
    assert None not in states
    keys = [machine.key(state) for state in states if state is not None]
    assert keys[0] is not None
    assert keys[0] == keys[1]


@pytest.mark.parametrize(("schema", "left", "right"), DIFFERENT)
def test_outputs_that_go_on_differently_do_not(schema: Any, left: str, right: str) -> None:
    machine = StrictJson(Places(schema, longest=LONGEST))
    states = [machine.advance(machine.start(), text.encode()) for text in (left, right)]
    assert None not in states
    assert len({machine.key(state) for state in states if state is not None}) == 2


def test_two_schemas_never_share_a_mask() -> None:
    assert key_after(STRING, '"a') != key_after(STRING, '"a')


def test_places_are_unknown_where_several_subschemas_speak_of_a_container() -> None:
    schema = SCHEMAS["alternatives of one kind"]
    assert key_after(schema, '{"b":[') is None
    assert key_after(schema, '{"b":["a"') is None
    assert key_after(schema, '{"b":["a"]') is not None
    assert key_after({"allOf": [{"type": "object"}]}, "{") is None
    assert key_after(SCHEMAS["counted"], '{"a":"x",') is None
    assert StrictJson().key(StrictJson().start()) is None


def test_long_texts_among_alternatives_and_long_numbers_are_not_told_apart() -> None:
    assert key_after({}, "[12") is not None
    assert key_after({}, "[123") is None
    assert key_after({}, "[123,") is not None
    assert key_after(SCHEMAS["patterns"], '["' + "ab" * 20) is not None
    assert key_after(SCHEMAS["patterns"], '["' + "ab" * 200) is None


def test_alternatives_that_double_cost_no_more_than_the_schema() -> None:
    definitions: dict[str, Any] = {"d0": {"type": "null"}}
    for level in range(1, 60):
        definitions[f"d{level}"] = {"anyOf": [{"$ref": f"#/$defs/d{level - 1}"}] * 2}
    assert key_after({"$ref": "#/$defs/d59", "$defs": definitions}, "{") is None


def test_containers_that_are_told_apart_are_bounded() -> None:
    places = Places({}, longest=LONGEST)
    numbers = [places.container(places.number, at, is_object=True) for at in range(MAX_CONTAINERS + 5)]
    assert len(set(numbers)) == MAX_CONTAINERS + 1
    assert numbers[-1] == UNKNOWN
    assert places.container(places.number, 0, is_object=True) == numbers[0]


def test_a_store_keeps_what_is_asked_for_within_its_bound() -> None:
    store = MaskStore(2, max_bytes=64)
    mask, out = torch.tensor([1, 2], dtype=torch.int32), torch.zeros(2, dtype=torch.int32)
    store.put("kept", mask)
    mask.fill_(7)
    for index in range(40):
        store.put(index, mask)
        assert store.copy_to("kept", out)
        assert out.tolist() == [1, 2]
        assert len(store) <= 8
    assert not store.copy_to(0, out)
    with pytest.raises(ValueError, match="expected a mask of 2 words, got 3"):
        store.copy_to("kept", torch.zeros(3, dtype=torch.int32))


def test_a_mask_does_not_outlive_a_matcher_that_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    constraint = compiled(STRING)
    bitmask = new_bitmask(len(constraint.overlay.vocabulary.token_bytes))
    constraint.matcher().fill_mask(bitmask)
    matcher = constraint.matcher()
    monkeypatch.setattr(matcher._native, "failed", lambda: True)
    with pytest.raises(MaskEmptyError):
        matcher.fill_mask(bitmask)
    assert not bits(bitmask)
