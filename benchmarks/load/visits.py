"""What the clients of a soak ask for, and how each answer is checked.

A visit is one request, or two that must agree. It returns when the answer is right, and raises `WrongAnswer` when it is not.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import jsonschema_rs

from benchmarks.load.streams import events

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
BUSY = (429, 503)
"""The two statuses that a right request may get: come back later."""

SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"path": {"type": "string", "maxLength": 12}, "kind": {"enum": ["file", "folder"]},
     "open": {"type": "boolean"}}, "required": ["path", "kind", "open"], "additionalProperties": False},
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "minItems": 1, "maxItems": 4},
    {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"],
     "additionalProperties": False}]},
)  # fmt: skip
PATTERNS = ("[a-f]{4,8}", "(yes|no)(, (yes|no)){0,3}", "[A-Z][a-z]{1,6} [0-9]{2}")
CHOICES = (["red", "green", "blue"], ["a", "ab", "abc"])
PROMPTS = ("search for the gate", "list the files and open the first", "say it as JSON:", "what is in docs?")
REPEATED = 12
"""Seeded requests that are asked again and again, in every form; their texts must never change."""
_ERROR_KEYS = {"message", "type", "param", "code", "error_class", "severity", "recovery"}
BIG_BODY = 5 * 1024 * 1024
"""Bytes over the server's default limit of 4 MiB."""


class WrongAnswer(Exception):
    """An answer that a client must never get; the message says what was asked and what came."""


class UnequalAnswer(Exception):
    """A seeded request was answered otherwise than before."""


class Busy(Exception):
    """The server asked to come back later."""


@dataclass(kw_only=True)
class Memory:
    """What the clients of a soak share."""

    models: list[str]
    texts: dict[str, str] = field(default_factory=dict)
    """Answers of seeded requests by request and weight version."""
    seen: Counter[int] = field(default_factory=Counter)
    """Replies by status."""
    sent: int = 0
    left: int = 0
    """Requests that a client walked away from."""
    unequal: int = 0
    """Seeded requests that were answered otherwise than before; `example` is the last one."""
    example: str = ""


@dataclass(kw_only=True)
class Visitor:
    """One client of a soak."""

    client: httpx.AsyncClient
    slow_client: httpx.AsyncClient
    """The same with a small receive buffer, so that a slow reader is felt by the server."""
    memory: Memory
    draw: random.Random

    async def ask(self, path: str, body: dict[str, Any], *, slow: bool = False) -> tuple[str, str, dict[str, Any]]:
        """One output, streamed or not as `body` says: its text, its finish reason and its last object.

        Raises:
            WrongAnswer, Busy: anything but a whole answer.
        """
        self.memory.sent += 1
        client = self.slow_client if slow else self.client
        async with client.stream("POST", path, json=body) as reply:
            self.memory.seen[reply.status_code] += 1
            if reply.status_code != 200:
                await reply.aread()
                self._refused(reply, body)
            if not body.get("stream"):
                whole = json.loads(await reply.aread())
                choice = whole["choices"][0]
                text = choice["message"]["content"] if path == CHAT else choice["text"]
                return text, choice["finish_reason"], whole
            text, last = "", {}
            async for event in events(reply):
                choice = event["choices"][0]
                text += (choice["delta"].get("content") or "") if path == CHAT else choice["text"]
                last = event
                if slow:
                    await asyncio.sleep(self.draw.uniform(0.0, 0.05))
            return text, last["choices"][0]["finish_reason"], last

    def _refused(self, reply: httpx.Response, body: dict[str, Any]) -> None:
        if reply.status_code in BUSY and "Retry-After" in reply.headers:
            raise Busy
        raise WrongAnswer(f"status {reply.status_code} for {json.dumps(body):.200}: {reply.text:.200}")

    def body(self, path: str, **more: Any) -> dict[str, Any]:
        """A request for a model out of those served."""
        said = self.draw.choice(PROMPTS)
        prompt: dict[str, Any] = {"messages": [{"role": "user", "content": said}]} if path == CHAT else {"prompt": said}
        stream = {"stream": True} if self.draw.random() < 0.5 else {}
        return {"model": self.draw.choice(self.memory.models), **prompt, "seed": self.draw.getrandbits(32), **stream, **more}


