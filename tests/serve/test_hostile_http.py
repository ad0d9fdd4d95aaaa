"""Hostile requests over HTTP: each is refused by name or answered, within bounds of time and memory, and the server goes on."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from builderbrain.grammar.engine import GrammarEngine
from builderbrain.serve.decision_calibration import Calibrations
from builderbrain.serve.decisions import decisions_router
from builderbrain.serve.fields import RequestModel
from tests.serve.running import RunningServer, make_service, running_server

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, DECISIONS = "/v1/responses", "/v1/decisions"
COMPILE_SECONDS = 2.0
SECONDS = COMPILE_SECONDS + 3.0
"""For any of them: the limit of a grammar's trial, and what a machine that runs other things adds."""
MEMORY_KIB = 256 * 1024
"""By which server and client together may grow."""
MANY = 1_000_000


@pytest.fixture(scope="module")
def hostile() -> Iterator[RunningServer]:
    """A server with the mask engine that is really served."""
    service = make_service()
    tokenizer, size = service.backend.tokenizer, service.backend.vocab_size
    engine = GrammarEngine(tokenizer, size, compile_seconds=COMPILE_SECONDS)
    engine.warm_up()
    service.backend.mask_engine = engine
    with running_server(service, routers=(decisions_router(service, Calibrations()),)) as started:
        yield started
    engine.close()


@dataclass(frozen=True)
class Hostile:
    """A body, and what the refusal's `param` begins with and its message holds."""

    body: bytes
    param: str | None
    message: str
    path: str = COMPLETIONS


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "x", "max_tokens": 2, **fields}).encode()


def raw_schema(schema: str) -> bytes:
    """The schema stands in the body as an object."""
    shape = f'{{"type": "json_schema", "json_schema": {{"name": "x", "schema": {schema}}}}}'
    return f'{{"prompt": "x", "max_tokens": 2, "response_format": {shape}}}'.encode()


def text_schema(schema: str) -> bytes:
    """The schema stands in the body as a string, which the body's own parser does not look into."""
    return body(structured_outputs={"json": schema})


def conversation(content: str, turns: int) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}] * turns}).encode()


def nested(levels: int) -> str:
    return '{"properties":{"a":' * levels + "{}" + "}}" * levels


