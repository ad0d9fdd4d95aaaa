"""Soft enforcement, schedules, biases and ends of outputs, as a client asks for them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.serve.running import tiny

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
DIGITS = {"regex": "[0-9]{4}", "enforcement": "soft"}
COOLING = {"start": 1.2, "end": 0.7, "tokens": 64}


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 12, "seed": 3, **more}


def completion(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": "hello", "max_tokens": 12, "seed": 3, **more}


def answer(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def refused(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(path, json=body)
    assert reply.status_code == 400, reply.text
    found: dict[str, Any] = reply.json()["error"]
    return found


def text(reply: dict[str, Any]) -> str:
    choice = reply["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"])


# --- soft enforcement ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "ask"), [(CHAT, chat), (COMPLETIONS, completion)])
def test_a_soft_output_says_how_far_it_kept_to_its_constraint(http: httpx.Client, path: str, ask: Any) -> None:
    strong = answer(http, path, ask(structured_outputs={**DIGITS, "energy_scale": 1000.0}))
    assert len(text(strong)) == 4
    assert text(strong).isdigit()
    assert strong["builderbrain"]["constraint"] == {
        "kind": "regex",
        "engine": "xgrammar",
        "exact": True,
        "valid": True,
        "declared": [],
        "enforcement": "soft",
        "energy_scale": 1000.0,
        "outputs": [{"valid": True, "illegal_tokens": 0, "left_at": None, "mask_empty_at": None}],
    }
    weak = answer(http, path, ask(structured_outputs={**DIGITS, "energy_scale": 0.0}))
    assert text(weak) == text(answer(http, path, ask()))
    (report,) = weak["builderbrain"]["constraint"]["outputs"]
    assert report["left_at"] == 0
    assert report["illegal_tokens"] >= 12


def test_an_invalid_soft_output_is_returned_and_called_so(http: httpx.Client) -> None:
    asked = completion(structured_outputs={**DIGITS, "energy_scale": 0.0}, stop=["e", "a", "t", "n"], max_tokens=60, n=3)
    found = answer(http, COMPLETIONS, asked)
    assert [choice["finish_reason"] for choice in found["choices"]] == ["stop"] * 3
    constraint = found["builderbrain"]["constraint"]
    counted = 'bb:constraint_outputs_total{enforcement="soft",engine="xgrammar",model_name="tiny",valid="false"}'
    assert counted in http.get("/metrics").text
    assert constraint["valid"] is False
    assert [each["valid"] for each in constraint["outputs"]] == [False] * 3


def test_what_only_the_validator_enforces_is_neither_held_nor_retried_when_soft(http: httpx.Client) -> None:
    """Hard, the same schema is held back until the validator has accepted it, or refused with 422."""
    schema = {"type": "integer", "minimum": 1, "maximum": 9, "not": {"maximum": 9}}
    asked = completion(structured_outputs={"json": schema, "enforcement": "soft", "energy_scale": 1000.0})
    found = answer(http, COMPLETIONS, asked)
    assert 1 <= json.loads(text(found)) <= 9
    constraint = found["builderbrain"]["constraint"]
    assert (constraint["valid"], constraint["exact"], constraint["outputs"][0]["illegal_tokens"]) == (False, False, 0)
    assert "/not" in constraint["declared"][0]
    hard = http.post(COMPLETIONS, json=completion(structured_outputs={"json": schema}))
    assert hard.status_code == 422


def test_soft_steps_stream_as_they_come(client: openai.OpenAI, http: httpx.Client) -> None:
    soft = {"structured_outputs": {**DIGITS, "energy_scale": 3.0}}
    whole = answer(http, CHAT, chat(**soft, temperature=1.5))
    chunks = list(client.chat.completions.create(**chat(stream=True, temperature=1.5), extra_body=soft))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text(whole)
    assert chunks[-1].builderbrain["constraint"] == whole["builderbrain"]["constraint"]  # type: ignore[attr-defined]


def test_soft_logprobs_are_reported(http: httpx.Client) -> None:
    found = answer(http, COMPLETIONS, completion(structured_outputs={**DIGITS, "energy_scale": 50.0}, logprobs=3))
    logprobs = found["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == text(found)
    for token, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True):
        assert top.get(token, logprob) == pytest.approx(logprob, abs=1e-4)


def test_tools_stay_strict(http: httpx.Client) -> None:
    tools = [{"type": "function", "function": {"name": "search"}}]
    assert refused(http, CHAT, chat(tools=tools, structured_outputs=DIGITS))["param"] == "structured_outputs.enforcement"
    assert refused(http, CHAT, chat(tools=tools, ignore_eos=True))["param"] == "ignore_eos"
    found = answer(http, CHAT, chat(tools=tools, tool_choice="none", structured_outputs=DIGITS))
    assert found["builderbrain"]["constraint"]["enforcement"] == "soft"


# --- how tokens are drawn ------------------------------------------------------------------------------------------


def test_a_schedule_by_its_fields_or_by_a_domain(http: httpx.Client) -> None:
    by_fields = answer(http, COMPLETIONS, completion(temperature_schedule=COOLING))
    assert text(by_fields) == text(answer(http, COMPLETIONS, completion(temperature_schedule="chat_social")))
    greedy = answer(http, COMPLETIONS, completion(temperature_schedule="repo_assistant"))
    assert text(greedy) == text(answer(http, COMPLETIONS, completion(temperature=0)))
    cold = {"start": 0, "end": 0, "tokens": 1, "shape": "cosine"}
    assert text(answer(http, COMPLETIONS, completion(temperature_schedule=cold))) == text(greedy)
    assert "chat_social" in refused(http, COMPLETIONS, completion(temperature_schedule="kitchen"))["message"]


def test_responses_take_a_schedule_and_say_it_again(http: httpx.Client) -> None:
    asked = {"model": "tiny", "input": "hello", "max_output_tokens": 8, "seed": 3}
    found = answer(http, RESPONSES, {**asked, "temperature_schedule": COOLING})
    assert (found["temperature"], found["temperature_schedule"]) == (None, {**COOLING, "shape": "linear"})
    plain = answer(http, RESPONSES, asked)
    assert (plain["temperature"], plain["temperature_schedule"]) == (1.0, None)
    both = refused(http, RESPONSES, {**asked, "temperature_schedule": COOLING, "temperature": 1.0})
    assert both["param"] == "temperature_schedule"
    for name, value in (("logit_bias", {"5": 1}), ("min_tokens", 3), ("stop_token_ids", [1]), ("structured_outputs", DIGITS)):
        error = refused(http, RESPONSES, {**asked, name: value})
        assert (error["param"], "/v1/chat/completions" in error["message"]) == (name, True)


def test_a_bias_moves_tokens(client: openai.OpenAI, http: httpx.Client) -> None:
    (wanted,) = http.post("/tokenize", json={"prompt": "e", "add_special_tokens": False}).json()["tokens"]
    reply = client.chat.completions.create(**chat(logit_bias={str(wanted): 100}, max_tokens=5, temperature=0))
    assert reply.choices[0].message.content == "eeeee"
    never = answer(http, COMPLETIONS, completion(logit_bias={str(wanted): -100}, max_tokens=60, ignore_eos=True, logprobs=0))
    assert "e" not in never["choices"][0]["logprobs"]["tokens"]
    assert text(answer(http, COMPLETIONS, completion(logit_bias={}))) == text(answer(http, COMPLETIONS, completion()))


def test_seeded_outputs_do_not_depend_on_what_runs_beside_them(http: httpx.Client) -> None:
    asked = [
        completion(temperature_schedule=COOLING, max_tokens=20),
        completion(structured_outputs={**DIGITS, "energy_scale": 4.0}, temperature=1.5, max_tokens=20),
        completion(structured_outputs={"regex": "[0-9]{4}"}, temperature=1.5),
        completion(logit_bias={"40": 3.0, "50": -3.0}, presence_penalty=1.0, max_tokens=20),
        completion(min_tokens=20, max_tokens=20, top_p=0.8),
        completion(max_tokens=20),
    ]
    alone = [text(answer(http, COMPLETIONS, body)) for body in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda body: text(answer(http, COMPLETIONS, body)), asked * 2))
    assert together == alone * 2


# --- what ends an output -------------------------------------------------------------------------------------------


def test_outputs_of_a_given_length(http: httpx.Client) -> None:
    end = str(tiny()[0].tokenizer.eos_token_id)
    eager = {"logit_bias": {end: 100}}
    for path, ask in ((CHAT, chat), (COMPLETIONS, completion)):
        assert answer(http, path, ask(**eager))["usage"]["completion_tokens"] == 0
        assert answer(http, path, ask(**eager, min_tokens=7))["usage"]["completion_tokens"] == 7
        ignoring = answer(http, path, ask(**eager, ignore_eos=True))
        assert (ignoring["usage"]["completion_tokens"], ignoring["choices"][0]["finish_reason"]) == (12, "length")


def test_an_ignored_end_has_its_logprob_in_a_stream_too(client: openai.OpenAI) -> None:
    end = str(tiny()[0].tokenizer.eos_token_id)
    body = {"logprobs": True, "logit_bias": {end: 100}, "max_tokens": 4}
    asked = {**chat(), **body, "extra_body": {"ignore_eos": True}}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    streamed = [entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert len(streamed) == 4
    assert streamed == whole.choices[0].logprobs.content


def test_stop_tokens_and_stop_strings_that_stay(http: httpx.Client) -> None:
    whole = text(answer(http, COMPLETIONS, completion(ignore_eos=True)))
    letter = next(character for character in whole[2:] if character.isascii() and character.isalpha())
    before = whole[: whole.index(letter)]
    assert text(answer(http, COMPLETIONS, completion(ignore_eos=True, stop=[letter]))) == before
    kept = answer(http, COMPLETIONS, completion(ignore_eos=True, stop=[letter], include_stop_str_in_output=True))
    assert text(kept) == before + letter
    (wanted,) = http.post("/tokenize", json={"prompt": "e", "add_special_tokens": False}).json()["tokens"]
    eager = completion(logit_bias={str(wanted): 100}, stop_token_ids=[wanted], ignore_eos=True)
    assert text(answer(http, COMPLETIONS, eager)) == ""
    later = answer(http, COMPLETIONS, {**eager, "min_tokens": 3})
    assert (later["usage"]["completion_tokens"], later["choices"][0]["finish_reason"]) == (3, "stop")
