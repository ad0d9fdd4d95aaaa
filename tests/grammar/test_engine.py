"""The engine's promises: known holes of xgrammar closed, refusals named and cached, child killable, masks for training."""

from __future__ import annotations

import json
import threading
import time

import pytest
import torch

from builderbrain.errors import GrammarLimitError, GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.cache import BoundedCache, cache_key
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.masks import masks_along
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.trial import CompileTrial
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from tests.grammar.toys import VOCAB_SIZE, compile_trusted, legal_tokens, random_walk, toy_engine, toy_tokenizer

OPEN = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


def accepts(kind: str, source: object, data: bytes) -> bool:
    """Whether matcher and machine let through `data` byte by byte, and the end after it."""
    compiled = compile_trusted(kind, source)
    token_bytes = toy_engine().vocabulary.token_bytes
    matcher, bitmask = compiled.matcher(), new_bitmask(VOCAB_SIZE)
    for token in [*(token_bytes.index(bytes([byte])) for byte in data), toy_tokenizer().eos_token_id]:
        try:
            matcher.fill_mask(bitmask)
            legal = token in legal_tokens(bitmask)
            matcher.accept(token)
        except (GrammarRefusedError, MaskEmptyError):
            return False
        assert legal, "accepted a token that the mask does not have"
    return matcher.is_complete()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "minLength": 1}, b'"a"', b'"\x01"'),
        ({"type": "string"}, b'"\xed\x9f\xbf"', b'"\xed\xa0\x80"'),
        ({"type": "string", "pattern": "^.$"}, b'"\xee\x80\x80"', b'"\xed\xb8\x80"'),
        ({"type": "string"}, b'"\\ud83d\\ude00"', b'"\\ud83d"'),
        (OPEN, b'{"id":1,"x":2}', b'{"id":1,"x":2,"x":3}'),
        (OPEN, b'{"id":1,"ID":2}', b'{"id":1,"id":2}'),
        (OPEN, b'{"id":1}', b'{"\\u0069d":"one"}'),
        ({"type": "number"}, b"1e99", b"1e999"),
        ({"type": "object", "required": ["b"]}, b'{"b":1}', b'{"a":1}'),
        ({"type": ["integer", "string"], "minimum": 3}, b"3", b"2"),
        ({"minimum": 3}, b'"2"', b"2"),
        ({"enum": [1, "a"], "type": "string"}, b'"a"', b"1"),
        ({"anyOf": [{"type": "integer"}], "maximum": 5}, b"5", b"6"),
        ({"type": "object"}, b"{}", b"[]"),
    ],
)
def test_known_holes_are_closed_in_the_mask(schema: object, good: bytes, bad: bytes) -> None:
    assert accepts("json_schema", schema, good)
    assert compile_trusted("json_schema", schema).validate(good.decode()) is None
    assert not accepts("json_schema", schema, bad)


@pytest.mark.parametrize(
    ("kind", "source", "good", "bad"),
    [
        ("json_object", "", ['{"a":[1,{"b":null}]}', "{}"], ["[]", "1", '{"a":1,"a":1}', ""]),
        ("choice", '["yes","no","né\\n\\"x\\\\"]', ["yes", 'né\n"x\\'], ["maybe", "ye", ""]),
        ("regex", "[a-c]{2}|é+", ["ab", "éé"], ["a", "abc", "e", ""]),
        ("grammar", 'root ::= "a" root | "b" [^x]\n', ["abé", "b\n"], ["a", "bx", "bbb", ""]),
    ],
)
def test_every_kind_masks_and_validates_alike(kind: str, source: str, good: list[str], bad: list[str]) -> None:
    compiled = compile_trusted(kind, source)
    assert compiled.exact
    for text in good:
        assert accepts(kind, source, text.encode())
        assert compiled.validate(text) is None
    for text in bad:
        assert not accepts(kind, source, text.encode())
        assert compiled.validate(text)
    for seed in range(10):
        walk = random_walk(compiled, seed, steps=60)
        assert walk.end != "stop" or compiled.validate(walk.text.decode()) is None


