"""`litellm`: chat, streams, structured output, completions, and its own errors for the server's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.serve.running import RunningServer

QUESTION = [{"role": "user", "content": "where is the gate?"}]


class Answer(BaseModel):
    kind: Literal["file", "folder"]
    found: bool


@pytest.fixture(scope="module")
def litellm() -> Any:
    """Imported here, after its settings are made."""
    return pytest.importorskip("litellm")


@pytest.fixture
def asked(server: RunningServer) -> Callable[..., dict[str, Any]]:
    def make(**more: Any) -> dict[str, Any]:
        place = {"model": "openai/tiny", "api_base": f"{server.url}/v1", "api_key": "unused", "num_retries": 0}
        return {**place, "messages": QUESTION, "max_tokens": 12, "seed": 5, **more}

    return make


def test_a_reply_has_text_and_usage(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    reply = litellm.completion(**asked())
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint.startswith("bb_")


def test_a_stream_says_what_the_reply_says(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    whole = litellm.completion(**asked())
    chunks = list(litellm.completion(**asked(stream=True, stream_options={"include_usage": True})))
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content
    )
    assert litellm.stream_chunk_builder(chunks).usage.completion_tokens == whole.usage.completion_tokens


def test_several_at_once(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    async def together() -> list[Any]:
        return await asyncio.gather(*(litellm.acompletion(**asked(seed=seed)) for seed in range(4)))

    alone = [litellm.completion(**asked(seed=seed)).choices[0].message.content for seed in range(4)]
    assert [reply.choices[0].message.content for reply in asyncio.run(together())] == alone


def test_a_class_as_response_format(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    reply = litellm.completion(**asked(response_format=Answer, max_tokens=100, temperature=1.5))
    Answer.model_validate_json(reply.choices[0].message.content)


def test_constraints_go_through_as_an_extra_body(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    reply = litellm.completion(**asked(extra_body={"structured_outputs": {"json": {"type": "boolean"}}}))
    assert isinstance(json.loads(reply.choices[0].message.content), bool)


def test_completions(litellm: Any, asked: Callable[..., dict[str, Any]]) -> None:
    place = {name: value for name, value in asked().items() if name != "messages"}
    reply = litellm.text_completion(**{**place, "model": "text-completion-openai/tiny"}, prompt="the gate", logprobs=1)
    assert reply.choices[0].text
    assert len(reply.choices[0].logprobs.token_logprobs) == reply.usage.completion_tokens


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"model": "openai/gpt-4o"}, "NotFoundError", "tiny, tiny-other"),
        ({"temperature": 9}, "BadRequestError", "temperature"),
        ({"messages": [{"role": "user", "content": "gate " * 500}]}, "ContextWindowExceededError", "context"),
    ],
)
def test_errors_are_of_the_class_that_callers_catch(
    litellm: Any, asked: Callable[..., dict[str, Any]], more: dict[str, Any], error: str, message: str
) -> None:
    with pytest.raises(getattr(litellm, error), match=message):
        litellm.completion(**asked(**more))
