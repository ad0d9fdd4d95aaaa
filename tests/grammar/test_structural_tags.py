"""Structural tags: masks equal an independent reading after every prefix, texts are valid, refusals name their place."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.random_model import RandomModel
from builderbrain.errors import GrammarLimitError, GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from tests.grammar.oracle import PIECES, PieceTokenizer

TAG_PIECES = (
    *(b"<", b">", b"/", b"<a", b"a>", b"<a>", b"><", b"1</a", b"<a>1", b"\n", b"</a>", b"a<", b"2</a>,", b"</a>\n<a>"),
    *(b"<b", b"<b>", b"b>", b'"</b>', b'\xa9"</b', b"</a><", b"a</"),
)


def tag(begin: str, schema: Any, end: str) -> dict[str, Any]:
    return {"type": "tag", "begin": begin, "content": {"type": "json_schema", "json_schema": schema}, "end": end}


NUMBER = tag("<a>", {"enum": [1, 12]}, "</a>")
OTHER = tag("<a>-", {"enum": ["é", True]}, "</b>")
WORD = tag("<b>", {"enum": ["a", "é"]}, "</b>")
FORMATS: dict[str, dict[str, Any]] = {
    "free text": {"type": "triggered_tags", "triggers": ["<a>", "<b>"], "tags": [NUMBER, WORD]},
    "first at once": {"type": "triggered_tags", "triggers": ["<a>"], "tags": [NUMBER], "at_least_one": True},
    "one in free text": {"type": "triggered_tags", "triggers": ["<"], "tags": [NUMBER, WORD], "stop_after_first": True},
    "then only tags": {"type": "triggered_tags", "triggers": ["<a", "<b>"], "tags": [NUMBER, WORD], "separator": "\n"},
    "exactly one": {
        "type": "triggered_tags",
        "triggers": ["<a>"],
        "tags": [NUMBER],
        "at_least_one": True,
        "stop_after_first": True,
    },
    "list": {"type": "tags_with_separator", "tags": [NUMBER, WORD], "separator": ","},
    "list without separator": {"type": "tags_with_separator", "tags": [NUMBER], "separator": "", "at_least_one": True},
    "one of a list": {"type": "tags_with_separator", "tags": [NUMBER, WORD], "separator": ",", "stop_after_first": True},
    "tag": NUMBER,
}


class Verdict(NamedTuple):
    viable: bool
    may_end: bool


class Reader:
    """Reads prefixes of the language that a format spans over finitely many tags; shares no code with the package."""

    def __init__(self, form: dict[str, Any]) -> None:
        tags = [form] if form["type"] == "tag" else form["tags"]
        self.triggers = [trigger.encode() for trigger in form.get("triggers", ())]
        self.separator = form["separator"].encode() if "separator" in form else None
        self.one = form.get("stop_after_first", form["type"] == "tag")
        self.first = form.get("at_least_one", form["type"] == "tag")
        self.tags = [
            (each["begin"] + json.dumps(value, ensure_ascii=False) + each["end"]).encode()
            for each in tags
            for value in each["content"]["json_schema"]["enum"]
        ]

    def read(self, data: bytes) -> Verdict:
        if self.first:
            return self._tag(data)
        if self.triggers:
            return self._text(data)
        verdict = self._tag(data)
        return Verdict(verdict.viable or not data, verdict.may_end or not data)

    def _text(self, data: bytes) -> Verdict:
        places = [place for trigger in self.triggers if (place := data.find(trigger)) >= 0]
        if not places:
            return Verdict(*utf8(data))
        return self._tag(data[min(places) :]) if utf8(data[: min(places)])[1] else Verdict(False, False)

    def _tag(self, data: bytes) -> Verdict:
        verdicts = [Verdict(text.startswith(data), False) for text in self.tags]
        verdicts += [self._after(data[len(text) :]) for text in self.tags if data.startswith(text)]
        return Verdict(any(verdict.viable for verdict in verdicts), any(verdict.may_end for verdict in verdicts))

    def _after(self, data: bytes) -> Verdict:
        if self.one:
            return Verdict(not data, not data)
        if self.separator is None:
            return self._text(data)
        if not data:
            return Verdict(True, True)
        more = self._tag(data[len(self.separator) :]) if data.startswith(self.separator) else Verdict(False, False)
        return Verdict(more.viable or self.separator.startswith(data), more.may_end)


def utf8(data: bytes) -> tuple[bool, bool]:
    """Whether the bytes begin some text, and whether they are one."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        rest = data[error.start :]
        begins = error.reason == "unexpected end of data" and not (rest[0] == 0xED and len(rest) > 1 and rest[1] > 0x9F)
        return begins, False
    return True, True