IN_BODY, IN_TEXT = "response_format.json_schema.schema", "structured_outputs.json"
REFUSED: dict[str, Hostile] = {
    "nesting of 10^4": Hostile(raw_schema(nested(10_000)), None, "JSON"),
    "nesting of 10^4 in a string": Hostile(text_schema(nested(10_000)), IN_TEXT, "source size"),
    "lists of 10^4 in a string": Hostile(text_schema("[" * 10_000 + "]" * 10_000), IN_TEXT, "depth"),
    "nesting of 10^4 beside the fields": Hostile(b'{"prompt": ' + b"[" * 10_000, None, "JSON"),
    "nesting over what a body may have": Hostile(body(prompt=json.loads("[" * 150 + "]" * 150)), None, "100 levels"),
    "enum of 10^5": Hostile(raw_schema(json.dumps({"enum": list(range(100_000))})), IN_BODY, "source size"),
    "enum of 10^5 in a string": Hostile(text_schema(json.dumps({"enum": list(range(100_000))})), IN_TEXT, "source size"),
    "enum of 5,000": Hostile(raw_schema(json.dumps({"enum": list(range(5_000))})), f"{IN_BODY}/enum", "enum"),
    "choice of 10^5": Hostile(
        body(structured_outputs={"choice": [str(i) for i in range(100_000)]}), "structured_outputs.choice", "source size"
    ),
    "minItems of 10^5": Hostile(raw_schema('{"type":"array","minItems":100000}'), f"{IN_BODY}/minItems", "minItems"),
    "regex of {1,10000}": Hostile(body(structured_outputs={"regex": "a{1,10000}"}), "structured_outputs.regex", "repetition"),
    "pattern of {1,10000}": Hostile(
        raw_schema('{"type":"string","pattern":"^[a-z]{1,10000}$"}'), f"{IN_BODY}/pattern", "repetition"
    ),
    "repetition of repetitions": Hostile(
        body(structured_outputs={"regex": "((a{100}){100}){100}"}), "structured_outputs.regex", "repetition"
    ),
    "recursion without end": Hostile(raw_schema('{"$ref":"#"}'), IN_BODY, "finite"),
    "duplicate key": Hostile(b'{"prompt": "a", "max_tokens": 2, "prompt": "b"}', "prompt", "once"),
    "duplicate key within": Hostile(
        b'{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "messages.0.content", "once", CHAT
    ),
    "duplicate key behind an escape": Hostile(b'{"prompt": "a", "p\\u0072ompt": "b"}', "prompt", "once"),
    "duplicate key of a schema": Hostile(raw_schema('{"type":"string","type":"integer"}'), f"{IN_BODY}.type", "once"),
    "duplicate key in a string": Hostile(text_schema('{"type":"string","type":"integer"}'), IN_TEXT, "duplicate key"),
    "duplicate of what is duplicated": Hostile(b'{"a": {"b": 1, "b": 2}, "a": 3}', "a", "once"),
    "NaN": Hostile(b'{"prompt": "x", "temperature": NaN}', None, "JSON"),
    "infinity": Hostile(b'{"prompt": "x", "temperature": -Infinity}', None, "JSON"),
    "overflowing number": Hostile(b'{"prompt": "x", "temperature": 1e999}', "temperature", "temperature"),
    "NaN in a schema": Hostile(raw_schema('{"minimum":NaN}'), None, "JSON"),
    "NaN in a string": Hostile(text_schema('{"minimum":NaN}'), IN_TEXT, "NaN"),
    "overflowing number in a schema": Hostile(raw_schema('{"maximum":1e999}'), IN_BODY, "number"),
    "integer of 10^4 digits": Hostile(b'{"prompt": "x", "seed": ' + b"9" * 10_000 + b"}", None, "number"),
    "integer of 4,300 digits": Hostile(b'{"prompt": "x", "seed": -' + b"9" * 4_300 + b"}", "seed", "seed"),
    "not UTF-8": Hostile(b'{"prompt": "\xff\xfe"}', None, "JSON"),
    "overlong UTF-8": Hostile(b'{"prompt": "\xc0\xaf"}', None, "JSON"),
    "UTF-16": Hostile('{"prompt": "x"}'.encode("utf-16"), None, "JSON"),
    "cut character": Hostile('{"prompt": "ä'.encode()[:-1] + b'"}', None, "JSON"),
    "lone surrogate": Hostile(b'{"prompt": "\\ud800"}', None, "JSON"),
    "prompt of 10^6 tokens": Hostile(body(prompt="a " * MANY), "prompt", "context"),
    "prompt of 10^6 token ids": Hostile(body(prompt=[1] * MANY), "prompt", "context"),
    "prompt of 10^6 wrong token ids": Hostile(body(prompt=["x", *[1] * MANY]), "prompt", "expected"),
    "10^6 prompts": Hostile(body(prompt=[""] * MANY), "prompt", "one to 64 prompts"),
    "message of 10^6 tokens": Hostile(conversation("a " * MANY, 1), "messages", "context", CHAT),
    "conversation of 10^6 tokens": Hostile(conversation("a " * 1_000, 1_000), "messages", "context", CHAT),
    "conversation of 10^5 turns": Hostile(conversation("", 100_000), "messages", "1024", CHAT),
    "text of 10^6 tokens to tokenise": Hostile(json.dumps({"prompt": "a " * MANY}).encode(), "prompt", "context", "/tokenize"),
    "10^6 tokens to detokenise": Hostile(json.dumps({"tokens": [1] * MANY}).encode(), "tokens", "context", "/detokenize"),
    "prompts of 10^6 wrong token ids": Hostile(body(prompt=[[{}] * MANY]), "prompt", "expected"),
    "10^6 wrong tokens to detokenise": Hostile(
        json.dumps({"tokens": [{}] * MANY}).encode(), "tokens.0", "integer", "/detokenize"
    ),
    "10^6 wrong stop strings": Hostile(body(stop=[1] * MANY), "stop", "string"),
    "10^6 wrong messages": Hostile(json.dumps({"messages": [1] * MANY}).encode(), "messages", "expected", CHAT),
    "10^6 wrong parts of a message": Hostile(
        json.dumps({"messages": [{"role": "user", "content": [1] * MANY}]}).encode(), "messages.0.content", "expected", CHAT
    ),
    "10^6 wrong tools": Hostile(
        json.dumps({"messages": [{"role": "user", "content": "x"}], "tools": [1] * MANY}).encode(), "tools", "expected", CHAT
    ),
    "10^6 wrong items": Hostile(json.dumps({"input": [1] * MANY}).encode(), "input", "expected", RESPONSES),
    "10^6 wrong parts of an item": Hostile(
        json.dumps({"input": [{"role": "user", "content": [1] * MANY}]}).encode(), "input.0.content", "expected", RESPONSES
    ),
    "10^6 wrong flat tools": Hostile(json.dumps({"input": "x", "tools": [1] * MANY}).encode(), "tools", "expected", RESPONSES),
    "10^5 wrong entries of metadata": Hostile(
        json.dumps({"input": "x", "metadata": {str(i): i for i in range(100_000)}}).encode(), "metadata", "16", RESPONSES
    ),
    "10^6 wrong messages to judge": Hostile(
        json.dumps({"input": [1] * MANY, "questions": [{"type": "predicate", "instructions": "x"}]}).encode(),
        "input",
        "expected",
        DECISIONS,
    ),
    "10^6 wrong questions": Hostile(
        json.dumps({"input": "x", "questions": [1] * MANY}).encode(), "questions", "expected", DECISIONS
    ),
    "10^6 wrong options": Hostile(
        json.dumps({"input": "x", "questions": [{"type": "choice", "instructions": "x", "choices": [1] * MANY}]}).encode(),
        "questions.0.choices",
        "expected",
        DECISIONS,
    ),
    "10^6 wrong choices": Hostile(body(structured_outputs={"choice": [1] * MANY}), "structured_outputs.choice.0", "string"),
    "model with a long name": Hostile(json.dumps({"model": "x" * MANY, "prompt": "x"}).encode(), "model", "256", "/tokenize"),
    "duplicate key with a long name": Hostile(b'{"' + b"x" * MANY + b'": 1, "' + b"x" * MANY + b'": 2}', "xxx", "once"),
    "10^5 stop strings": Hostile(body(stop=["x"] * 100_000), "stop", "at most 16"),
    "10^5 unknown fields": Hostile(body(**{f"field{i}": 1 for i in range(100_000)}), "field0", "unknown field"),
    "field with a long name": Hostile(body(**{"x" * MANY: 1}), "xxx", "unknown field"),
    "value of a long text": Hostile(body(temperature="x" * MANY), "temperature", "number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_request_is_refused_within_bounds(hostile: RunningServer, name: str) -> None:
    case = REFUSED[name]
    with httpx.Client(base_url=hostile.url, timeout=60, trust_env=False) as http:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        reply = http.post(case.path, content=case.body, headers={"Content-Type": "application/json"})
        assert time.monotonic() - start < SECONDS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
        assert reply.status_code == 400, reply.text[:500]
        error = reply.json()["error"]
        assert set(error) == {"message", "type", "param", "code", "error_class", "severity", "recovery"}
        assert (error["param"] or "").startswith(case.param) if case.param else error["param"] is None, error
        assert case.message in error["message"]
        assert len(reply.content) < 4_096
        assert http.get("/health").status_code == 200
    hostile.wait_until_idle()


ANSWERED: dict[str, bytes] = {
    "exponential alternation": body(structured_outputs={"regex": "(a|a|aa|aaa)*b"}),
    "nested stars": body(structured_outputs={"regex": "(((a*)*)*)*b"}),
    "late decision": body(structured_outputs={"regex": "(a|b)*a(a|b){60}"}),
    "recursion with a way out": raw_schema('{"type":"array","items":{"$ref":"#"}}'),
    "a thousand values": raw_schema(json.dumps({"enum": [f"value {index}" for index in range(1_000)]})),
    "numbers of many digits": b'{"prompt": "x", "max_tokens": 2, "temperature": 0.' + b"3" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_within_the_limits_is_answered_within_bounds(hostile: RunningServer, name: str) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with httpx.Client(base_url=hostile.url, timeout=60, trust_env=False) as http:
        reply = http.post(COMPLETIONS, content=ANSWERED[name], headers={"Content-Type": "application/json"})
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
    assert reply.status_code == 200, reply.text[:500]


def _lists(schema: Any) -> Iterator[dict[str, Any]]:
    """Every list of a model's core schema that can hold a wrong element."""
    if isinstance(schema, dict):
        if schema.get("type") == "list" and schema.get("items_schema", {"type": "any"})["type"] != "any":
            yield schema
        for inner in schema.values():
            yield from _lists(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _lists(inner)


def test_every_list_of_a_request_ends_at_its_first_wrong_element() -> None:
    """Else a million wrong elements are a million errors, which take minutes to make."""
    models, found = [RequestModel], []
    while models:
        model = models.pop()
        models += model.__subclasses__()
        found += [(model.__name__, each.get("fail_fast")) for each in _lists(model.__pydantic_core_schema__)]
    assert len(found) > 5
    assert [name for name, ends in found if not ends] == []


@pytest.mark.parametrize(
    "plan",
    [
        "\n".join(f's{i}=list(path="docs")' for i in range(100_000)),
        {"version": 1, "steps": [{"id": f"s{i}", "skill": "list", "args": {"path": "."}} for i in range(40_000)]},
        {"version": 1, "steps": [{"id": "s1", "skill": "x" * MANY, "args": {"y" * MANY: "z" * MANY}}]},
        "(" * MANY,
        [1] * MANY,
    ],
    ids=["text of 10^5 steps", "40,000 steps", "long names", "brackets", "list"],
)
def test_a_hostile_plan_is_judged_within_bounds(hostile: RunningServer, plan: Any) -> None:
    content = json.dumps({"domain": "repo_assistant", "plan": plan}).encode()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with httpx.Client(base_url=hostile.url, timeout=60, trust_env=False) as http:
        reply = http.post("/v1/plans/check", content=content, headers={"Content-Type": "application/json"})
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
    assert reply.status_code == 200, reply.text[:500]
    assert reply.json()["accepted"] is False
    assert len(reply.content) < 100_000


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
@pytest.mark.parametrize("place", ["{}", '{{"properties": {{"a": {}}}}}'])
def test_a_remote_schema_is_never_fetched(hostile: RunningServer, keyword: str, place: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        schema = place.format(json.dumps({keyword: url}))
        with httpx.Client(base_url=hostile.url, timeout=60, trust_env=False) as http:
            reply = http.post(COMPLETIONS, content=raw_schema(schema), headers={"Content-Type": "application/json"})
        with pytest.raises(TimeoutError):
            listener.accept()
    if keyword != "$id":  # an identifier is a name, not a place
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["param"].startswith(IN_BODY)


def test_a_body_of_50_mb_is_refused_before_it_is_sent(hostile: RunningServer) -> None:
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n"
    port = int(hostile.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(head.encode())
        reply = HTTPResponse(connection)
        reply.begin()
        text = reply.read()
    assert reply.status == 413
    assert b"body_too_large" in text


def test_a_body_of_50_mb_of_unknown_length_is_refused_and_not_kept(hostile: RunningServer) -> None:
    """Read to its end, so that a client that sends first and reads later learns why, but not kept."""
    chunk = b" " * 65536
    with httpx.Client(base_url=hostile.url, timeout=60, trust_env=False) as http:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        chunks = (chunk for _ in range(50_000_000 // len(chunk)))
        reply = http.post(COMPLETIONS, content=chunks, headers={"Content-Type": "application/json"})
        assert time.monotonic() - start < SECONDS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