def repeated_request(number: int, models: list[str]) -> tuple[str, dict[str, Any]]:
    """The path and body of a seeded request; the same for the same number."""
    draw = random.Random(number)
    path = draw.choice((CHAT, COMPLETIONS))
    said = draw.choice(PROMPTS) * draw.randint(1, 6)
    prompt: dict[str, Any] = {"messages": [{"role": "user", "content": said}]} if path == CHAT else {"prompt": said}
    shape = draw.choice(
        ({"temperature": 0}, {"temperature": 1.2, "top_p": 0.9}, {"structured_outputs": {"regex": PATTERNS[0]}})
    )
    return path, {"model": models[number % len(models)], **prompt, "max_tokens": 8 + 4 * (number % 6), "seed": number, **shape}


async def repeat(visitor: Visitor, *, slow: bool = False) -> None:
    """A seeded request gives the text that it gave before, whatever runs beside it, streamed or not."""
    number = visitor.draw.randrange(REPEATED)
    path, body = repeated_request(number, visitor.memory.models)
    stream = slow or visitor.draw.random() < 0.5
    text, reason, last = await visitor.ask(path, {**body, "stream": stream}, slow=slow)
    key = f"{number} {last['choices'][0]['weight_versions'][0]['version']}"
    before = visitor.memory.texts.setdefault(key, f"{reason}: {text}")
    if before != f"{reason}: {text}":
        raise UnequalAnswer(
            f"number {number}, stream {stream}: got {f'{reason}: {text}'!r:.150}, before it was {before!r:.150}"
        )


async def slow_reader(visitor: Visitor) -> None:
    """A client that takes its time gets the same."""
    await repeat(visitor, slow=True)


async def json_schema(visitor: Visitor) -> None:
    """The text satisfies its schema, as jsonschema-rs reads it, or was cut and says so."""
    schema = visitor.draw.choice(SCHEMAS)
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    path = visitor.draw.choice((CHAT, COMPLETIONS))
    asked = visitor.body(path, response_format=shape, max_tokens=visitor.draw.choice((4, 64)), temperature=1.3)
    text, reason, last = await visitor.ask(path, asked)
    if reason == "length":
        if last["builderbrain"]["constraint"]["valid"] is not None:
            raise WrongAnswer(f"a cut text claims to be valid: {text!r:.200}")
        return
    try:
        fault = next(jsonschema_rs.validator_for(schema).iter_errors(json.loads(text)), None)
    except ValueError as error:
        raise WrongAnswer(f"not JSON ({error}): {text!r:.200}") from error
    if fault is not None:
        raise WrongAnswer(f"{text!r:.200} does not satisfy {json.dumps(schema)}: {fault.message}")


async def regex_or_choice(visitor: Visitor) -> None:
    """The text is of the language that was asked for, or was cut and says so."""
    pattern, choice = visitor.draw.choice(PATTERNS), visitor.draw.choice(CHOICES)
    constraint: dict[str, Any] = visitor.draw.choice(({"regex": pattern}, {"choice": choice}))
    path = visitor.draw.choice((CHAT, COMPLETIONS))
    text, reason, _ = await visitor.ask(path, visitor.body(path, structured_outputs=constraint, max_tokens=48, temperature=1.5))
    right = text in choice if "choice" in constraint else re.fullmatch(pattern, text)
    if not right and reason != "length":
        raise WrongAnswer(f"{text!r:.200} for {constraint}")


async def several(visitor: Visitor) -> None:
    """`n` outputs come as `n` choices, each with its own end."""
    body = visitor.body(COMPLETIONS, n=3, max_tokens=12, stream=False)
    _, _, whole = await visitor.ask(COMPLETIONS, body)
    if [choice["index"] for choice in whole["choices"]] != [0, 1, 2]:
        raise WrongAnswer(f"n=3 gave the choices {[choice['index'] for choice in whole['choices']]}")


async def score(visitor: Visitor) -> None:
    """Log-probabilities of a prompt are the same every time, and there is one for each of its tokens."""
    body = {"model": visitor.memory.models[0], "prompt": PROMPTS[1], "max_tokens": 0, "echo": True, "logprobs": 1}
    text, _, whole = await visitor.ask(COMPLETIONS, body)
    found = whole["choices"][0]["logprobs"]
    if text != PROMPTS[1] or len(found["token_logprobs"]) != whole["usage"]["prompt_tokens"]:
        raise WrongAnswer(f"echo gave {text!r} and {len(found['token_logprobs'])} log-probabilities")
    key = f"score {whole['choices'][0]['weight_versions'][0]['version']}"
    if visitor.memory.texts.setdefault(key, json.dumps(found["token_logprobs"])) != json.dumps(found["token_logprobs"]):
        raise UnequalAnswer("the log-probabilities of a prompt")