@cache
def engine(byte_fallback: bool = False) -> GrammarEngine:
    tokenizer = PieceTokenizer((*PIECES, *TAG_PIECES), byte_fallback=byte_fallback)
    return GrammarEngine(tokenizer, tokenizer.vocab_size)


def structural(form: dict[str, Any]) -> Constraint:
    return Constraint(kind="structural_tag", source=json.dumps({"type": "structural_tag", "format": form}))


@pytest.mark.parametrize("byte_fallback", [False, True], ids=["byte-level", "byte-fallback"])
@pytest.mark.parametrize("label", FORMATS)
def test_masks_equal_an_independent_reading(label: str, byte_fallback: bool) -> None:
    made, reader = engine(byte_fallback), Reader(FORMATS[label])
    tokens, end = made.vocabulary.token_bytes, made.vocabulary.eos_token_id
    compiled = made.compile(structural(FORMATS[label]))
    assert compiled.exact
    assert compiled.engine == "llguidance"
    seen = set()
    for seed in range(25):
        rng, matcher, text = random.Random(seed), compiled.matcher(), b""
        for _ in range(14):
            bitmask = new_bitmask(len(tokens))
            try:
                matcher.fill_mask(bitmask)
                matcher.refine(bitmask)
            except MaskEmptyError:
                bitmask.zero_()
            bits = np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")
            found = {int(index) for index in np.flatnonzero(bits)}
            expected = {index for index, token in enumerate(tokens) if token and reader.read(text + token).viable}
            expected |= {end} if reader.read(text).may_end else set()
            blocked, allowed = ([tokens[index] for index in group] for group in (expected - found, found - expected))
            assert found == expected, f"after {text!r}: blocked {blocked}, allowed {allowed}"
            seen.add(text)
            assert (compiled.validate(text.decode()) is None if utf8(text)[1] else False) == reader.read(text).may_end
            choices = sorted(expected - {end})
            if not choices:
                break
            weights = [8 if set(tokens[index]) & set(b"<>/") else 1 for index in choices]
            token = rng.choices(choices, weights)[0]
            matcher.accept(token)
            text += tokens[token]
    assert len(seen) > 5


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "multipleOf": 3}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
}


def test_generations_are_valid_whatever_the_model_says() -> None:
    made = engine()
    form = {"type": "triggered_tags", "triggers": ["<a>"], "tags": [tag("<a>", SCHEMA, "</a>")], "at_least_one": True}
    compiled = made.compile(structural(form))
    tokenizer = PieceTokenizer((*PIECES, *TAG_PIECES), byte_fallback=False)
    tags = 0
    for seed in range(40):
        model = RandomModel(tokenizer, tokenizer.vocab_size, seed=seed, scale=3.0, end_bias=4.0)
        found = generate(model, [1], SamplingParameters(max_tokens=300, temperature=2.0, seed=seed), compiled, attempts=20)
        assert found.constraint is not None
        assert found.constraint.valid is not False
        if found.constraint.valid:
            value, _ = json.JSONDecoder().raw_decode(found.text.removeprefix("<a>"))
            assert value["a"] % 3 == 0
            tags += 1
    assert tags > 20


def test_duplicate_keys_and_overflow_are_refused_inside_a_tag() -> None:
    matcher = engine().compile(structural(tag("<a>", {"type": "object"}, "</a>"))).matcher()
    matcher.accept_text(b'<a>{"a":1,"')
    with pytest.raises(GrammarRefusedError):
        matcher.accept_text(b'a":')
    matcher.accept_text(b'b":[1]')
    matcher.accept_text(b"}</a>")


