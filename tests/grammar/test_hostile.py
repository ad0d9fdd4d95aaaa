"""Hostile constraints: each is answered or refused within bounds of time and memory, and the engine serves the next one."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.matching import new_bitmask
from tests.grammar.toys import VOCAB_SIZE, legal_tokens, toy_tokenizer

COMPILE_SECONDS = 2.0
SECONDS = COMPILE_SECONDS + 3.0
"""For anything: the trial's limit, and what a machine that runs other things adds."""
MEMORY_KIB = 256 * 1024
"""By which this process may grow."""


@pytest.fixture(scope="module")
def engine() -> Iterator[GrammarEngine]:
    made = GrammarEngine(toy_tokenizer(), VOCAB_SIZE, allow_client_grammar=True, compile_seconds=COMPILE_SECONDS)
    made.warm_up()
    yield made
    made.close()


def nested(levels: int) -> str:
    return '{"properties":{"a":' * levels + "{}" + "}}" * levels


def doubling_references(levels: int) -> dict[str, Any]:
    """Each definition refers twice to the next one: 2 ** levels places when written out."""
    definitions: dict[str, Any] = {"d0": {"type": "null"}}
    for level in range(1, levels + 1):
        below = {"$ref": f"#/$defs/d{level - 1}"}
        definitions[f"d{level}"] = {"type": "object", "properties": {"a": below, "b": below}}
    return {"$ref": f"#/$defs/d{levels}", "$defs": definitions}


def multiplying_alternatives(count: int) -> dict[str, Any]:
    pairs = [
        [{"properties": {f"a{i}": {"type": "integer"}}}, {"properties": {f"b{i}": {"type": "string"}}}] for i in range(count)
    ]
    return {"allOf": [{"anyOf": pair} for pair in pairs]}


