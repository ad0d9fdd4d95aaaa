"""Every bad input gets an error in OpenAI's shape that names the field; the server goes on."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2, **more}


def schema_format(schema: dict[str, Any] | None) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def completion(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": "hello", "max_tokens": 2, **more}


def refused(reply: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "error_class", "severity", "recovery"}
    assert error["message"]
    return error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "list", "null", "surrogate", "not-utf8", "deep"],
)
def test_bodies_that_are_no_json_object(http: httpx.Client, body: bytes) -> None:
    reply = http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert "JSON" in refused(reply)["message"]


def test_a_body_must_say_that_it_is_json(http: httpx.Client) -> None:
    reply = http.post(CHAT, content=json.dumps(chat()), headers={"Content-Type": "text/plain"})
    assert refused(reply)["param"] == "Content-Type"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"temperature_schedule": 5}, "expected an object with start, end and tokens, or the name of a domain, got 5"),
        ({"temperature_schedule": ""}, 'expected an object with start, end and tokens, or the name of a domain, got ""'),
        ({"builderbrain": True}, "expected a JSON object, got true"),
        ({"messages": []}, "expected at least 1 item, got []"),
    ],
)
def test_messages_speak_of_json_and_not_of_classes(http: httpx.Client, more: dict[str, Any], words: str) -> None:
    assert refused(http.post(CHAT, json=chat(**more)))["message"] == f"{next(iter(more))}: {words}"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (CHAT, chat(max_tokens=2.5), "max_tokens"),
        (CHAT, chat(max_tokens=2.0), "max_tokens"),
        (CHAT, chat(max_tokens=0), "max_tokens"),
        (CHAT, chat(max_tokens=-1), "max_tokens"),
        (CHAT, chat(max_tokens="2"), "max_tokens"),
        (CHAT, chat(max_tokens=True), "max_tokens"),
        (CHAT, chat(max_tokens=10**30), "max_tokens"),
        (CHAT, chat(temperature="hot"), "temperature"),
        (CHAT, chat(temperature=2.1), "temperature"),
        (CHAT, chat(top_p=0), "top_p"),
        (CHAT, chat(top_p=1e-300), "top_p"),
        (CHAT, chat(repetition_penalty=1e-300), "repetition_penalty"),
        (CHAT, chat(n=0), "n"),
        (CHAT, chat(n=100_000), "n"),
        (CHAT, chat(seed=1 << 63), "seed"),
        (CHAT, chat(stop=["a"] * 17), "stop"),
        (CHAT, chat(stop=[""]), "stop.0"),
        (CHAT, chat(stop=""), "stop"),
        (CHAT, chat(stop=[7]), "stop.0"),
        (CHAT, chat(stream="yes"), "stream"),
        (CHAT, chat(stream_options={"include_usage": True}), "stream_options"),
        (CHAT, chat(top_logprobs=2), "top_logprobs"),
        (CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs"),
        (CHAT, chat(messages=[]), "messages"),
        (CHAT, chat(messages="hello"), "messages"),
        (CHAT, chat(messages=[{"role": "user"}]), "messages.0.content"),
        (CHAT, chat(messages=[{"role": "wizard", "content": "x"}]), "messages.0.role"),
        (
            CHAT,
            chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
            "messages.0.content.0.image_url",
        ),
        (CHAT, chat(messages=[{"role": "user", "content": "x", "colour": 1}]), "messages.0.colour"),
        (CHAT, chat(messages=[{"role": "user", "content": None}]), "messages.0.content"),
        (CHAT, chat(tool_choice="required"), "tool_choice"),
        (CHAT, chat(modalities=["audio"]), "modalities"),
        (CHAT, {"model": "tiny"}, "messages"),
        (CHAT, chat(model=7), "model"),
        (CHAT, chat(response_format={"type": "xml"}), "response_format.type"),
        (CHAT, chat(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (
            CHAT,
            chat(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
            "response_format.json_schema.schema",
        ),
        (CHAT, chat(structured_outputs={}), "structured_outputs"),
        (CHAT, chat(structured_outputs={"json": {}, "regex": "a"}), "structured_outputs"),
        (CHAT, chat(structured_outputs={"regex": "a"}, response_format={"type": "json_object"}), "structured_outputs"),
        (CHAT, chat(tools=[{"type": "function"}]), "tools"),
        (CHAT, chat(tools=[{"type": "custom", "custom": {"name": "x"}}]), "tools.0.type"),
        (CHAT, chat(chat_template="{{ 1 }}"), "chat_template"),
        (CHAT, chat(logit_bias={"5": 101}), "logit_bias"),
        (CHAT, chat(logit_bias={"five": 1}), "logit_bias"),
        (CHAT, chat(logit_bias={"05": 1}), "logit_bias"),
        (CHAT, chat(logit_bias={"5": True}), "logit_bias"),
        (CHAT, chat(logit_bias={"999999999": 1}), "logit_bias"),
        (CHAT, chat(logit_bias={str(token): "x" for token in range(2000)}), "logit_bias"),
        (CHAT, chat(stop_token_ids=[999999999]), "stop_token_ids"),
        (CHAT, chat(stop_token_ids=[1] * 200), "stop_token_ids"),
        (CHAT, chat(stop_token_ids=[-1]), "stop_token_ids.0"),
        (CHAT, chat(min_tokens=3), "min_tokens"),
        (CHAT, chat(min_tokens=3, stream=True), "min_tokens"),
        (CHAT, chat(ignore_eos=True, response_format={"type": "json_object"}), "ignore_eos"),
        (CHAT, chat(temperature_schedule={"start": 1.2, "end": 0.7, "tokens": 64}, temperature=1.0), "temperature_schedule"),
        (CHAT, chat(temperature_schedule={"start": 2.5, "end": 0.7, "tokens": 64}), "temperature_schedule.start"),
        (CHAT, chat(temperature_schedule={"start": 1.2, "end": 0.7}), "temperature_schedule.tokens"),
        (CHAT, chat(temperature_schedule={"start": 1, "end": 1, "tokens": 9, "shape": "round"}), "temperature_schedule.shape"),
        (CHAT, chat(temperature_schedule="kitchen"), "temperature_schedule"),
        (CHAT, chat(structured_outputs={"regex": "a", "energy_scale": 4.0}), "structured_outputs.energy_scale"),
        (
            CHAT,
            chat(structured_outputs={"regex": "a", "enforcement": "soft", "energy_scale": -1.0}),
            "structured_outputs.energy_scale",
        ),
        (CHAT, chat(structured_outputs={"regex": "a", "enforcement": "lax"}), "structured_outputs.enforcement"),
        (CHAT, chat(structured_outputs={"enforcement": "soft"}), "structured_outputs"),
        (COMPLETIONS, completion(prompt=[]), "prompt"),
        (COMPLETIONS, completion(prompt=""), "prompt"),
        (COMPLETIONS, completion(prompt=["x"] * 65), "prompt"),
        (COMPLETIONS, completion(prompt=[-1]), "prompt"),
        (COMPLETIONS, completion(prompt=[10**9]), "prompt"),
        (COMPLETIONS, completion(prompt=[1 << 80]), "prompt"),
        (COMPLETIONS, completion(logprobs=21), "logprobs"),
        (COMPLETIONS, completion(max_tokens=0), "max_tokens"),
        (COMPLETIONS, completion(prompt=["x"] * 10, n=16), "n"),
        (COMPLETIONS, completion(suffix="x"), "suffix"),
        ("/tokenize", {}, "prompt"),
        ("/detokenize", {"tokens": [10**9]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens.0"),
        ("/v1/plans/check", {"domain": "kitchen", "plan": {}}, "domain"),
        ("/v1/plans/check", {"domain": "repo_assistant"}, "plan"),
    ],
)
def test_a_bad_field_is_named(http: httpx.Client, path: str, body: dict[str, Any], field: str) -> None:
    error = refused(http.post(path, json=body))
    assert (error["param"] or "").startswith(field), error
    assert field.split(".")[0] in error["message"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("temprature", "temperature"), ("max_token", "max_tokens"), ("responseformat", "response_format")]
)
def test_an_unknown_field_is_refused_and_the_nearest_named(http: httpx.Client, name: str, nearest: str) -> None:
    error = refused(http.post(CHAT, json=chat(**{name: 1})))
    assert error["param"] == name
    assert f"did you mean {nearest}?" in error["message"]


@pytest.mark.parametrize(
    "name",
    ["guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend", "guided_whitespace_pattern"],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_removed_constraint_fields_name_their_replacement(http: httpx.Client, path: str, name: str) -> None:
    body = chat() if path == CHAT else completion()
    error = refused(http.post(path, json={**body, name: None}))
    assert error["param"] == name
    assert "structured_outputs" in error["message"] or "response_format" in error["message"]


def test_fields_without_effect_and_neutral_ones_pass(http: httpx.Client) -> None:
    reply = http.post(CHAT, json=chat(user="me", metadata={"a": "b"}, tools=[], logit_bias=None, store=False))
    assert reply.status_code == 200, reply.text


def test_what_clients_send_without_asking_for_anything_passes(http: httpx.Client) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None}, {"role": "user", "content": "go"}]
    reply = http.post(CHAT, json=chat(tool_choice="none", modalities=["text"], messages=turns))
    assert reply.status_code == 200, reply.text


def _deep(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        _deep(45),
        {"enum": [f"v{i}" for i in range(100_000)]},
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5_000)}},
        {"$ref": "https://example.com/schema.json"},
        {"type": "string", "minLength": 100_000},
        {"type": "string", "pattern": "(a{1,1000}){1,1000}"},
        {"type": "nonsense"},
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
    ids=["deep", "enum", "properties", "remote", "length", "repetition", "type", "self-reference", "endless"],
)
def test_hostile_schemas_are_refused_and_placed(http: httpx.Client, schema: dict[str, Any]) -> None:
    error = refused(
        http.post(CHAT, json=chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}))
    )
    assert error["param"].startswith("response_format.json_schema.schema")
    assert error["code"] in ("grammar_limit", "grammar_refused")
    assert http.post(CHAT, json=chat()).status_code == 200


def test_grammars_from_clients_are_off(http: httpx.Client) -> None:
    error = refused(http.post(CHAT, json=chat(structured_outputs={"grammar": 'root ::= "a"'})))
    assert error["param"] == "structured_outputs.grammar"
    assert "--enable-client-grammars" in error["message"]


def test_a_stream_shows_nothing_that_the_validator_refuses(http: httpx.Client) -> None:
    """The mask does not know `multipleOf`: whole texts are tried, and the first good one is streamed, or none."""
    schema = {"type": "integer", "minimum": 0, "maximum": 9999, "multipleOf": 2}
    seen = set()
    for seed in range(12):
        body = chat(max_tokens=8, stream=True, seed=seed, response_format=schema_format(schema))
        reply = http.post(CHAT, json=body)
        seen.add(reply.status_code)
        if reply.status_code != 200:
            error = refused(reply, 422)
            assert (error["code"], error["param"]) == ("constraint_violated", "/multipleOf")
            continue
        *chunks, end = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
        assert end == "[DONE]"
        choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
        assert sum(bool(choice["delta"].get("content")) for choice in choices) >= 1
        text = "".join(choice["delta"].get("content", "") for choice in choices)
        assert choices[-1]["finish_reason"] == "length" or int(text) % 2 == 0
    assert 200 in seen


def test_a_stream_that_no_text_can_satisfy_is_refused_before_its_first_byte(http: httpx.Client) -> None:
    schema = {"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}
    reply = http.post(CHAT, json=chat(max_tokens=8, stream=True, response_format=schema_format(schema)))
    assert refused(reply, 422)["param"] == "/multipleOf"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, chat(structured_outputs={"regex": "[ab]{2}x"}), "structured_outputs"),
        (CHAT, chat(response_format=schema_format({"const": "axb"})), "response_format"),
        (COMPLETIONS, completion(structured_outputs={"regex": "[ab]{2}x"}), "structured_outputs"),
    ],
)
def test_a_constraint_that_leaves_no_token_is_named(http: httpx.Client, path: str, body: dict[str, Any], param: str) -> None:
    """The stop string forbids what the constraint asks for."""
    asked = {**body, "max_tokens": 20, "stop": ["x"]}
    error = refused(http.post(path, json=asked), 422)
    assert (error["code"], error["param"]) == ("mask_empty", param)
    assert error["message"].startswith(f"{param}: expected a legal next token")
    *_, last = [line for line in http.post(path, json={**asked, "stream": True}).text.splitlines() if '"error"' in line]
    assert json.loads(last.removeprefix("data: "))["error"] == error


def test_a_huge_body_is_413_whether_declared_or_streamed(http: httpx.Client) -> None:
    big = b'{"model": "' + b"x" * (5 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}
    assert refused(http.post(CHAT, content=big, headers=headers), 413)["code"] == "body_too_large"
    chunks = (big[start : start + 65536] for start in range(0, len(big), 65536))
    assert refused(http.post(CHAT, content=chunks, headers=headers), 413)["code"] == "body_too_large"


def test_unknown_routes_and_methods_have_the_same_shape(http: httpx.Client) -> None:
    assert refused(http.get("/v1/nothing"), 404)["code"] == "no_such_route"
    error = refused(http.get(CHAT), 405)
    assert error["code"] == "no_such_route"
    assert error["message"].endswith("use POST")


def test_special_tokens_in_user_text_stay_text(http: httpx.Client) -> None:
    reply = http.post("/tokenize", json={"messages": [{"role": "user", "content": "<|end|>"}]}).json()
    assert 0 not in reply["tokens"]
    assert "<|end|>" in http.post("/detokenize", json={"tokens": reply["tokens"]}).json()["prompt"]
