"""Details of each token in the replies: for those who ask, whole and streamed, on every endpoint that generates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import PAGE_SIZE, Batcher
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.reply_models import ChatReply, CompletionReply, TokenDetailsReply
from builderbrain.serve.responses_replies import ResponseReply
from tests.hosts.tiny_models import END_TOKEN, llama, tiny_tokenizer
from tests.rail.conftest import make_rail
from tests.serve.running import RunningServer, make_service, running_server, tiny

CONTEXT = 768
"""Tokens; functions in a prompt take more than half of it."""
ASK = {"builderbrain": {"token_details": True}}
SCHEMA = {
    "type": "object",
    "properties": {"quantity": {"enum": ["one", "two"]}, "done": {"type": "boolean"}},
    "required": ["quantity", "done"],
    "additionalProperties": False,
}
UNIQUE = {"type": "array", "items": {"enum": [1, 2, 3, 4, 5, 6]}, "minItems": 2, "maxItems": 2, "uniqueItems": True}
TOOL = {"type": "function", "function": {"name": "count", "parameters": SCHEMA}}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def served() -> Iterator[RunningServer]:
    """Two builders and the base alone."""
    host = HuggingFaceHost(llama(max_position_embeddings=CONTEXT), HuggingFaceTokenizer(tiny_tokenizer()), name="tiny-base")
    service = make_service()
    batcher = Batcher(host, num_pages=4 * CONTEXT // PAGE_SIZE, max_tokens=64)
    rails = {
        "first": make_rail(host, seed=1, jitter=0.3),
        "second": make_rail(host, seed=2, jitter=0.3, budget=0.2),
        "base": None,
    }
    backend = ModelBackend(
        {name: BatchedModel(batcher, rail) for name, rail in rails.items()},
        root="tiny-base",
        mask_engine=GrammarEngine(host.tokenizer, host.vocab_size),
        facts=TokenizerFacts(special_tokens={END_TOKEN: 0}, prefix=()),
        description="tiny-base float32",
        jump=JumpForward(host.tokenizer, vocabulary_for(host.tokenizer, host.vocab_size)),
    )
    service.engine._run_model = batcher.run
    with running_server(replace(service, backend=backend)) as started:
        yield started


@pytest.fixture(scope="module")
def http(served: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{served.url}/v1", trust_env=False, timeout=60) as client:
        yield client


def complete(http: httpx.Client, **more: Any) -> Json:
    reply = http.post("/completions", json={"prompt": "list the files", "max_tokens": 12, "seed": 5, **more})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def chat(http: httpx.Client, **more: Any) -> Json:
    body = {"messages": [{"role": "user", "content": "files?"}], "max_tokens": 60, "seed": 5, **more}
    reply = http.post("/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def streamed(http: httpx.Client, path: str, body: Json) -> list[Json]:
    """The events of a stream."""
    text = http.post(path, json={"seed": 5, **body, "stream": True}).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def details_of(chunks: list[Json], index: int = 0) -> list[Json]:
    """Those of one choice, joined."""
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return [token for choice in choices for token in choice.get("builderbrain", {}).get("tokens", [])]


def test_only_who_asks_is_told_and_the_rest_of_the_reply_is_the_same(http: httpx.Client) -> None:
    plain = complete(http)
    for more in ({"builderbrain": None}, {"builderbrain": {}}, {"builderbrain": {"token_details": False}}):
        assert complete(http, **more)["choices"] == plain["choices"]
    told = complete(http, **ASK)
    CompletionReply.model_validate(told, strict=True)
    [choice] = told["choices"]
    tokens = choice.pop("builderbrain")["tokens"]
    assert [choice] == plain["choices"]
    assert "builderbrain" not in plain["choices"][0]
    assert len(tokens) == told["usage"]["completion_tokens"]
    host, _ = tiny()
    assert host.tokenizer.decode([token["token_id"] for token in tokens]) == choice["text"]
    for token in tokens:
        assert token["token"] == host.tokenizer.decode([token["token_id"]])
        assert (token["forced"], token["grammar_energy"]) == (False, 0.0)
        assert token["kl"] > 0
        assert 0 < token["alpha"] <= 0.5
        assert token["skill"] == f"skill_{token['skill_id']}"
    assert len({token["alpha"] for token in tokens}) == 1
    assert len({token["kl"] for token in tokens}) > 1


def test_a_base_alone_is_moved_by_nobody(http: httpx.Client) -> None:
    tokens = complete(http, model="base", **ASK)["choices"][0]["builderbrain"]["tokens"]
    assert tokens
    for token in tokens:
        assert {name: token[name] for name in ("kl", "alpha", "skill", "skill_id")} == {
            "kl": 0.0, "alpha": 0.0, "skill": None, "skill_id": None,
        }  # fmt: skip


def test_each_builder_and_each_choice_has_its_own(http: httpx.Client) -> None:
    first, second = (complete(http, model=name, n=2, temperature=1.0, **ASK) for name in ("first", "second"))
    for reply in (first, second):
        texts = [[token["token_id"] for token in choice["builderbrain"]["tokens"]] for choice in reply["choices"]]
        assert texts[0] != texts[1]
    alphas = [reply["choices"][0]["builderbrain"]["tokens"][0]["alpha"] for reply in (first, second)]
    assert alphas[1] < 0.25 < alphas[0]


@pytest.mark.parametrize(
    "more", [{}, {"n": 2}, {"structured_outputs": {"json": SCHEMA}}, {"structured_outputs": {"json": UNIQUE}}]
)
def test_a_completion_streams_what_it_replies(http: httpx.Client, more: Json) -> None:
    body = {"prompt": "list the files", "max_tokens": 30, "temperature": 1.2, **ASK, **more}
    whole = complete(http, **body)
    chunks = streamed(http, "/completions", body)
    for choice in whole["choices"]:
        assert details_of(chunks, choice["index"]) == choice["builderbrain"]["tokens"]
        assert (
            "".join(each["text"] for chunk in chunks for each in chunk["choices"] if each["index"] == choice["index"])
            == (choice["text"])
        )


def test_details_come_in_the_chunk_of_their_token(http: httpx.Client) -> None:
    chunks = streamed(http, "/completions", {"prompt": "list the files", "max_tokens": 8, "logprobs": 0, **ASK})
    found = [choice for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    assert len(found) == 8
    for choice in found:
        [token] = choice["builderbrain"]["tokens"]
        assert [token["token"]] == choice["logprobs"]["tokens"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 100},
    ],
)
def test_a_chat_streams_what_it_replies_and_says_the_same_unasked(http: httpx.Client, more: Json) -> None:
    plain, told = chat(http, **more), chat(http, **more, **ASK)
    ChatReply.model_validate(told, strict=True)
    tokens = told["choices"][0]["builderbrain"]["tokens"]
    assert len(tokens) == told["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]
    assert told["choices"][0]["message"]["content"] == plain["choices"][0]["message"]["content"]
    body = {"messages": [{"role": "user", "content": "files?"}], "max_tokens": 60, **more, **ASK}
    assert details_of(streamed(http, "/chat/completions", body)) == tokens
    forced = [token for token in tokens if token["forced"]]
    assert bool(forced) == bool(more)
    for token in forced:
        assert [token[name] for name in ("kl", "grammar_energy", "alpha", "skill", "skill_id")] == [None] * 5
    drawn = [token for token in tokens if not token["forced"]]
    assert all(token["kl"] > 0 for token in drawn)
    assert any(token["grammar_energy"] > 0.1 for token in drawn) == bool(more)


def test_what_is_forced_from_end_to_end_is_told_in_a_stream(http: httpx.Client) -> None:
    body = {"prompt": "x", "max_tokens": 60, "structured_outputs": {"json": {"const": {"name": ["a", 1]}}}, **ASK}
    tokens = details_of(streamed(http, "/completions", body))
    assert tokens == complete(http, **body)["choices"][0]["builderbrain"]["tokens"]
    assert tokens
    assert all(token["forced"] for token in tokens)


def test_with_logprobs_every_token_is_drawn(http: httpx.Client) -> None:
    reply = complete(http, logprobs=1, max_tokens=60, structured_outputs={"json": SCHEMA}, **ASK)
    tokens = reply["choices"][0]["builderbrain"]["tokens"]
    assert not any(token["forced"] for token in tokens)
    assert len(tokens) == len(reply["choices"][0]["logprobs"]["tokens"])


def test_a_response_tells_them_at_its_end(http: httpx.Client) -> None:
    body = {"input": "files?", "max_output_tokens": 12, "seed": 5}
    plain = http.post("/responses", json=body).json()
    assert "tokens" not in plain["builderbrain"]
    told = http.post("/responses", json={**body, **ASK}).json()
    ResponseReply.model_validate(told, strict=True)
    tokens = told["builderbrain"]["tokens"]
    assert len(tokens) == told["usage"]["output_tokens"]
    assert told["output"][0]["content"] == plain["output"][0]["content"]
    last = streamed(http, "/responses", {**body, **ASK})[-1]
    assert last["response"]["builderbrain"]["tokens"] == tokens


def test_a_scored_prompt_has_none(http: httpx.Client) -> None:
    reply = complete(http, echo=True, logprobs=1, max_tokens=0, **ASK)
    assert "builderbrain" not in reply["choices"][0]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"token_detail": True}, "builderbrain.token_detail"),
        ({"token_details": 1}, "builderbrain.token_details"),
        (True, "builderbrain"),
    ],
)
def test_a_wrong_field_is_named(http: httpx.Client, value: object, field: str) -> None:
    for path, body in (
        ("/completions", {"prompt": "x"}),
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("/responses", {"input": "x"}),
    ):
        reply = http.post(path, json={**body, "builderbrain": value})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)


def test_the_official_client_asks_and_reads(served: RunningServer) -> None:
    with served.client() as client:
        reply = client.completions.create(model="first", prompt="x", max_tokens=4, seed=1, extra_body=ASK)
        told: Any = (reply.choices[0].model_extra or {})["builderbrain"]
        assert len(told["tokens"]) == reply.usage.completion_tokens if reply.usage else False
        TokenDetailsReply.model_validate(told["tokens"][0], strict=True)


def test_metrics_count_the_tokens_of_those_who_asked(served: RunningServer, http: httpx.Client) -> None:
    def counted() -> dict[str, float]:
        lines = httpx.get(f"{served.url}/metrics", trust_env=False).text.splitlines()
        return {
            line.split("{")[0]: float(line.split()[-1]) for line in lines if line.startswith("bb:token_") and "_count{" in line
        }

    before = counted()
    complete(http)
    assert counted() == before
    reply = complete(http, **ASK)
    more = reply["usage"]["completion_tokens"]
    names = ("bb:token_kl_nats", "bb:token_grammar_energy_nats", "bb:token_alpha")
    assert counted() == {f"{name}_count": before[f"{name}_count"] + more for name in names}
