"""`/v1/responses`: the official client reads replies and streams, and what is not served says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.serve.running import RunningServer
from tests.serve.tooling import SCRIPTS, SEARCH, tool_server

RESPONSES = "/v1/responses"
FLAT_SEARCH = {"type": "function", **SEARCH["function"]}
FLAT_CLOCK = {"type": "function", "name": "clock"}
ARGUMENTS = {"text": 'é"}{<\U0001f7df', "most": 3}
EVENT = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def tools() -> Iterator[RunningServer]:
    with tool_server() as started:
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
    return {"model": model, "input": "where is it?", "temperature": 0, "max_output_tokens": 400, **more}


def with_tools(model: str, **more: Any) -> dict[str, Any]:
    return asked(model, tools=[FLAT_SEARCH, FLAT_CLOCK], **more)


def plain(response: Response) -> list[tuple[Any, ...]]:
    """The items without their ids."""
    found: list[tuple[Any, ...]] = []
    for item in response.output:
        if item.type == "message":
            found.append(("message", item.status, "".join(part.text for part in item.content)))
        else:
            found.append(("call", item.status, item.name, item.arguments))
    return found


def events_of(http: httpx.Client, body: dict[str, Any]) -> list[Any]:
    """The events of a stream, as they stand on the wire, each valid against the official type."""
    reply = http.post(RESPONSES, json={**body, "stream": True})
    assert reply.status_code == 200, reply.text
    events = []
    for block in reply.text.strip().split("\n\n"):
        name, data = block.split("\n")
        parsed = json.loads(data.removeprefix("data: "))
        assert name == f"event: {parsed['type']}"
        events.append(EVENT.validate_python(parsed))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def test_text_comes_with_usage_and_provenance(client: openai.OpenAI) -> None:
    reply = client.responses.create(**asked("words", instructions="be brief", metadata={"a": "b"}))
    assert reply.output_text == SCRIPTS["words"]
    assert (reply.status, reply.error, reply.incomplete_details, reply.store) == ("completed", None, None, False)
    assert (reply.instructions, reply.metadata, reply.model) == ("be brief", {"a": "b"}, "words")
    assert reply.usage.input_tokens + reply.usage.output_tokens == reply.usage.total_tokens
    assert reply.usage.output_tokens > 0
    assert reply.weight_versions == [{"version": "script-1", "start": 0, "end": reply.usage.output_tokens}]
    assert reply.builderbrain == {"constraint": None}
    Response.model_validate(reply.model_dump())


def test_the_conversation_is_the_one_of_chat(client: openai.OpenAI) -> None:
    turns = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "where is it?"}]
    chat = client.chat.completions.create(model="random", messages=turns, max_tokens=20, seed=4, temperature=1)
    reply = client.responses.create(
        **asked("random", max_output_tokens=20, temperature=1, instructions="be brief", extra_body={"seed": 4})
    )
    assert reply.output_text == chat.choices[0].message.content
    assert reply.usage.input_tokens == chat.usage.prompt_tokens


@pytest.mark.parametrize("model", ["words", "call", "text-then-call", "two", "text-then-two", "spaces"])
def test_a_stream_builds_what_the_plain_reply_holds(client: openai.OpenAI, http: httpx.Client, model: str) -> None:
    body = with_tools(model)
    whole = client.responses.create(**body)
    names = [item.name for item in whole.output if item.type == "function_call"]
    expected = {"words": 0, "call": 1, "text-then-call": 1, "two": 2, "text-then-two": 2, "spaces": 0}[model]
    assert len(names) == expected
    events = events_of(http, body)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    assert plain(events[-1].response) == plain(whole)
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens
    texts: dict[int, str] = {}
    done = []
    for event in events[2:-1]:
        assert event.output_index == len(done), "one item after the other"
        if event.type in ("response.output_text.delta", "response.function_call_arguments.delta"):
            texts[event.output_index] = texts.get(event.output_index, "") + event.delta
        elif event.type == "response.output_text.done":
            assert event.text == texts[event.output_index]
        elif event.type == "response.function_call_arguments.done":
            assert event.arguments == texts[event.output_index]
            json.loads(event.arguments)
        elif event.type == "response.output_item.done":
            done.append(event.item)
    assert [item.id for item in done] == [item.id for item in events[-1].response.output]
    assert len({item.id for item in done}) == len(done)


def test_the_official_helper_reads_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(**with_tools("text-then-two")) as stream:
        final = stream.get_final_response()
    assert final.output_text == "Só:"
    calls = [(item.name, json.loads(item.arguments)) for item in final.output if item.type == "function_call"]
    assert calls == [("clock", {}), ("search", ARGUMENTS)]


def test_an_earlier_output_goes_back_in(client: openai.OpenAI, http: httpx.Client) -> None:
    first = client.responses.create(**with_tools("text-then-two"))
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "where is it?"}]},
        *(item.model_dump(exclude_none=True) for item in first.output),
        *(
            {"type": "function_call_output", "call_id": item.call_id, "output": f"result of {item.name}"}
            for item in first.output
            if item.type == "function_call"
        ),
    ]
    reply = client.responses.create(**asked("words", input=items))
    assert reply.output_text == SCRIPTS["words"]
    # The same conversation, as chat has it.
    said = {"role": "assistant", "content": "Só:", "tool_calls": []}
    answers = []
    for item in first.output[1:]:
        function = {"name": item.name, "arguments": item.arguments}
        said["tool_calls"].append({"id": item.call_id, "type": "function", "function": function})
        answers.append({"role": "tool", "tool_call_id": item.call_id, "content": f"result of {item.name}"})
    turns = [{"role": "user", "content": "where is it?"}, said, *answers]
    assert len(http.post("/tokenize", json={"messages": turns}).json()["tokens"]) == reply.usage.input_tokens


def test_choices_are_honoured(client: openai.OpenAI) -> None:
    for choice, names in (
        ("required", {"search", "clock"}),
        ({"type": "function", "name": "search"}, {"search"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "clock"}]}, {"clock"}),
    ):
        body = with_tools("random", tool_choice=choice, temperature=1.5, parallel_tool_calls=False, extra_body={"seed": 2})
        reply = client.responses.create(**body)
        assert [item.type for item in reply.output] == ["function_call"]
        call = reply.output[0]
        assert call.name in names
        assert reply.builderbrain["constraint"]["valid"] is True
        if call.name == "search":
            Draft202012Validator(SEARCH["function"]["parameters"]).validate(json.loads(call.arguments))
    assert client.responses.create(**with_tools("call", tool_choice="none")).output_text == SCRIPTS["call"]


def test_what_is_cut_is_incomplete(client: openai.OpenAI, http: httpx.Client) -> None:
    whole = client.responses.create(**with_tools("text-then-call"))
    for most in range(1, whole.usage.output_tokens, 7):
        body = with_tools("text-then-call", max_output_tokens=most)
        reply = client.responses.create(**body)
        assert reply.status == "incomplete"
        assert reply.incomplete_details.reason == "max_output_tokens"
        events = events_of(http, body)
        assert events[-1].type == "response.incomplete"
        assert plain(events[-1].response) == plain(reply)
        ended = [event.output_index for event in events if event.type == "response.function_call_arguments.done"]
        for index, item in enumerate(reply.output):
            if item.type == "function_call":
                assert (item.status == "completed") == (index in ended)
                assert item.status == "incomplete" or json.loads(item.arguments) == ARGUMENTS
    assert [item.status for item in whole.output] == ["completed", "completed"]


class Answer(BaseModel):
    found: bool


def test_text_formats_hold(client: openai.OpenAI) -> None:
    reply = client.responses.parse(**asked("random", text_format=Answer, temperature=2, extra_body={"seed": 1}))
    assert isinstance(reply.output_parsed, Answer)
    assert reply.builderbrain["constraint"] == {
        "kind": "json_schema",
        "engine": "llguidance",
        "exact": True,
        "valid": True,
        "declared": [],
        "enforcement": "hard",
    }
    anything = asked("random", text={"format": {"type": "json_object"}}, max_output_tokens=30, extra_body={"seed": 1})
    assert client.responses.create(**anything).output_text.startswith("{")


def test_what_fails_before_the_first_token_has_its_own_status(http: httpx.Client) -> None:
    schema = {"type": "integer", "minimum": 1, "maximum": 6, "allOf": [{"not": {"minimum": 0}}]}
    form = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    reply = http.post(RESPONSES, json=asked("random", stream=True, text=form))
    assert reply.status_code == 422, reply.text
    assert reply.json()["error"]["code"] == "constraint_violated"


def test_what_fails_later_fails_in_the_stream(http: httpx.Client) -> None:
    events = events_of(http, asked("broken"))
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "so it"
    assert "finite logits" in events[-2].message
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.message == events[-2].message


ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("body", "field", "advice"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "send the earlier items in input"),
        ({"conversation": "conv_1"}, "conversation", "send the earlier items in input"),
        ({"store": True}, "store", "send false"),
        ({"background": True}, "background", "stream it"),
        ({"truncation": "auto"}, "truncation", "send disabled"),
        ({"include": ["message.output_text.logprobs"]}, "include", "chat/completions"),
        ({"reasoning": {"effort": "high"}}, "reasoning", "remove it"),
        ({"messages": []}, "messages", "use input"),
        ({"max_tokens": 3}, "max_tokens", "use max_output_tokens"),
        ({"inputs": "x"}, "inputs", "did you mean input?"),
        ({"input": []}, "input", "1 to"),
        ({"input": 7}, "input", "expected"),
        ({"input": [{"role": "user"}]}, "input.0.content", "is required"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input.0.content.0.image_url",
            "known",
        ),
        ({"input": [{"type": "reasoning"}]}, "input.0.type", "expected"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type", "expected"),
        ({"input": [{**ITEM, "role": "user"}]}, "input.0.role", "has no place"),
        ({"input": [{**ITEM, "arguments": "[]"}]}, "input.0.arguments", "object"),
        ({"input": [ITEM, {"type": "function_call_output", "call_id": "d", "output": ""}]}, "input.1.call_id", "earlier call"),
        ({"max_output_tokens": 0}, "max_output_tokens", "expected"),
        ({"max_output_tokens": 100_000}, "max_output_tokens", "ask for fewer"),
        ({"tools": [{"type": "function"}]}, "tools.0.name", "required"),
        ({"tools": [{**FLAT_CLOCK, "function": {}}]}, "tools.0.function", "known fields"),
        ({"tools": [FLAT_CLOCK, FLAT_CLOCK]}, "tools.1.name", "twice"),
        (
            {"tools": [{**FLAT_CLOCK, "parameters": {"properties": {"a": {"format": "x"}}}}]},
            "tools.0.parameters/properties/a/format",
            "strict",
        ),
        ({"tools": [{"type": "web_search", "filters": {}}]}, "tools.0.type", "run other tools yourself"),
        ({"top_k": 3}, "top_k", "/v1/chat/completions"),
        ({"use_beam_search": True}, "use_beam_search", "/v1/chat/completions"),
        ({"tool_choice": "required"}, "tool_choice", "send tools"),
        ({"tools": [FLAT_CLOCK], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name", "clock"),
        ({"tools": [FLAT_CLOCK], "text": {"format": {"type": "json_object"}}}, "text.format", "tool_choice none"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", "must be given"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "no"}}}},
            "text.format.schema/type",
            "schema",
        ),
        ({"model": "gpt"}, "model", "served are"),
    ],
)
def test_what_is_not_served_is_named_with_advice(http: httpx.Client, body: dict[str, Any], field: str, advice: str) -> None:
    reply = http.post(RESPONSES, json={**asked("words"), **body})
    assert reply.status_code == (404 if field == "model" else 400), reply.text
    error = reply.json()["error"]
    assert error["param"] == field, error
    assert advice in error["message"], error


def test_what_asks_for_nothing_passes(http: httpx.Client) -> None:
    neutral = {
        "store": False,
        "previous_response_id": None,
        "truncation": "disabled",
        "include": [],
        "reasoning": {},
        "tools": [],
    }
    reply = http.post(RESPONSES, json=asked("words", **neutral, user="me", stream_options=None))
    assert reply.status_code == 200, reply.text
