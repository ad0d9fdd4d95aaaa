"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Generation, Step
from builderbrain.serve.answers import Call, OutputReader, call_id, read_answer
from builderbrain.serve.conversation import Conversation, conversation_outputs
from builderbrain.serve.fields import read_request
from builderbrain.serve.generation import OutputRequest, choices, output_events, results
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import ChatReply
from builderbrain.serve.requests import ChatRequest
from builderbrain.serve.service import Service
from builderbrain.serve.shapes import chat_logprobs, choice_extension, ending, envelope, extension, stream_head, usage
from builderbrain.serve.streaming import EVENT_STREAM, stream_reply
from builderbrain.serve.tool_text import Arguments, CallBegins, CallEnds, Event, Text
from builderbrain.serve.toolbox import Toolbox


def chat_router(service: Service) -> APIRouter:
    """The route over one service."""
    router = APIRouter()

    @router.post("/v1/chat/completions")
    @described(
        "Answer a conversation, at once or as a stream of events.",
        body=ChatRequest,
        reply=ChatReply,
        other_replies=(EVENT_STREAM,),
        raises=GENERATING,
    )
    async def chat_completions(request: Request) -> Response:
        body = await read_request(request, ChatRequest)
        model = service.served(body.model).name
        toolbox = body.toolbox()
        outputs = await _outputs(service, body, model, toolbox)
        if body.stream:
            return await stream_reply(_chunks(service, body, model, toolbox, outputs), request.state.request_id)
        found: list[list[Generation]] = await results(service.engine, [choices(service.backend, output) for output in outputs])
        generations = [generation for each in found for generation in each]
        return json_reply(_reply(service, body, model, toolbox, generations))

    return router


async def _outputs(service: Service, body: ChatRequest, model: str, toolbox: Toolbox | None) -> list[OutputRequest]:
    asked = Conversation(
        model=model,
        said=tuple(message.said(index) for index, message in enumerate(body.messages)),
        said_field="messages",
        toolbox=toolbox,
        constraint=await service.constraint(body),
        format_field=body.format_field(),
        sampling=body,
        max_tokens=body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        count=body.n or 1,
        stream=bool(body.stream),
    )
    return await conversation_outputs(service, asked)


def _reply(
    service: Service, body: ChatRequest, model: str, toolbox: Toolbox | None, generations: list[Generation]
) -> dict[str, Any]:
    said = []
    for index, generation in enumerate(generations):
        service.record(generation)
        answer = read_answer(generation, toolbox)
        content = answer.text or "" if toolbox is None else answer.text
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        calls = [call for call in answer.calls if call.whole]
        if calls:
            message["tool_calls"] = list(map(_tool_call, calls))
        said.append(
            {
                "index": index,
                "message": message,
                "logprobs": chat_logprobs(service.backend.tokenizer, generation.logprobs) if body.logprobs else None,
                **choice_extension(service.backend.tokenizer, generation.details),
                **_ending(generation, called=bool(calls)),
            }
        )
    return {
        **envelope("chatcmpl", "chat.completion", model, service.fingerprint(generations[0].weight_version)),
        "choices": said,
        "usage": usage(
            generations[0].prompt_tokens,
            sum(len(generation.tokens) for generation in generations),
            generations[0].cached_tokens,
        ),
        "builderbrain": extension(generations),
    }


def _tool_call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _ending(generation: Generation, *, called: bool) -> dict[str, Any]:
    """How a choice ended; with calls that is `tool_calls`, unless it was cut."""
    found = ending(generation)
    return {**found, "finish_reason": "tool_calls"} if called and generation.finish_reason == "stop" else found


def _delta(events: Iterable[Event]) -> dict[str, Any]:
    """What events add to a message. A call's `id`, `type` and `name` come once, with its first piece."""
    text = ""
    calls: dict[int, dict[str, Any]] = {}
    for event in events:
        match event:
            case Text(piece):
                text += piece
            case CallBegins(index, name):
                function = {"name": name, "arguments": ""}
                calls[index] = {"index": index, "id": call_id(), "type": "function", "function": function}
            case Arguments(index, piece):
                calls.setdefault(index, {"index": index, "function": {"arguments": ""}})["function"]["arguments"] += piece
            case CallEnds(_):
                pass
    return {**({"content": text} if text else {}), **({"tool_calls": list(calls.values())} if calls else {})}


async def _chunks(
    service: Service, body: ChatRequest, model: str, toolbox: Toolbox | None, outputs: list[OutputRequest]
) -> AsyncGenerator[dict[str, Any], None]:
    with_usage = body.stream_options is not None and body.stream_options.include_usage
    fingerprint = service.fingerprint(service.served(model).version)
    head = stream_head("chatcmpl", "chat.completion.chunk", model, fingerprint, with_usage=with_usage)

    def chunk(index: int, delta: dict[str, Any], step: Step | None = None, **more: Any) -> dict[str, Any]:
        logprobs = None
        if step is not None and step.logprob is not None:
            logprobs = chat_logprobs(service.backend.tokenizer, [step.logprob])
        if step is not None:
            more |= choice_extension(service.backend.tokenizer, step.details)
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None, **more}
        return {**head, "choices": [choice]}

    readers = [OutputReader(toolbox, held=output.held) for output in outputs]
    opened: set[int] = set()
    called: set[int] = set()
    counts = [0, 0, 0]
    async with aclosing(output_events(service.engine, service.backend, outputs)) as events:
        async for found in events:
            if found.index not in opened:
                opened.add(found.index)
                yield chunk(found.index, {"role": "assistant", "content": "" if toolbox is None else None})
            if found.step is not None:
                delta = _delta(readers[found.index].step(found.step.text))
                called |= {found.index} if "tool_calls" in delta else set()
                if delta or found.step.logprob is not None or found.step.details:
                    yield chunk(found.index, delta, found.step)
            if found.generation is not None:
                service.record(found.generation)
                cached = found.generation.cached_tokens if found.index == 0 else counts[2]
                counts = [found.generation.prompt_tokens, counts[1] + len(found.generation.tokens), cached]
                delta = _delta(readers[found.index].end(found.generation))
                called |= {found.index} if "tool_calls" in delta else set()
                last = chunk(found.index, delta, **_ending(found.generation, called=found.index in called))
                yield {**last, "builderbrain": extension([found.generation])}
    if with_usage:
        yield {**head, "choices": [], "usage": usage(*counts)}
