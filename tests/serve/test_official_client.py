"""The official `openai` client against a real server."""

from __future__ import annotations

import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from builderbrain.serve.boundary import Keys
from tests.serve.running import CONTEXT, RunningServer, make_service, running_server

QUESTION = [{"role": "user", "content": "where is the gate?"}]


class Answer(BaseModel):
    kind: Literal["file", "folder"]
    found: bool


def test_chat_gives_text_usage_and_provenance(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=6, seed=3)
    choice = reply.choices[0]
    assert choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage.completion_tokens <= 6
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint.startswith("bb_")
    assert choice.weight_versions == [{"version": "v1", "start": 0, "end": reply.usage.completion_tokens}]
    assert reply.builderbrain == {"constraint": None}


def test_models_are_told_apart_by_fingerprint_and_version(client: openai.OpenAI) -> None:
    replies = [
        client.chat.completions.create(model=name, messages=QUESTION, max_tokens=2, seed=3) for name in ("tiny", "tiny-other")
    ]
    assert [reply.choices[0].weight_versions[0]["version"] for reply in replies] == ["v1", "v2"]
    assert replies[0].system_fingerprint != replies[1].system_fingerprint


def test_a_stream_says_what_the_whole_reply_says(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "messages": QUESTION, "max_tokens": 12, "seed": 5}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    finishes = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert finishes[-1] == whole.choices[0].finish_reason
    assert set(finishes[:-1]) == {None}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1


def test_several_choices_stream_side_by_side(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "messages": QUESTION, "max_tokens": 5, "seed": 5, "n": 3}
    whole = client.chat.completions.create(**asked)
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert len(set(texts)) > 1


def test_the_first_of_several_choices_is_the_single_one(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "messages": QUESTION, "max_tokens": 5, "seed": 9}
    one = client.chat.completions.create(**asked)
    three = client.chat.completions.create(**asked, n=3)
    assert three.choices[0].message.content == one.choices[0].message.content


def test_parse_returns_an_object_of_the_class(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(
        model="tiny", messages=QUESTION, response_format=Answer, max_tokens=100, seed=1, temperature=1.5
    )
    assert isinstance(reply.choices[0].message.parsed, Answer)
    assert reply.choices[0].finish_reason == "stop"
    assert reply.builderbrain["constraint"]["kind"] == "json_schema"
    assert reply.builderbrain["constraint"]["valid"] is True


def test_json_schema_holds_in_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="tiny", messages=QUESTION, response_format=Answer, max_tokens=100, seed=2
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Answer)


def test_a_cut_json_output_says_length_and_claims_nothing(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tiny",
        messages=QUESTION,
        max_tokens=2,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": Answer.model_json_schema()}},
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.builderbrain["constraint"]["valid"] is None


def test_choice_and_regex_are_hard(client: openai.OpenAI) -> None:
    for structured, check in (
        ({"choice": ["red", "green"]}, lambda text: text in ("red", "green")),
        ({"regex": "[ab]{3}"}, lambda text: len(text) == 3 and set(text) <= {"a", "b"}),
        ({"json": {"type": "boolean"}}, lambda text: isinstance(json.loads(text), bool)),
    ):
        reply = client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            max_tokens=40,
            temperature=1.5,
            extra_body={"structured_outputs": structured},
        )
        assert check(reply.choices[0].message.content), structured


def test_completions_stop_at_a_stop_string(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "prompt": "the gate", "max_tokens": 30, "seed": 4}
    text = client.completions.create(**asked).choices[0].text
    stop = next(part for part in text[3:] if part.isascii() and part not in text[:3])
    reply = client.completions.create(**asked, stop=stop)
    assert reply.choices[0].text == text[: text.index(stop)]
    assert reply.choices[0].finish_reason == "stop"


def test_echo_with_logprobs_scores_the_prompt(client: openai.OpenAI) -> None:
    prompt = [40, 41, 42, 43]
    reply = client.completions.create(model="tiny", prompt=prompt, max_tokens=1, echo=True, logprobs=2, temperature=0)
    found = reply.choices[0].logprobs
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset)
    assert found.token_logprobs[0] is None
    assert all(value <= 0 for value in found.token_logprobs[1:])
    # The generated token is the best continuation, and scoring it as part of a prompt gives the same number.
    assert found.token_logprobs[-1] == pytest.approx(max(found.top_logprobs[-1].values()), abs=1e-5)
    generated = client.completions.create(model="tiny", prompt=prompt, max_tokens=1, logprobs=0, temperature=0)
    assert found.token_logprobs[-1] == pytest.approx(generated.choices[0].logprobs.token_logprobs[0], abs=1e-5)


def test_echo_without_new_tokens_only_scores(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt=["the gate", "open"], max_tokens=0, echo=True, logprobs=1)
    assert [choice.text for choice in reply.choices] == ["the gate", "open"]
    assert reply.usage.completion_tokens == 0
    assert reply.usage.prompt_tokens == sum(len(choice.logprobs.tokens) for choice in reply.choices)


def test_a_text_prompt_equals_its_token_ids(client: openai.OpenAI, server: RunningServer) -> None:
    ids = server.service.backend.tokenizer.encode("the promotion gate")
    asked = {"model": "tiny", "max_tokens": 5, "seed": 1}
    by_text, by_ids = (client.completions.create(prompt=prompt, **asked) for prompt in ("the promotion gate", ids))
    assert by_text.choices[0].text == by_ids.choices[0].text


def test_chat_logprobs_carry_alternatives(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=3, logprobs=True, top_logprobs=2, seed=1)
    content = reply.choices[0].logprobs.content
    assert len(content) == reply.usage.completion_tokens
    assert all(len(entry.top_logprobs) == 2 and entry.logprob <= 0 for entry in content)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "tiny-other"]
    assert client.models.retrieve("tiny-other").max_model_len == CONTEXT


def test_an_unknown_model_is_not_found_and_the_served_ones_are_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny, tiny-other") as caught:
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_a_bad_field_is_a_bad_request_that_names_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=QUESTION, temperature=-1)
    assert caught.value.param == "temperature"
    assert caught.value.type == "invalid_request_error"


def test_a_prompt_over_the_context_is_refused_with_the_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=str(CONTEXT)) as caught:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "gate 7 " * CONTEXT}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="max_tokens") as caught:
        client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=CONTEXT)
    assert caught.value.param == "max_tokens"


def test_keys_are_asked_for() -> None:
    with running_server(make_service(), keys=Keys(client="right")) as started:
        with started.client("right") as client:
            assert client.models.list().data
        with started.client("wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        assert caught.value.code == "invalid_api_key"
