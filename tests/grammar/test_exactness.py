"""Masks of both libraries equal a brute-force oracle after every prefix: no legal token blocked, no illegal one allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from builderbrain.errors import MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.native import ENGINES, EngineName
from builderbrain.grammar.validate import validator_for
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from tests.grammar.oracle import PIECES, Language, PieceTokenizer, characters, in_order, json_candidates, texts

PADDING = 37
"""Logits beyond the tokenizer, so that the width is no multiple of 32."""
NUMBERS = [text for text in texts("12-", 3) if re.fullmatch(r"-?[12]+", text)]
PLAIN = [character for character in characters() if character not in '"\\']
SHORT = [json.dumps(text, ensure_ascii=False) for text in ("", "a", "b", "é", "ab")]
SCALARS = ["1", "2", "-1", "12", "true", "false", "null", *SHORT]

A_B = {"a": {"enum": [1, 12, "é"]}, "b": {"type": "string", "maxLength": 1}}
SCHEMAS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "minimum": -12, "maximum": 21},
    "enum": {"enum": ["a", "é", 1, 12, None, True, [1], {"a": 1}]},
    "short string": {"type": "string", "maxLength": 1},
    "two characters": {"type": "string", "minLength": 2, "maxLength": 2},
    "pattern": {"type": "string", "pattern": "^[abé]{1,2}$"},
    "boolean or null": {"type": ["boolean", "null"]},
    "array": {"type": "array", "items": {"enum": [1, "é"]}, "minItems": 1, "maxItems": 2},
    "tuple": {"type": "array", "prefixItems": [{"enum": [1, 2]}, {"type": "boolean"}], "items": False, "minItems": 1},
    "nested": {"type": "array", "items": {"type": "array", "items": {"const": 1}, "maxItems": 1}, "maxItems": 2},
    "closed object": {
        "type": "object",
        "properties": {"a": {"enum": [1, 12]}, "b": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "required": {
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"enum": ["é", None]}},
        "required": ["b"],
        "additionalProperties": False,
    },
    "alternatives": {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 2}, {"const": "ab"}]},
    "map": {
        "type": "object",
        "patternProperties": {"^[ab]$": {"const": 1}},
        "additionalProperties": False,
        "maxProperties": 1,  # with all names used up, a comma would be a dead end that no mask sees
    },
}
PATTERNS = ("(a|ab)(b|ba)?", "[^a]{0,2}", "é{0,3}", ".{1,2}", "a?[éß]?b?", "(12|1)-?(1|2){0,2}", "[ -~]{0,2}")


@cache
def engine_of(name: EngineName, byte_fallback: bool) -> tuple[GrammarEngine, PieceTokenizer]:
    tokenizer = PieceTokenizer(PIECES, byte_fallback=byte_fallback)
    made = LLGuidanceEngine if name == "llguidance" else XGrammarEngine
    return made(tokenizer, tokenizer.vocab_size + PADDING), tokenizer


def legal(bitmask: Any, width: int) -> set[int]:
    bits = np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")
    assert not bits[width:].any(), "a bit beyond the vocabulary"
    return {int(index) for index in np.flatnonzero(bits)}


def check_every_prefix(name: EngineName, constraint: Constraint, language: Language, *, byte_fallback: bool) -> int:
    """Walk over every prefix that tokens can spell; returns how many there were."""
    engine, tokenizer = engine_of(name, byte_fallback)
    compiled = engine.compile(constraint, trusted=True)
    assert compiled.exact
    tokens, width = engine.vocabulary.token_bytes, tokenizer.vocab_size + PADDING
    pending: list[tuple[bytes, tuple[int, ...]]] = [(b"", ())]
    seen = {b""}
    while pending:
        prefix, path = pending.pop()
        matcher = compiled.matcher()
        for token in path:
            matcher.accept(token)
        bitmask = new_bitmask(width)
        try:
            matcher.fill_mask(bitmask)
            matcher.refine(bitmask)
        except MaskEmptyError:
            bitmask.zero_()
        expected = language.legal(prefix, tokens, tokenizer.eos_token_id)
        found = legal(bitmask, width)
        blocked, allowed = ([tokens[index] for index in group] for group in (expected - found, found - expected))
        assert found == expected, f"after {prefix!r}: blocked {blocked}, allowed {allowed}"
        for token in expected - {tokenizer.eos_token_id}:
            if prefix + tokens[token] not in seen:
                seen.add(prefix + tokens[token])
                pending.append((prefix + tokens[token], (*path, token)))
    return len(seen)


@pytest.mark.parametrize("byte_fallback", [False, True], ids=["byte-level", "byte-fallback"])
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("label", SCHEMAS)
def test_masks_of_a_schema_equal_the_oracle(label: str, name: EngineName, byte_fallback: bool) -> None:
    schema = SCHEMAS[label]
    strings = [json.dumps(text, ensure_ascii=False) for text in texts(PLAIN, 2 if schema.get("maxLength") == 2 else 1)]
    candidates = dict.fromkeys(
        [*json_candidates(SCALARS, ("a", "b"), longest=2), *NUMBERS, *strings, '"é"', '"bé"', *map(quoted, texts("abé", 2))]
    )
    validator = validator_for(schema)
    names = list(schema.get("properties", {}))
    language = Language.of(candidates, lambda text: in_order(text, names) and validator.is_valid(json.loads(text)))
    assert language.members
    constraint = Constraint(kind="json_schema", source=json.dumps(schema))
    assert check_every_prefix(name, constraint, language, byte_fallback=byte_fallback) > len(language.members)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks_of_a_pattern_equal_the_oracle(pattern: str, name: EngineName) -> None:
    matches: Callable[[str], Any] = re.compile(pattern, re.ASCII).fullmatch
    longest = 2 if any(sign in pattern for sign in (".", "^", "~")) else 5
    alphabet = [*characters(), "\x01"] if longest == 2 else ["a", "b", "1", "2", "-", "é", "ß"]
    language = Language.of(texts(alphabet, longest), lambda text: matches(text) is not None)
    check_every_prefix(name, Constraint(kind="regex", source=pattern), language, byte_fallback=False)


@pytest.mark.parametrize("byte_fallback", [False, True], ids=["byte-level", "byte-fallback"])
@pytest.mark.parametrize("name", ENGINES)
def test_masks_of_a_choice_equal_the_oracle(name: EngineName, byte_fallback: bool) -> None:
    choices = ["a", "ab", "aba", "é", "éé", '"a"', "1,1", "\U0001f7df", "null", "nul"]
    language = Language.of(choices, lambda _: True)
    check_every_prefix(name, Constraint(kind="choice", source=json.dumps(choices)), language, byte_fallback=byte_fallback)