def test_a_trigger_inside_a_value_is_text_of_the_value() -> None:
    form = {"type": "triggered_tags", "triggers": ["<a>"], "tags": [tag("<a>", {"type": "string"}, "</a>")]}
    compiled = engine().compile(structural(form))
    for text, valid in (('é<a>"<a>1</a>"</a>', True), ('<a>"x"</a><a>', False), ("<a", True), ('<a>"x"</a', False), ("", True)):
        assert (compiled.validate(text) is None) == valid, text


def test_what_only_the_validator_enforces_is_declared_at_its_place() -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    compiled = engine().compile(structural(tag("<a>", schema, "</a>")))
    assert compiled.declared == ("/format/content/json_schema/uniqueItems",)
    assert compiled.validate("<a>[1,2]</a>") is None
    assert "tag 0" in str(compiled.validate("<a>[1,1]</a>"))


def test_the_older_form_is_read() -> None:
    source = {
        "type": "structural_tag",
        "structures": [{"begin": "<a>", "schema": {"const": 1}, "end": "</a>"}],
        "triggers": ["<a"],
    }
    compiled = engine().compile(Constraint(kind="structural_tag", source=json.dumps(source)))
    assert compiled.validate("b<a>1</a>b") is None
    assert compiled.validate("b<a>2</a>b") is not None


ANY = {"type": "object"}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"type": "regex", "pattern": "a"}, "/format/type"),
        ({"type": "triggered_tags", "triggers": [], "tags": [NUMBER]}, "/format/triggers"),
        ({"type": "triggered_tags", "triggers": ["<a>"], "tags": []}, "/format/tags"),
        ({"type": "triggered_tags", "triggers": ["<b>"], "tags": [NUMBER]}, "/format/tags/0"),
        ({"type": "triggered_tags", "triggers": ["<a>", "a"], "tags": [NUMBER]}, "/format/tags"),
        ({"type": "triggered_tags", "triggers": ["<a>"], "tags": [NUMBER], "excludes": ["x"]}, "/format/excludes"),
        ({"type": "tags_with_separator", "tags": [NUMBER, OTHER], "separator": ","}, "/format/tags/1"),
        ({"type": "tags_with_separator", "tags": [NUMBER], "separator": 1}, "/format/separator"),
        ({"type": "tags_with_separator", "tags": [NUMBER], "separator": ",", "at_least_one": 1}, "/format/at_least_one"),
        (tag("", ANY, "x"), "/format/begin"),
        (tag("x", ANY, ""), "/format/end"),
        (tag("x", {"type": "no"}, "y"), "/format/content/json_schema/type"),
        (
            tag("x", {"type": "object", "properties": {"q": {"$ref": "http://x"}}}, "y"),
            "/format/content/json_schema/properties/q/$ref",
        ),
        (tag("x", {"type": "string", "format": "colour"}, "y"), "/format/content/json_schema/format"),
        ({"type": "tag", "begin": "x", "content": {"type": "any_text"}, "end": "y"}, "/format/content/type"),
    ],
)
def test_what_is_refused_is_placed(form: dict[str, Any], field: str) -> None:
    with pytest.raises((GrammarRefusedError, GrammarLimitError)) as caught:
        engine().compile(structural(form))
    assert caught.value.field == field


def test_limits_hold() -> None:
    many = {"type": "tags_with_separator", "separator": "", "tags": [tag(f"<{n}>", ANY, "x") for n in range(129)]}
    large = tag("x", {"enum": [f"v{n}" for n in range(1001)]}, "y")
    for form, field in ((many, "/format/tags"), (large, "/format/content/json_schema/enum")):
        with pytest.raises(GrammarLimitError) as caught:
            engine().compile(structural(form))
        assert caught.value.field == field
    for source in ("", "[]", "{", '{"type":"structural_tag"}', "[" * 10_000, '{"a":1,"a":2}'):
        with pytest.raises(GrammarRefusedError):
            engine().compile(Constraint(kind="structural_tag", source=source))


def test_an_engine_without_llguidance_says_so() -> None:
    tokenizer = PieceTokenizer(PIECES, byte_fallback=False)
    with pytest.raises(GrammarRefusedError, match="structural_tag"):
        XGrammarEngine(tokenizer, tokenizer.vocab_size).compile(structural(NUMBER))
