"""Every admission limit refuses by name and JSON pointer, fast, and the largest source within it passes."""

from __future__ import annotations

import json
import time

import pytest

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.grammar.limits import FORMATS, admit_choice, admit_grammar, admit_schema
from builderbrain.grammar.patterns import read_pattern
from builderbrain.grammar.validate import validator_for


def nested(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "null"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


OVER = {
    "source size": ({"description": "x" * 65_536}, ""),
    "depth": (nested(33), "/properties/a" * 33),
    "branches": ({"properties": {"a": {"anyOf": [True] * 40}, "b": {"oneOf": [True] * 25}}}, ""),
    "enum": ({"properties": {"a": {"enum": list(range(1001))}}}, "/properties/a/enum"),
    "properties": ({"items": {"properties": {f"p{i}": True for i in range(501)}}}, "/items/properties"),
    "properties counted": ({"properties": {f"p{i}": True for i in range(33)}, "minProperties": 1}, "/properties"),
    "minItems": ({"minItems": 513}, "/minItems"),
    "minLength": ({"$defs": {"a/b": {"minLength": 16_000}}}, "/$defs/a~1b/minLength"),
    "repetition": ({"pattern": "^(a{20}){20}$"}, "/pattern"),
    "pattern size": ({"pattern": "a" * 513}, "/pattern"),
    "string literal": ({"const": {"k": ["x" * 4097]}}, "/const"),
    "references": ({"properties": {"a": {"$ref": "http://example.org/schema"}}}, "/properties/a/$ref"),
    "number": ({"minimum": 1e300}, "/minimum"),
}


@pytest.mark.parametrize("name", OVER)
def test_over_a_limit_is_refused_with_its_name_and_pointer_within_50_ms(name: str) -> None:
    schema, pointer = OVER[name]
    source = json.dumps(schema)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        with pytest.raises(GrammarLimitError, match=f"^{name.split(' counted')[0]}") as refusal:
            admit_schema(source)
        seconds.append(time.process_time() - start)
    assert (refusal.value.field or "").startswith(pointer)
    assert min(seconds) < 0.05


WITHIN = [
    nested(32),
    {"anyOf": [{"type": "null"}] * 64},
    {"enum": list(range(1000))},
    {"properties": {f"p{i}": True for i in range(500)}},
    {"properties": {f"p{i}": True for i in range(32)}, "maxProperties": 40},
    {"minItems": 512, "minLength": 512},
    {"pattern": "^(a{16}){16}$"},
    {"const": "x" * 4096},
    {"minimum": -(10**15), "maximum": 10**15},
    {"properties": {"$ref": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", WITHIN)
def test_at_the_limit_passes(schema: dict[str, object]) -> None:
    assert admit_schema(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, '{"items":' * 5_000 + "{}" + "}" * 5_000]
)
def test_endless_nesting_is_an_error_and_no_recursion(text: str) -> None:
    start = time.process_time()
    with pytest.raises((GrammarLimitError, GrammarRefusedError)):
        admit_schema(text)
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    "source",
    [
        '{"a":1,"a":2}',
        '{"minimum":NaN}',
        '{"a":"\ud800"}',
        '{"a":"\\ud800"}',
        "{",
        "[]",
        "3",
        '"x"',
        '{"a":"\n"}',
        '{"minimum":1e999}',
    ],
)
def test_what_is_no_strict_schema_text_is_refused(source: str) -> None:
    with pytest.raises(GrammarRefusedError):
        admit_schema(source)


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"$ref": "#/$defs/none"}, "/$ref"),
        ({"items": {"$dynamicRef": "#x"}}, "/items/$dynamicRef"),
        ({"items": {"$anchor": "x"}}, "/items/$anchor"),
        ({"items": {"$id": "other"}}, "/items"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema"),
        ({"items": {"pattern": "(?=a)b"}}, "/items/pattern"),
        ({"pattern": "(?!a)b"}, "/pattern"),
        ({"pattern": "(a)\\1"}, "/pattern"),
        ({"pattern": "a\\bb"}, "/pattern"),
        ({"pattern": "a^b"}, "/pattern"),
        ({"pattern": '^"$'}, "/pattern"),
        ({"pattern": "^\\\\$"}, "/pattern"),
        ({"pattern": "^a\\nb$"}, "/pattern"),
        ({"pattern": "("}, "/pattern"),
        ({"patternProperties": {"(?i)a": True}}, "/patternProperties/(?i)a"),
        ({"items": {"format": "colour"}}, "/items/format"),
        ({"properties": {"a": {"dependencies": {"b": ["c"]}}}}, "/properties/a/dependencies"),
        ({"items": True, "additionalItems": False}, "/additionalItems"),
    ],
)
def test_what_no_engine_honours_is_refused_at_its_pointer(schema: dict[str, object], pointer: str) -> None:
    with pytest.raises(GrammarRefusedError) as refusal:
        admit_schema(json.dumps(schema))
    assert refusal.value.field == pointer


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_validator_asserts_every_format_that_is_admitted(name: str) -> None:
    assert not validator_for({"format": name}).is_valid("\\ {(%\x00 :")


def test_keywords_of_an_older_draft_pass_when_it_is_named() -> None:
    draft = "http://json-schema.org/draft-07/schema#"
    for schema in ({"dependencies": {"b": ["c"]}}, {"items": [True], "additionalItems": False}):
        assert admit_schema(json.dumps({"$schema": draft, **schema}))["$schema"] == draft


def test_anchors_of_top_level_alternatives_are_fine() -> None:
    facts = read_pattern("^a|bc$", field="regex")
    assert (facts.shortest, facts.longest) == (1, 2)


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("root ::= " + "(" * 33 + '"a"' + ")" * 33, "depth"),
        ("root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000, "depth"),
        ('root ::= "a"{3,100000}', "repetition"),
        ('root ::= "' + "a" * 5_000 + '"', "string literal"),
        ("".join(f'r{i} ::= "a"\n' for i in range(501)), "rules"),
        ("#" * 70_000, "source size"),
    ],
)
def test_grammars_over_a_limit_are_refused(source: str, limit: str) -> None:
    with pytest.raises(GrammarLimitError, match=f"^{limit}") as refusal:
        admit_grammar(source)
    assert refusal.value.field == "grammar"


def test_brackets_in_literals_and_comments_do_not_count() -> None:
    admit_grammar('root ::= "' + "(" * 100 + '" # ' + "(" * 100 + "\n x ::= [(((]\n")


@pytest.mark.parametrize("source", ["", "{}", "[]", '[""]', "[1]", '["a"', '["\\ud800"]'])
def test_choices_must_be_a_list_of_strings(source: str) -> None:
    with pytest.raises(GrammarRefusedError):
        admit_choice(source)


def test_choices_have_limits() -> None:
    with pytest.raises(GrammarLimitError, match="choices"):
        admit_choice(json.dumps([str(i) for i in range(1001)]))
    with pytest.raises(GrammarLimitError, match="string literal") as refusal:
        admit_choice(json.dumps(["a", "x" * 4097]))
    assert refusal.value.field == "choice/1"
