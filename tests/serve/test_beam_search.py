"""Beam search over HTTP: choices best first, the promises of constraints, and refusals that name the field."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.serve.running import RunningServer
from tests.serve.test_bad_input import CHAT, COMPLETIONS, chat, completion, refused
from tests.serve.tooling import CLOCK, tool_server

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "on": {"type": "boolean"}},
    "required": ["name", "on"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def post(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_choices_come_best_first_and_keep_the_constraint(http: httpx.Client) -> None:
    body = chat(use_beam_search=True, n=3, beam_width=4, max_tokens=60, response_format=FORMAT)
    found = post(http, CHAT, body)
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2]
    texts = [choice["message"]["content"] for choice in found["choices"]]
    assert len(set(texts)) == 3
    for choice in found["choices"]:
        if choice["finish_reason"] == "stop":
            assert set(json.loads(choice["message"]["content"])) == {"name", "on"}
    scores = found["builderbrain"]["beam_search"]["scores"]
    assert len(scores) == 3
    if all(choice["finish_reason"] == "stop" for choice in found["choices"]):
        assert scores == sorted(scores, reverse=True)
        assert found["builderbrain"]["constraint"]["valid"] is True
    again = post(http, CHAT, {**body, "seed": 7})
    assert [choice["message"]["content"] for choice in again["choices"]] == texts


def test_the_official_client_asks_for_beams(server: RunningServer) -> None:
    found = server.client().chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "hello"}],
        n=2,
        temperature=0,
        extra_body={"use_beam_search": True, "structured_outputs": {"choice": ["red", "green", "blue"]}},
    )
    texts = [choice.message.content for choice in found.choices]
    assert len(texts) == len(set(texts)) == 2
    assert set(texts) <= {"red", "green", "blue"}


def test_fewer_choices_where_there_are_no_more_texts(http: httpx.Client) -> None:
    body = chat(use_beam_search=True, n=4, max_tokens=20, structured_outputs={"choice": ["yes", "no"]})
    found = post(http, CHAT, body)
    assert sorted(choice["message"]["content"] for choice in found["choices"]) == ["no", "yes"]
    assert len(found["builderbrain"]["beam_search"]["scores"]) == 2


def test_several_prompts_with_echo_and_logprobs(http: httpx.Client) -> None:
    body = completion(
        prompt=["one", "two"], use_beam_search=True, n=2, max_tokens=12, echo=True, logprobs=2,
        structured_outputs={"choice": ["red", "green", "blue"]},
    )  # fmt: skip
    found = post(http, COMPLETIONS, body)
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2, 3]
    for choice in found["choices"]:
        assert choice["text"].startswith(("one", "one", "two", "two")[choice["index"]])
        assert len(choice["logprobs"]["tokens"]) == len(choice["logprobs"]["token_logprobs"])
        assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    single = post(http, COMPLETIONS, {**body, "prompt": "two", "echo": False})
    assert [choice["text"] for choice in single["choices"]] == [choice["text"][3:] for choice in found["choices"][2:]]


def test_dead_ends_are_a_422_and_the_server_goes_on(http: httpx.Client) -> None:
    body = chat(use_beam_search=True, max_tokens=20, structured_outputs={"regex": "[ab]{2}x"}, stop=["x"])
    error = refused(http.post(CHAT, json=body), 422)
    assert (error["code"], error["param"]) == ("mask_empty", "structured_outputs")
    assert error["message"].startswith("structured_outputs: expected a beam that can be finished")
    assert post(http, CHAT, chat(use_beam_search=True, structured_outputs={"choice": ["yes"]}, max_tokens=9))["choices"]


def test_soft_enforcement_gives_slack_and_the_reply_says_where(http: httpx.Client) -> None:
    shape = {"regex": "[ab]{2}x", "enforcement": "soft"}
    found = post(http, CHAT, chat(use_beam_search=True, max_tokens=6, structured_outputs=shape, stop=["x"], n=2))
    report = found["builderbrain"]["constraint"]
    assert report["enforcement"] == "soft"
    assert len(report["outputs"]) == len(found["choices"]) == 2
    for output in report["outputs"]:
        assert output["left_at"] == output["mask_empty_at"]
        assert output["valid"] is not True
    strict = {"regex": "[ab]{2}x"}
    refused(http.post(CHAT, json=chat(use_beam_search=True, max_tokens=6, structured_outputs=strict, stop=["x"])), 422)


def test_tools_are_called_by_beams() -> None:
    with tool_server() as server, httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        body = chat(model="random", use_beam_search=True, max_tokens=200, tools=[CLOCK], tool_choice="required", n=2)
        found = post(http, CHAT, {**body, "parallel_tool_calls": False})
    (choice,) = found["choices"]  # there is one way to call it
    assert choice["finish_reason"] == "tool_calls"
    (called,) = choice["message"]["tool_calls"]
    assert called["function"] == {"name": "clock", "arguments": "{}"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"beam_width": 4}, "beam_width"),
        ({"length_penalty": 1.0}, "length_penalty"),
        ({"early_stopping": True, "use_beam_search": False}, "early_stopping"),
        ({"diversity_penalty": 1.0}, "diversity_penalty"),
        ({"grammar_weight": 1.0}, "grammar_weight"),
        ({"use_beam_search": True, "beam_width": 9}, "beam_width"),
        ({"use_beam_search": True, "beam_width": 1}, "beam_width"),
        ({"use_beam_search": True, "beam_width": 2, "n": 3}, "n"),
        ({"use_beam_search": True, "n": 9}, "n"),
        ({"use_beam_search": True, "grammar_weight": -1}, "grammar_weight"),
        ({"use_beam_search": True, "stream": True}, "stream"),
        ({"use_beam_search": True, "temperature": 0.7}, "temperature"),
        ({"use_beam_search": True, "top_p": 0.9}, "top_p"),
        ({"use_beam_search": True, "top_k": 5}, "top_k"),
        ({"use_beam_search": True, "presence_penalty": 1}, "presence_penalty"),
        ({"use_beam_search": True, "logit_bias": {"3": 1}}, "logit_bias"),
        ({"use_beam_search": True, "min_tokens": 1}, "min_tokens"),
        ({"use_beam_search": True, "temperature_schedule": {"start": 1, "end": 0, "tokens": 9}}, "temperature_schedule"),
        ({"use_beam_search": "yes"}, "use_beam_search"),
        ({"use_beam_search": True, "beam_width": 8, "max_tokens": 240}, "max_tokens"),
        ({"use_beam_search": True, "builderbrain": {"token_details": True}}, "builderbrain"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_what_does_not_go_together_is_refused_by_name(http: httpx.Client, path: str, body: dict[str, Any], field: str) -> None:
    assert refused(http.post(path, json={**(chat if path == CHAT else completion)(), **body}))["param"] == field


def test_scoring_a_prompt_alone_takes_no_beams(http: httpx.Client) -> None:
    body = completion(max_tokens=0, echo=True, logprobs=1, use_beam_search=True)
    assert refused(http.post(COMPLETIONS, json=body))["param"] == "max_tokens"


def test_values_that_ask_for_nothing_are_taken(http: httpx.Client) -> None:
    neutral = {"temperature": 0, "top_p": 1, "top_k": -1, "min_p": 0, "repetition_penalty": 1, "stream": False}
    assert post(http, COMPLETIONS, completion(use_beam_search=True, **neutral))["choices"]
    assert post(http, COMPLETIONS, completion(use_beam_search=False))["builderbrain"] == {"constraint": None}
