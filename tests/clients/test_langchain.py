"""`langchain-openai`: chat, streams, structured output, log-probabilities, completions, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from tests.serve.running import RunningServer

ChatOpenAI = pytest.importorskip("langchain_openai").ChatOpenAI
OpenAI = pytest.importorskip("langchain_openai").OpenAI


class Answer(BaseModel):
    """Where something is."""

    kind: Literal["file", "folder"]
    found: bool


@pytest.fixture
def chat(server: RunningServer) -> Callable[..., Any]:
    def make(**more: Any) -> Any:
        options = {
            "model": "tiny",
            "api_key": "unused",
            "base_url": f"{server.url}/v1",
            "max_retries": 0,
            "seed": 5,
            "max_tokens": 12,
        }
        return ChatOpenAI(**{**options, **more})

    return make


def test_a_message_has_text_usage_and_provenance(chat: Callable[..., Any]) -> None:
    reply = chat().invoke("where is the gate?")
    assert reply.content
    assert reply.usage_metadata["total_tokens"] == reply.usage_metadata["input_tokens"] + reply.usage_metadata["output_tokens"]
    assert reply.response_metadata["finish_reason"] in ("stop", "length")
    assert reply.response_metadata["system_fingerprint"].startswith("bb_")


def test_a_stream_says_what_the_message_says(chat: Callable[..., Any]) -> None:
    chunks = list(chat(stream_usage=True).stream("where is the gate?"))
    whole = chat().invoke("where is the gate?")
    assert "".join(chunk.content for chunk in chunks) == whole.content
    assert (
        sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata)
        == whole.usage_metadata["output_tokens"]
    )


def test_several_conversations_run_at_once(chat: Callable[..., Any]) -> None:
    asked = [[("system", "be brief"), ("human", f"question {number}")] for number in range(4)]
    alone = [chat().invoke(turns).content for turns in asked]
    assert [reply.content for reply in asyncio.run(chat().abatch(asked))] == alone


def test_structured_output_is_an_object_of_the_class(chat: Callable[..., Any]) -> None:
    found = chat(max_tokens=100, temperature=1.5).with_structured_output(Answer, method="json_schema").invoke("where is it?")
    assert isinstance(found, Answer)


def test_log_probabilities(chat: Callable[..., Any]) -> None:
    reply = chat().bind(logprobs=True, top_logprobs=1).invoke("where is the gate?")
    content = reply.response_metadata["logprobs"]["content"]
    assert len(content) == reply.usage_metadata["output_tokens"]
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 1 for entry in content)


def test_completions(server: RunningServer) -> None:
    asked = {"model": "tiny", "api_key": "unused", "base_url": f"{server.url}/v1", "max_retries": 0, "max_tokens": 6, "seed": 2}
    text = OpenAI(**asked).invoke("the gate")
    assert "".join(OpenAI(**asked).stream("the gate")) == text
    assert OpenAI(**asked).generate(["the gate", "open"]).generations[0][0].text == text


def test_a_wrong_request_names_its_field(chat: Callable[..., Any]) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny, tiny-other"):
        chat(model="gpt-4o").invoke("hi")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        chat(temperature=9).invoke("hi")