REFUSED: dict[str, tuple[str, str, type[Exception], str]] = {
    "nesting of 10^4": ("json_schema", nested(10_000), GrammarLimitError, "depth|source size"),
    "nested lists of 10^4": ("json_schema", "[" * 10_000 + "]" * 10_000, GrammarLimitError, "depth"),
    "enum of 10^5": ("json_schema", json.dumps({"enum": list(range(100_000))}), GrammarLimitError, "source size"),
    "enum of 2,000 short values": ("json_schema", json.dumps({"enum": list(range(2_000))}), GrammarLimitError, "enum"),
    "choice of 10^5": ("choice", json.dumps([str(index) for index in range(100_000)]), GrammarLimitError, "source size"),
    "minItems of 10^5": ("json_schema", '{"type":"array","minItems":100000}', GrammarLimitError, "minItems"),
    "minLength of 10^9": ("json_schema", '{"type":"string","minLength":1000000000}', GrammarLimitError, "minLength"),
    "minimum of 1e300": ("json_schema", '{"minimum":1e300}', GrammarLimitError, "number"),
    "repetition of 10^4": ("regex", "a{1,10000}", GrammarLimitError, "repetition"),
    "repetition of repetitions": ("regex", "((a{100}){100}){100}", GrammarLimitError, "repetition"),
    "repetition in a pattern": ("json_schema", '{"pattern":"^[a-z]{1,10000}$"}', GrammarLimitError, "repetition"),
    "look-behind": ("regex", "(?<=a)b", GrammarRefusedError, "look-around"),
    "pattern of 50 kB": ("regex", "a|" * 25_000 + "b", GrammarLimitError, "pattern size"),
    "brackets of a grammar": ("grammar", "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000, GrammarLimitError, "depth"),
    "endless grammar": ("grammar", "root ::= root\n", GrammarRefusedError, "expected"),
    "recursion without end": ("json_schema", '{"$ref":"#"}', GrammarRefusedError, "finite"),
    "references in a circle": (
        "json_schema",
        '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}',
        GrammarRefusedError,
        "finite",
    ),
    "remote reference": ("json_schema", '{"$ref":"http://127.0.0.1:9/schema"}', GrammarLimitError, "references"),
    "remote reference in a file": ("json_schema", '{"items":{"$ref":"file:///etc/passwd"}}', GrammarLimitError, "references"),
    "remote dialect": ("json_schema", '{"$schema":"http://127.0.0.1:9/dialect"}', GrammarRefusedError, "schema"),
    "body of 50 MB": ("json_schema", '{"description":"' + "x" * 50_000_000 + '"}', GrammarLimitError, "source size"),
    "body of 50 MB that is no JSON": ("json_schema", "[" * 50_000_000, GrammarLimitError, "source size"),
    "lone surrogate": ("json_schema", '{"const":"\ud800"}', GrammarRefusedError, "surrogate"),
    "escaped lone surrogate": ("json_schema", '{"const":"\\udfff"}', GrammarRefusedError, "surrogate"),
    "surrogate in a pattern": ("regex", "\ud800", GrammarRefusedError, "expected"),
    "surrogate in a choice": ("choice", '["\ud800"]', GrammarRefusedError, "surrogate"),
    "duplicate key": ("json_schema", '{"type":"string","type":"integer"}', GrammarRefusedError, "duplicate key"),
    "NaN": ("json_schema", '{"minimum":NaN}', GrammarRefusedError, "NaN"),
    "infinity": ("json_schema", '{"maximum":-Infinity}', GrammarRefusedError, "Infinity"),
    "overflowing number": ("json_schema", '{"maximum":1e999}', GrammarRefusedError, "out of range"),
    "integer of 10^4 digits": ("json_schema", '{"maximum":' + "9" * 10_000 + "}", GrammarRefusedError, "digits"),
    "options for the library": (
        "json_schema",
        '{"x-guidance":{"lenient":true},"not":3}',
        GrammarRefusedError,
        "valid JSON Schema",
    ),
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a constraint opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_constraint_is_refused_within_bounds(name: str, engine: GrammarEngine) -> None:
    kind, source, error, reason = REFUSED[name]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(error, match=reason):
        engine.compile(Constraint(kind=kind, source=source))  # type: ignore[arg-type]
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB


ANSWERED: dict[str, tuple[str, str]] = {
    "exponential alternation": ("regex", "(a|a|aa|aaa)*b"),
    "nested stars": ("regex", "(((a*)*)*)*b"),
    "overlapping runs": ("json_schema", '{"type":"string","pattern":"^(x+x+)+y$"}'),
    "late decision": ("regex", "(a|b)*a(a|b){60}"),
    "doubling references": ("json_schema", json.dumps(doubling_references(24))),
    "recursion with a way out": ("json_schema", '{"type":"array","items":{"$ref":"#"}}'),
    "sixty-four alternatives": ("json_schema", json.dumps({"anyOf": [{"const": "a" * count} for count in range(64)]})),
    "five hundred properties": ("json_schema", json.dumps({"properties": {f"p{i}": {"type": "string"} for i in range(500)}})),
    "a thousand values": ("json_schema", json.dumps({"enum": [f"value {index}" for index in range(1_000)]})),
    "minItems of 512": ("json_schema", '{"type":"array","items":{"type":"integer"},"minItems":512}'),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_within_the_limits_is_served_within_bounds(name: str, engine: GrammarEngine) -> None:
    kind, source = ANSWERED[name]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    compiled = engine.compile(Constraint(kind=kind, source=source))  # type: ignore[arg-type]
    assert compiled.matcher().forced_text() is not None
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB


@pytest.mark.parametrize("name", [name for name, (kind, _) in ANSWERED.items() if kind == "regex"])
def test_no_mask_of_a_hostile_pattern_takes_long(name: str, engine: GrammarEngine) -> None:
    kind, source = ANSWERED[name]
    matcher = engine.compile(Constraint(kind=kind, source=source)).matcher()  # type: ignore[arg-type]
    bitmask = new_bitmask(VOCAB_SIZE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(300):
        start = time.monotonic()
        matcher.fill_mask(bitmask)
        assert time.monotonic() - start < 1.0
        legal = [token for token in legal_tokens(bitmask) if token != toy_tokenizer().eos_token_id]
        if not legal:
            break
        matcher.accept(legal[index % len(legal)])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB


def test_alternatives_that_multiply_end_at_the_limit_of_the_child_and_the_next_constraint_is_served(
    engine: GrammarEngine,
) -> None:
    for count in (8, 12, 20):
        start = time.monotonic()
        with suppress(GrammarLimitError, GrammarRefusedError):
            engine.compile(Constraint(kind="json_schema", source=json.dumps(multiplying_alternatives(count))))
        assert time.monotonic() - start < 2 * SECONDS
    assert engine.compile(Constraint(kind="choice", source='["yes", "no"]')).exact


def test_thousands_of_constraints_cost_no_more_memory_than_the_cache_may_hold(engine: GrammarEngine) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(1_500):
        engine.compile(Constraint(kind="json_schema", source=json.dumps({"const": index})))
    assert len(engine.cache) <= 512
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