def test_a_refused_token_changes_nothing() -> None:
    compiled = compile_trusted("json_schema", OPEN)
    token_bytes = toy_engine().vocabulary.token_bytes
    matcher = compiled.matcher()
    for byte in b'{"id":1,"x':
        matcher.accept(token_bytes.index(bytes([byte])))
    before, after = new_bitmask(VOCAB_SIZE), new_bitmask(VOCAB_SIZE)
    matcher.fill_mask(before)
    for token in (toy_tokenizer().eos_token_id, token_bytes.index(b"\n"), VOCAB_SIZE - 1, VOCAB_SIZE, -1):
        with pytest.raises(GrammarRefusedError):
            matcher.accept(token)
    matcher.fill_mask(after)
    assert torch.equal(before, after)


def test_refining_removes_exactly_what_accept_refuses() -> None:
    compiled = compile_trusted("json_schema", OPEN)
    token_bytes = toy_engine().vocabulary.token_bytes
    prefix = b'{"id":1,"a":2,"a'
    matcher = compiled.matcher()
    for byte in prefix:
        matcher.accept(token_bytes.index(bytes([byte])))
    bitmask = new_bitmask(VOCAB_SIZE)
    matcher.fill_mask(bitmask)
    before = legal_tokens(bitmask)
    matcher.refine(bitmask)
    refined = legal_tokens(bitmask)
    assert token_bytes.index(b'"') in before
    assert token_bytes.index(b'"') not in refined
    for token in before:
        other = compiled.matcher()
        for byte in prefix:
            other.accept(token_bytes.index(bytes([byte])))
        if token in refined:
            other.accept(token)
        else:
            with pytest.raises(GrammarRefusedError):
                other.accept(token)


def test_special_tokens_and_padding_are_never_legal() -> None:
    compiled = compile_trusted("regex", "[^a]*")
    bitmask = new_bitmask(VOCAB_SIZE)
    compiled.matcher().fill_mask(bitmask)
    legal = set(legal_tokens(bitmask))
    assert toy_tokenizer().eos_token_id in legal
    assert not legal & set(range(toy_tokenizer().vocab_size, VOCAB_SIZE))


