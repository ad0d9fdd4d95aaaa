"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Generation, Step
from builderbrain.serve.chat_template import Turn
from builderbrain.serve.fields import read_request
from builderbrain.serve.generation import (
    OutputRequest,
    attempts_for,
    generate,
    output_events,
    results,
    sampling_parameters,
    several,
)
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import ChatReply
from builderbrain.serve.requests import ChatRequest, Message
from builderbrain.serve.service import Service
from builderbrain.serve.shapes import chat_logprobs, ending, envelope, extension, stream_head, usage
from builderbrain.serve.streaming import EVENT_STREAM, SentText, stream_reply


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
        outputs = await _outputs(service, body, model)
        if body.stream:
            return await stream_reply(_chunks(service, body, model, outputs), request.state.request_id)
        generations: list[Generation] = await results(service.engine, [generate(service.backend, output) for output in outputs])
        return json_reply(_reply(service, body, model, generations))

    return router


async def chat_prompt(service: Service, messages: list[Message]) -> list[int]:
    """Token ids of a conversation, in the base's own template."""
    turns = [Turn(role="system" if turn.role == "developer" else turn.role, text=turn.text()) for turn in messages]
    service.refuse_huge(*(turn.text for turn in turns), field="messages")
    backend = service.backend
    return await service.off_loop(
        sum(len(turn.text) for turn in turns),
        lambda: service.template.render(turns, backend.special_tokens, backend.tokenizer.encode, backend.prefix),
    )


async def _outputs(service: Service, body: ChatRequest, model: str) -> list[OutputRequest]:
    constraint = await service.constraint(body)
    prompt = await chat_prompt(service, body.messages)
    asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    parameters = sampling_parameters(
        body,
        max_tokens=service.room(prompt, asked, default=None, field="messages"),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        stops=() if constraint else service.template.stop_strings,
    )
    output = OutputRequest(
        model=model,
        prompt=tuple(prompt),
        parameters=parameters,
        constraint=constraint,
        stop_tokens=service.template.stop_tokens(service.backend.special_tokens),
        attempts=attempts_for(constraint, stream=bool(body.stream)),
    )
    return several(output, body.n or 1)


def _reply(service: Service, body: ChatRequest, model: str, generations: list[Generation]) -> dict[str, Any]:
    choices = []
    for index, generation in enumerate(generations):
        service.record(generation)
        choices.append(
            {
                "index": index,
                "message": {"role": "assistant", "content": generation.text, "refusal": None},
                "logprobs": chat_logprobs(service.backend.tokenizer, generation.logprobs) if body.logprobs else None,
                **ending(generation),
            }
        )
    return {
        **envelope("chatcmpl", "chat.completion", model, service.fingerprint(generations[0].weight_version)),
        "choices": choices,
        "usage": usage(
            generations[0].prompt_tokens,
            sum(len(generation.tokens) for generation in generations),
            generations[0].cached_tokens,
        ),
        "builderbrain": extension(generations),
    }


async def _chunks(
    service: Service, body: ChatRequest, model: str, outputs: list[OutputRequest]
) -> AsyncGenerator[dict[str, Any], None]:
    with_usage = body.stream_options is not None and body.stream_options.include_usage
    fingerprint = service.fingerprint(service.served(model).version)
    head = stream_head("chatcmpl", "chat.completion.chunk", model, fingerprint, with_usage=with_usage)

    def chunk(index: int, delta: dict[str, Any], step: Step | None = None, **more: Any) -> dict[str, Any]:
        logprobs = None
        if step is not None and step.logprob is not None:
            logprobs = chat_logprobs(service.backend.tokenizer, [step.logprob])
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None, **more}
        return {**head, "choices": [choice]}

    sent = [SentText() for _ in outputs]
    opened: set[int] = set()
    counts = [0, 0, 0]
    async with aclosing(output_events(service.engine, service.backend, outputs)) as events:
        async for found in events:
            if found.index not in opened:
                opened.add(found.index)
                yield chunk(found.index, {"role": "assistant", "content": ""})
            if found.step is not None and (found.step.text or found.step.logprob is not None):
                yield chunk(found.index, {"content": sent[found.index].add(found.step.text)}, found.step)
            if found.generation is not None:
                service.record(found.generation)
                cached = found.generation.cached_tokens if found.index == 0 else counts[2]
                counts = [found.generation.prompt_tokens, counts[1] + len(found.generation.tokens), cached]
                rest = sent[found.index].rest(found.generation.text)
                last = chunk(
                    found.index,
                    {"content": rest} if rest else {},
                    **ending(found.generation),
                )
                yield {**last, "builderbrain": extension([found.generation])}
    if with_usage:
        yield {**head, "choices": [], "usage": usage(*counts)}
