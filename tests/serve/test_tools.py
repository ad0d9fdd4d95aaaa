"""Tool calls in chat completions: well formed and valid in every mode, plain and streamed alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator

from tests.serve.running import RunningServer
from tests.serve.tooling import CLOCK, FREE, SCRIPTS, SEARCH, call, tool_server

CHAT = "/v1/chat/completions"
TOOLS = [SEARCH, CLOCK, FREE]
QUESTION = [{"role": "user", "content": "where is it?"}]
ARGUMENTS = {"text": 'é"}{<\U0001f7df', "most": 3}
NAMED = {"type": "function", "function": {"name": "search"}}
SCHEMAS = {
    "search": SEARCH["function"]["parameters"],
    "clock": {"type": "object", "properties": {}, "additionalProperties": False},
    "free-form": {"type": "object"},
}


@pytest.fixture(scope="module")
def tools() -> Iterator[RunningServer]:
    with tool_server(
        unstopped=call("search", '{"text":"a"}') + "\nand so on",
        wrong=call("search", '{"text": 1, "more": true}'),
        other=call("clock", "{}"),
    ) as started:
        yield started


@pytest.fixture(scope="module")
def client(tools: RunningServer) -> Iterator[openai.OpenAI]:
    with tools.client() as made:
        yield made


@pytest.fixture(scope="module")
def http(tools: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tools.url, timeout=60, trust_env=False) as made:
        yield made


def asked(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": QUESTION, "tools": TOOLS, "temperature": 0, "max_tokens": 400, **more}


def calls_of(message: Any) -> list[tuple[str, Any]]:
    return [(each.function.name, json.loads(each.function.arguments)) for each in message.tool_calls or ()]


Streamed = tuple[str | None, list[tuple[str, str]], str | None]


def streamed(client: openai.OpenAI, index: int = 0, **body: Any) -> Streamed:
    """Content, calls and finish reason of a stream, with the rules of deltas checked on the way."""
    content, calls, finish = None, [], None
    for chunk in client.chat.completions.create(**body, stream=True):
        for choice in chunk.choices:
            if choice.index != index:
                continue
            assert finish is None
            finish = choice.finish_reason
            if choice.delta.content is not None:
                content = (content or "") + choice.delta.content
            for piece in choice.delta.tool_calls or ():
                if piece.index == len(calls):
                    assert piece.id.startswith("call_")
                    assert piece.type == "function"
                    calls.append([piece.function.name, ""])
                else:
                    assert piece.index == len(calls) - 1, "calls come one after the other"
                    assert (piece.id, piece.type, piece.function.name) == (None, None, None)
                calls[-1][1] += piece.function.arguments
    return content, [(name, arguments) for name, arguments in calls], finish


@pytest.mark.parametrize(
    ("model", "content", "names"),
    [
        ("words", SCRIPTS["words"], []),
        ("call", None, ["search"]),
        ("text-then-call", "Let me look.", ["search"]),
        ("two", None, ["search", "clock"]),
        ("text-then-two", "Só:", ["clock", "search"]),
        ("almost", "a <tool_cal", []),
        ("spaces", "  \n", []),
    ],
)
def test_the_model_decides_between_text_and_calls(
    client: openai.OpenAI, model: str, content: str | None, names: list[str]
) -> None:
    reply = client.chat.completions.create(**asked(model))
    choice = reply.choices[0]
    assert choice.message.content == content
    assert calls_of(choice.message) == [(name, ARGUMENTS if name == "search" else {}) for name in names]
    assert choice.finish_reason == ("tool_calls" if names else "stop")
    assert reply.builderbrain["constraint"]["kind"] == "structural_tag"
    assert reply.builderbrain["constraint"]["valid"] is True
    said = [(each.function.name, each.function.arguments) for each in choice.message.tool_calls or ()]
    assert streamed(client, **asked(model)) == (content, said, choice.finish_reason)
    ids = [each.id for each in choice.message.tool_calls or ()]
    assert len(set(ids)) == len(ids)


def test_one_call_where_parallel_calls_are_off(client: openai.OpenAI) -> None:
    for choice, content in (("auto", "Só:"), ("required", None)):
        body = asked("text-then-two" if choice == "auto" else "two", tool_choice=choice, parallel_tool_calls=False)
        message = client.chat.completions.create(**body).choices[0].message
        assert message.content == content
        assert [name for name, _ in calls_of(message)] == ["clock" if choice == "auto" else "search"]


def test_text_cannot_follow_a_call(client: openai.OpenAI) -> None:
    message = client.chat.completions.create(**asked("unstopped", max_tokens=60)).choices[0].message
    assert message.content is None
    assert calls_of(message)[0] == ("search", {"text": "a"})


def test_none_gives_text_alone(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(**asked("call", tool_choice="none"))
    assert reply.choices[0].message.content == SCRIPTS["call"]
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].finish_reason == "stop"
    assert reply.builderbrain["constraint"] is None


def test_a_named_function_is_called_once_whatever_the_model_wants(client: openai.OpenAI) -> None:
    for model in ("random", "words", "two", "other"):
        body = asked(model, tool_choice=NAMED, temperature=1.5, seed=3)
        choice = client.chat.completions.create(**body).choices[0]
        assert [name for name, _ in calls_of(choice.message)] == ["search"]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None


def test_allowed_tools_narrow_what_may_be_called(client: openai.OpenAI) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "clock"}}]}
    body = asked("two", tool_choice={"type": "allowed_tools", "allowed_tools": allowed}, parallel_tool_calls=False)
    assert calls_of(client.chat.completions.create(**body).choices[0].message) == [("clock", {})]


def test_arguments_are_held_to_the_schema_against_the_models_will(client: openai.OpenAI) -> None:
    choice = client.chat.completions.create(**asked("wrong", tool_choice="required", parallel_tool_calls=False)).choices[0]
    for name, arguments in calls_of(choice.message):
        Draft202012Validator(SCHEMAS[name]).validate(arguments)


@pytest.mark.parametrize("mode", ["required", "auto", "named"])
def test_a_hundred_random_outputs_are_valid_and_streams_say_the_same(client: openai.OpenAI, mode: str) -> None:
    total = 0
    for seed in range(0, 34, 2):
        choice = NAMED if mode == "named" else mode
        model = "begun" if mode == "auto" else "random"
        body = asked(model, tool_choice=choice, temperature=2, seed=seed, n=2, max_tokens=120)
        reply = client.chat.completions.create(**body)
        for index, found in enumerate(reply.choices):
            for name, arguments in calls_of(found.message):
                Draft202012Validator(SCHEMAS[name]).validate(arguments)
                total += 1
            assert found.finish_reason in ("tool_calls", "length")
            if seed % 8:
                continue
            said = [(each.function.name, each.function.arguments) for each in found.message.tool_calls or ()]
            content, calls, finish = streamed(client, index, **body)
            assert (content, finish) == (found.message.content, found.finish_reason)
            assert calls == said or (finish == "length" and calls[:-1] == said)
    assert total >= 25


def test_a_cut_call_is_not_presented_as_a_whole_one(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**asked("two"))
    for most in range(1, whole.usage.completion_tokens, 4):
        body = asked("two", max_tokens=most)
        choice = client.chat.completions.create(**body).choices[0]
        assert choice.finish_reason == "length"
        assert calls_of(choice.message) == calls_of(whole.choices[0].message)[: len(choice.message.tool_calls or ())]
        if most % 5 == 0:
            content, _, finish = streamed(client, **body)
            assert (content, finish) == (choice.message.content, "length")


def test_what_only_the_validator_knows_is_held_back_and_never_shown_when_wrong(client: openai.OpenAI) -> None:
    unique = {
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3}},
    }
    function = {"name": "f", "parameters": {**unique, "required": ["list"], "additionalProperties": False}}
    shown = refused = 0
    for seed in range(10):
        body = asked("random", tools=[{"type": "function", "function": function}], tool_choice="required", temperature=2)
        body |= {"seed": seed, "max_tokens": 120, "parallel_tool_calls": False}
        try:
            content, calls, _ = streamed(client, **body)
        except openai.UnprocessableEntityError as error:
            refused += error.param == "tools.0.function.parameters/properties/list/uniqueItems"
            continue
        assert content is None
        for _, arguments in calls:
            items = json.loads(arguments)["list"]
            assert len(set(items)) == len(items) >= 3
            shown += 1
    assert shown > 0
    assert refused > 0


def test_logprobs_and_usage_count_every_token(client: openai.OpenAI) -> None:
    body = asked("text-then-call", logprobs=True, top_logprobs=1)
    reply = client.chat.completions.create(**body)
    entries = reply.choices[0].logprobs.content
    assert len(entries) == reply.usage.completion_tokens
    assert "".join(entry.token for entry in entries if entry.bytes).startswith("Let me look.")
    chunks = list(client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))
    streamed_entries = [entry for chunk in chunks for choice in chunk.choices for entry in (choice.logprobs or _NONE).content]
    assert [entry.token for entry in streamed_entries] == [entry.token for entry in entries]
    assert chunks[-1].usage == reply.usage


class _NONE:
    content: tuple[Any, ...] = ()


def test_the_official_helper_reads_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(**asked("text-then-two")) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == "Só:"
    assert calls_of(message) == [("clock", {}), ("search", ARGUMENTS)]


def test_calls_and_results_become_turns(http: httpx.Client, client: openai.OpenAI) -> None:
    first = client.chat.completions.create(**asked("two"))
    said = first.choices[0].message
    turns = [
        {"role": "system", "content": "be brief"},
        *QUESTION,
        said.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}),
        {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "found é"},
        {"role": "tool", "tool_call_id": said.tool_calls[1].id, "content": [{"type": "text", "text": "noon"}]},
    ]
    assert client.chat.completions.create(**asked("words", messages=turns)).choices[0].message.content == SCRIPTS["words"]
    tokens = http.post("/tokenize", json={"messages": turns}).json()["tokens"]
    assert http.post("/detokenize", json={"tokens": tokens}).json()["prompt"] == (
        f"System: be brief\nUser: where is it?\nAssistant: {SCRIPTS['two']}\n"
        "User: <tool_response>\nfound é\n</tool_response>\n<tool_response>\nnoon\n</tool_response>\nAssistant:"
    )


def test_a_prompt_with_tools_can_be_counted(http: httpx.Client, client: openai.OpenAI) -> None:
    counted = http.post("/tokenize", json={"messages": QUESTION, "tools": TOOLS}).json()
    assert counted["count"] == client.chat.completions.create(**asked("words")).usage.prompt_tokens
    text = http.post("/detokenize", json={"tokens": counted["tokens"]}).json()["prompt"]
    assert '"name": "search", "description": "Find text.", "parameters": {"type": "object"' in text
    assert http.post("/tokenize", json={"prompt": "x", "tools": TOOLS}).json()["error"]["param"] == "tools"


def past(arguments: str = "{}", answers: str = "c") -> list[dict[str, Any]]:
    made = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [{"role": "assistant", "tool_calls": [made]}, {"role": "tool", "tool_call_id": answers, "content": "x"}]


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **fields}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tools": [CLOCK, {"type": "function"}]}, "tools.1.function"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [CLOCK, SEARCH, CLOCK]}, "tools.2.function.name"),
        ({"tools": [function(name="a b")]}, "tools.0.function.name"),
        ({"tools": [function(name="")]}, "tools.0.function.name"),
        ({"tools": [function(name="x" * 65)]}, "tools.0.function.name"),
        ({"tools": [function(name="é")]}, "tools.0.function.name"),
        ({"tools": [function(schema={})]}, "tools.0.function.schema"),
        ({"tools": [function(strict="yes")]}, "tools.0.function.strict"),
        ({"tools": [function(name=f"f{index}") for index in range(129)]}, "tools"),
        ({"tools": [CLOCK, function(parameters={"type": "string"})]}, "tools.1.function.parameters/type"),
        ({"tools": [CLOCK, function(parameters=False)]}, "tools.1.function.parameters"),
        ({"tools": [CLOCK, function(parameters={"type": "no"})]}, "tools.1.function.parameters/type"),
        (
            {"tools": [CLOCK, function(parameters={"properties": {"a": {"format": "colour"}}})]},
            "tools.1.function.parameters/properties/a/format",
        ),
        (
            {"tools": [CLOCK, function(parameters={"properties": {"a": {"enum": list(range(2000))}}})]},
            "tools.1.function.parameters/properties/a/enum",
        ),
        ({"tools": [function(parameters={"$ref": "https://example.com/x"})]}, "tools.0.function.parameters/$ref"),
        ({"tool_choice": {"type": "function", "function": {"name": "missing"}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "name": "search"}}, "tool_choice.name"),
        ({"tool_choice": "any"}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            "tool_choice.allowed_tools.tools",
        ),
        ({"tools": None, "tool_choice": "required"}, "tool_choice"),
        ({"tools": [], "tool_choice": NAMED}, "tool_choice.function.name"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "user", "content": "x", "tool_call_id": "c"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": past()[0]["tool_calls"]}]}, "messages.0.tool_calls"),
        ({"messages": past(answers="other")}, "messages.1.tool_call_id"),
        ({"messages": past("{")}, "messages.0.tool_calls.0.function.arguments"),
        ({"messages": past("[]")}, "messages.0.tool_calls.0.function.arguments"),
    ],
)
def test_a_bad_field_is_named(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    reply = http.post(CHAT, json={**asked("words"), **body})
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == field, error
    assert field in error["message"]


def test_a_refused_schema_says_how_to_do_without(http: httpx.Client) -> None:
    tool = function(parameters={"properties": {"a": {"format": "colour"}}})
    refused = http.post(CHAT, json=asked("words", tools=[tool])).json()["error"]
    assert "strict: false" in refused["message"]
    tool["function"]["strict"] = False
    assert http.post(CHAT, json=asked("words", tools=[tool])).status_code == 200


def test_a_stop_string_that_forbids_every_call_is_told_of_the_tools(http: httpx.Client) -> None:
    body = {"model": "random", "messages": [{"role": "user", "content": "hi"}], "tools": [CLOCK], "tool_choice": "required"}
    reply = http.post("/v1/chat/completions", json={**body, "stop": ["<tool_call>"]})
    assert reply.status_code == 422
    assert {"code": "mask_empty", "param": "tools"}.items() <= reply.json()["error"].items()


def test_empty_arguments_of_an_earlier_call_are_no_arguments(http: httpx.Client) -> None:
    assert http.post(CHAT, json=asked("words", messages=past(""))).status_code == 200


def test_structural_tags_are_served_as_formats(http: httpx.Client) -> None:
    tag = {"type": "tag", "begin": "<n>", "content": {"type": "json_schema", "json_schema": {"enum": [1, 2]}}, "end": "</n>"}
    form = {"type": "triggered_tags", "triggers": ["<n>"], "tags": [tag], "at_least_one": True, "stop_after_first": True}
    source = {"type": "structural_tag", "format": form}
    for body in (
        {"response_format": source},
        {"structured_outputs": {"structural_tag": source}},
        {"structured_outputs": {"structural_tag": json.dumps(source)}},
    ):
        reply = http.post(CHAT, json={"model": "random", "messages": QUESTION, "max_tokens": 60, "temperature": 2, **body})
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] in ("<n>1</n>", "<n>2</n>")
        assert reply.json()["builderbrain"]["constraint"]["valid"] is True
    tag["content"]["json_schema"] = {"type": "no"}
    reply = http.post(CHAT, json={"model": "random", "messages": QUESTION, "response_format": source})
    assert reply.json()["error"]["param"] == "response_format/format/tags/0/content/json_schema/type"