async def leave(visitor: Visitor) -> None:
    """Walk away from a long output, mid-stream or while waiting for all of it."""
    body = visitor.body(COMPLETIONS, max_tokens=96, temperature=1.0)
    visitor.memory.sent += 1
    visitor.memory.left += 1
    if not body.get("stream"):
        with suppress(TimeoutError):
            await asyncio.wait_for(visitor.client.post(COMPLETIONS, json=body), visitor.draw.uniform(0.0, 0.1))
        return
    async with visitor.client.stream("POST", COMPLETIONS, json=body) as reply:
        wanted = visitor.draw.randint(0, 6)
        async for _ in reply.aiter_lines():
            if (wanted := wanted - 1) < 0:
                return


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """A request that must be refused with one of `statuses`."""

    content: bytes
    statuses: tuple[int, ...] = (400,)
    path: str = CHAT
    param: str | None = None
    """Begins the `param` of the error."""
    media_type: str = "application/json"


def _with(**more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2, **more}).encode()


MALFORMED = (
    Malformed(content=b""),
    Malformed(content=b'{"messages": ['),
    Malformed(content=b"\xff\xfe{}"),
    Malformed(content=b"[" * 20_000),
    Malformed(content=_with(), media_type="text/plain", param="Content-Type"),
    Malformed(content=b'{"prompt": "a", "prompt": "b"}', path=COMPLETIONS, param="prompt"),
    Malformed(content=b'{"prompt": "a", "temperature": NaN}', path=COMPLETIONS),
    Malformed(content=_with(temperature=5), param="temperature"),
    Malformed(content=_with(max_tokens=-1), param="max_tokens"),
    Malformed(content=_with(temprature=1), param="temprature"),
    Malformed(content=_with(guided_json={}), param="guided_json"),
    Malformed(content=_with(structured_outputs={"regex": "(a{1,1000}){1,1000}"}), param="structured_outputs.regex"),
    Malformed(content=_with(structured_outputs={"json": {"$ref": "https://example.com/x"}}), param="structured_outputs.json"),
    Malformed(content=_with(model="no-such-model"), statuses=(404,), param="model"),
    Malformed(content=_with(), path="/v1/nothing", statuses=(404,)),
    Malformed(content=_with(), path="/v1/models", statuses=(405,)),
    Malformed(content=json.dumps({"prompt": [1] * 100_000}).encode(), path=COMPLETIONS, param="prompt"),
    Malformed(content=json.dumps({"prompt": "gate " * 100_000}).encode(), path=COMPLETIONS, param="prompt"),
)
OVERSIZED = Malformed(content=b'{"prompt": "' + b"x" * BIG_BODY + b'"}', path=COMPLETIONS, statuses=(400, 413))


async def malformed(visitor: Visitor) -> None:
    """A wrong request is refused with the right status, in OpenAI's shape, by the name of the field."""
    await _refusal(visitor, visitor.draw.choice(MALFORMED))


async def oversized(visitor: Visitor) -> None:
    """A body over the server's limit is refused."""
    await _refusal(visitor, OVERSIZED)


async def _refusal(visitor: Visitor, request: Malformed) -> None:
    visitor.memory.sent += 1
    reply = await visitor.client.post(request.path, content=request.content, headers={"Content-Type": request.media_type})
    visitor.memory.seen[reply.status_code] += 1
    if reply.status_code in BUSY and "Retry-After" in reply.headers:
        raise Busy
    try:
        error = reply.json()["error"]
        right = error.keys() == _ERROR_KEYS and (error["param"] or "").startswith(request.param or "")
    except (ValueError, KeyError):
        right = False
    if reply.status_code not in request.statuses or not right:
        raise WrongAnswer(f"{request.content[:80]!r} to {request.path} gave status {reply.status_code}: {reply.text:.200}")


VISITS: dict[Callable[[Visitor], Awaitable[None]], float] = {
    repeat: 8,
    json_schema: 6,
    regex_or_choice: 4,
    several: 1,
    score: 1,
    leave: 4,
    slow_reader: 1,
    malformed: 3,
    oversized: 0.1,
}
"""How often each is chosen, relative to the others."""