def test_masks_along_a_plan() -> None:
    grammar = 'root ::= ("s" [1-9] "=talk(text=\\"" [a-z]{0,5} "\\")\\n")+\n'
    compiled = compile_trusted("grammar", grammar)
    tokens = [*toy_tokenizer().encode('s1=talk(text="done")\n'), toy_tokenizer().eos_token_id]
    masks = masks_along(compiled, tokens, VOCAB_SIZE)
    assert masks.shape == (len(tokens), (VOCAB_SIZE + 31) // 32)
    assert masks.dtype == torch.int32
    for mask, token in zip(masks, tokens, strict=True):
        assert token in legal_tokens(mask)
    assert toy_tokenizer().eos_token_id not in legal_tokens(masks[0])
    with pytest.raises(GrammarRefusedError, match="index 0"):
        masks_along(compiled, toy_tokenizer().encode("x"), VOCAB_SIZE)


def test_client_grammars_are_off_by_default() -> None:
    with pytest.raises(GrammarRefusedError, match="EBNF") as refusal:
        toy_engine().compile(Constraint(kind="grammar", source='root ::= "a"'))
    assert refusal.value.field == "grammar"


def test_compiled_constraints_and_refusals_are_cached() -> None:
    engine = toy_engine()
    first = compile_trusted("json_schema", {"type": "null"})
    hits = engine.cache.hits
    assert compile_trusted("json_schema", {"type": "null"}) is first
    assert engine.cache.hits == hits + 1
    for _ in range(2):
        with pytest.raises(GrammarRefusedError) as refusal:
            compile_trusted("json_schema", {"type": "nothing"})
    assert engine.cache.hits == hits + 2
    assert refusal.value.field == "/type"


def test_the_cache_is_bounded_in_entries_and_bytes() -> None:
    cache: BoundedCache[int] = BoundedCache(max_entries=3, max_bytes=100)
    for index in range(10_000):
        cache.put(cache_key("schema", str(index)), index, 30)
    assert len(cache) == 3
    assert cache.size_bytes == 90
    cache.put("large", 1, 1_000)
    assert (len(cache), cache.size_bytes) == (3, 90)
    cache = BoundedCache(max_entries=3, max_bytes=100)
    cache.put("a", 1, 10)
    cache.put("b", 2, 10)
    assert cache.get("a") == 1
    cache.put("c", 3, 85)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert cache_key("ab", "c") != cache_key("a", "bc")


def test_the_child_is_killed_at_its_limits_and_the_next_trial_works() -> None:
    """One child start is seconds, so time, memory, refusal and crash are tried in one go."""
    trial = CompileTrial(toy_engine().vocabulary, engines=("xgrammar",), seconds=5.0, memory_bytes=64 << 20)
    trial.run("xgrammar", "regex", "a", field="regex")
    with pytest.raises(GrammarRefusedError, match="not defined"):
        trial.run("xgrammar", "ebnf", "root ::= x", field="grammar")
    trial._seconds = 0.0
    with pytest.raises(GrammarLimitError, match="compile time") as refusal:
        trial.run("xgrammar", "regex", "c", field="regex")
    assert refusal.value.field == "regex"
    assert trial._process is None
    trial._seconds = 5.0
    trial.run("xgrammar", "regex", "b", field="regex")
    heavy = json.dumps({"enum": [f"{index:x}" * 9 for index in range(300_000)]})
    start = time.monotonic()
    with pytest.raises((GrammarRefusedError, GrammarLimitError)):
        trial.run("xgrammar", "schema", heavy, field="")
    assert time.monotonic() - start < 10
    trial.close()


def test_engines_are_shared_between_threads() -> None:
    engine = XGrammarEngine(toy_tokenizer(), VOCAB_SIZE)
    results, faults = [], []

    def work(index: int) -> None:
        try:
            source = json.dumps({"type": "integer", "maximum": index % 3})
            compiled = engine.compile(Constraint(kind="json_schema", source=source), trusted=True)
            results.append((index % 3, compiled))
        except Exception as error:  # noqa: BLE001  (whatever a thread meets must reach the test)
            faults.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len({id(compiled) for _, compiled in results}) == 3


def test_a_slow_trial_keeps_no_other_constraint_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = GrammarEngine(toy_tokenizer(), VOCAB_SIZE)
    started, release = threading.Event(), threading.Event()

    def slow(*arguments: object, **more: object) -> None:
        started.set()
        release.wait(20)

    monkeypatch.setattr(engine._trial, "run", slow)
    heavy = Constraint(
        kind="json_schema", source=json.dumps({"$ref": "#/$defs/a", "minimum": 1, "$defs": {"a": {"type": "integer"}}})
    )
    thread = threading.Thread(target=engine.compile, args=(heavy,))
    thread.start()
    assert started.wait(20)
    assert engine.compile(Constraint(kind="choice", source='["a"]')).engine == "llguidance"
    assert thread.is_alive()
    release.set()
    thread.join()
    assert engine.compile(heavy).exact
    assert len(engine._compiling) == 0


def test_a_library_that_refuses_is_followed_by_the_other_one() -> None:
    engine = GrammarEngine(toy_tokenizer(), VOCAB_SIZE)
    counted = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "maxProperties": 1}
    assert engine.compile(Constraint(kind="json_schema", source=json.dumps(counted)), trusted=True).engine == "xgrammar"
    assert engine.compile(Constraint(kind="grammar", source='root ::= "a"\n'), trusted=True).engine == "xgrammar"
    assert engine.compile(Constraint(kind="json_schema", source='{"type":"integer"}'), trusted=True).engine == "llguidance"
    with pytest.raises(GrammarRefusedError, match="EBNF"):
        LLGuidanceEngine(toy_tokenizer(), VOCAB_SIZE).compile(Constraint(kind="grammar", source='root ::= "a"\n'), trusted=True)


def test_what_llguidance_leaves_out_is_declared_and_refused_by_the_validator() -> None:
    engine = GrammarEngine(toy_tokenizer(), VOCAB_SIZE)
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}},
        "not": {"required": ["b"]},
    }
    compiled = engine.compile(Constraint(kind="json_schema", source=json.dumps(schema)), trusted=True)
    assert (compiled.engine, compiled.exact) == ("llguidance", False)
    assert set(compiled.declared) == {"/properties/a/uniqueItems", "/not"}
    assert compiled.validate('{"a":[1,1]}')
    assert compiled.validate('{"a":[1,2]}') is None
    dated = engine.compile(Constraint(kind="json_schema", source='{"items":{"type":"string","format":"date"}}'), trusted=True)
    assert dated.declared == ("/items/format",)
    assert engine.compile(Constraint(kind="json_schema", source='{"format":"uuid"}'), trusted=True).exact
