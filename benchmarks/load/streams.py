"""One streamed completion, timed where a client sits."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(kw_only=True)
class Timed:
    """What one request took. Seconds; `error` is empty when it was answered whole."""

    prompt_len: int
    start: float
    ttft: float = 0.0
    itl: list[float] = field(default_factory=list)
    latency: float = 0.0
    output_len: int = 0
    text: str = ""
    error: str = ""


async def events(reply: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The objects of a server-sent event stream, up to `[DONE]`.

    Raises:
        ValueError: the stream ended without `[DONE]`, or an event carries an error.
    """
    async for line in reply.aiter_lines():
        if not line:
            continue
        body = line.removeprefix("data: ")
        if body == "[DONE]":
            return
        found = json.loads(body)
        if "error" in found:
            raise ValueError(f"error event: {found['error']['message']}")
        yield found
    raise ValueError("expected the stream to end with [DONE], and it just ended")


async def timed_completion(client: httpx.AsyncClient, body: dict[str, Any]) -> Timed:
    """Stream `POST /v1/completions`; a failure is told in the result and not raised."""
    timed = Timed(prompt_len=len(body["prompt"]), start=time.perf_counter())
    last = timed.start
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    try:
        async with client.stream("POST", "/v1/completions", json=streamed) as reply:
            if reply.status_code != 200:
                await reply.aread()
                timed.error = f"status {reply.status_code}: {reply.text:.300}"
                return timed
            async for event in events(reply):
                now = time.perf_counter()
                if event.get("usage"):
                    timed.output_len = event["usage"]["completion_tokens"]
                if not event["choices"]:
                    continue
                if last == timed.start:
                    timed.ttft = now - last
                else:
                    timed.itl.append(now - last)
                last = now
                timed.text += event["choices"][0]["text"]
                timed.latency = now - timed.start
    except (httpx.HTTPError, ValueError, KeyError) as error:
        timed.error = f"{type(error).__name__}: {error}"
    return timed
