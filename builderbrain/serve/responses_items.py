"""The output items of a response and the events that build them. A reply that is not streamed is what the last event holds."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from builderbrain.decode.base import Generation
from builderbrain.hosts.base import Tokenizer
from builderbrain.serve.answers import call_id
from builderbrain.serve.shapes import choice_extension, extension, weight_versions
from builderbrain.serve.tool_text import Arguments, CallBegins, CallEnds, Event, Text

Body = dict[str, Any]


class ResponseWriter:
    """Writes one response. Every method gives the events that follow, with their sequence numbers.

    Args:
        head: the response without status, output and usage.
        tokenizer: of the output.
    """

    def __init__(self, head: Body, tokenizer: Tokenizer) -> None:
        self._head = head
        self._tokenizer = tokenizer
        self._output: list[Body] = []
        self._open: Body | None = None
        self._number = 0

    def begin(self) -> list[Body]:
        """The response is there."""
        return [self._event(name, response=self._response("in_progress")) for name in ("created", "in_progress")]

    def add(self, events: Iterable[Event]) -> list[Body]:
        """What an output says."""
        return [written for event in events for written in self._add(event)]

    def finish(self, generation: Generation) -> list[Body]:
        """The output ended. One that was cut leaves its last item incomplete."""
        cut = generation.finish_reason == "length"
        written = [] if self._output or self._open else self._begin_message()
        written += self._end_item("incomplete" if cut else "completed")
        more = {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": response_usage(generation),
            "weight_versions": weight_versions(generation),
            "builderbrain": {
                **extension([generation]),
                **choice_extension(self._tokenizer, generation.details).get("builderbrain", {}),
            },
        }
        status = "incomplete" if cut else "completed"
        return [*written, self._event(status, response=self._response(status, **more))]

    def fail(self, error: Body) -> list[Body]:
        """The output failed; `error` is the inner object of an error reply."""
        shown = {"code": "server_error", "message": error["message"]}
        named = {"type": "error", "code": error["code"], "message": error["message"], "param": error["param"]}
        failed = {"type": "response.failed", "response": self._response("failed", error=shown)}
        return [self._numbered(named), self._numbered(failed)]

    def _add(self, event: Event) -> list[Body]:
        match event:
            case Text(text):
                written = [] if self._open else self._begin_message()
                part = self._item()["content"][0]
                part["text"] += text
                return [*written, self._in_item("output_text.delta", content_index=0, delta=text, logprobs=[])]
            case CallBegins(_, name):
                written = self._end_item("completed")
                call = {"id": _id("fc"), "type": "function_call", "call_id": call_id(), "name": name, "arguments": ""}
                return [*written, self._begin_item({**call, "status": "in_progress"})]
            case Arguments(_, text):
                self._item()["arguments"] += text
                return [self._in_item("function_call_arguments.delta", delta=text)]
            case CallEnds(_):
                item = self._item()
                done = self._in_item("function_call_arguments.done", name=item["name"], arguments=item["arguments"])
                return [done, *self._end_item("completed")]

    def _begin_message(self) -> list[Body]:
        item: Body = {"id": _id("msg"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        written = [self._begin_item(item)]
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item["content"] = [part]
        return [*written, self._in_item("content_part.added", content_index=0, part=dict(part))]

    def _begin_item(self, item: Body) -> Body:
        self._open = item
        return self._event("output_item.added", output_index=len(self._output), item=dict(item))

    def _item(self) -> Body:
        if self._open is None:
            raise RuntimeError("expected an open item, got none; begin one first")
        return self._open

    def _end_item(self, status: str) -> list[Body]:
        item = self._open
        if item is None:
            return []
        written = []
        if item["type"] == "message":
            part = item["content"][0]
            written = [
                self._in_item("output_text.done", content_index=0, text=part["text"], logprobs=[]),
                self._in_item("content_part.done", content_index=0, part=part),
            ]
        item["status"] = status
        written.append(self._event("output_item.done", output_index=len(self._output), item=item))
        self._output.append(item)
        self._open = None
        return written

    def _in_item(self, name: str, /, **fields: Any) -> Body:
        return self._event(name, item_id=self._item()["id"], output_index=len(self._output), **fields)

    def _event(self, name: str, /, **fields: Any) -> Body:
        return self._numbered({"type": f"response.{name}", **fields})

    def _numbered(self, body: Body) -> Body:
        self._number += 1
        return {**body, "sequence_number": self._number - 1}

    def _response(self, status: str, **more: Any) -> Body:
        return {**self._head, "status": status, "output": list(self._output), **more}


def response_usage(generation: Generation) -> Body:
    """Token counts under the names of the Responses API. Writing to the prefix cache costs nobody anything."""
    prompt, output = generation.prompt_tokens, len(generation.tokens)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": generation.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + output,
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
