"""`POST /v1/responses`: one output as items, plain or streamed. Nothing is stored."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Generation
from builderbrain.serve.answers import OutputReader
from builderbrain.serve.conversation import Conversation, conversation_outputs
from builderbrain.serve.fields import read_request
from builderbrain.serve.generation import OutputRequest, generate, output_events, results
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import error_body, json_reply
from builderbrain.serve.responses_items import ResponseWriter
from builderbrain.serve.responses_replies import ResponseReply
from builderbrain.serve.responses_requests import FORMAT_FIELD, ResponsesRequest
from builderbrain.serve.service import Service
from builderbrain.serve.streaming import EVENT_STREAM, stream_reply, typed_event
from builderbrain.serve.toolbox import Toolbox


def responses_router(service: Service) -> APIRouter:
    """The route over one service."""
    router = APIRouter()

    @router.post("/v1/responses")
    @described(
        "One output as items, at once or as a stream of events.",
        body=ResponsesRequest,
        reply=ResponseReply,
        other_replies=(EVENT_STREAM,),
        raises=GENERATING,
    )
    async def responses(request: Request) -> Response:
        body = await read_request(request, ResponsesRequest)
        served = service.served(body.model)
        toolbox = body.toolbox()
        output = await _output(service, body, served.name, toolbox)
        reader = OutputReader(toolbox, held=output.held)
        writer = ResponseWriter(_head(body, served.name, service.fingerprint(served.version)))
        if body.stream:
            request_id: str = request.state.request_id
            events = _events(service, output, reader, writer, request_id)
            return await stream_reply(events, request_id, frame=typed_event, end=b"")
        generation: Generation = (await results(service.engine, [generate(service.backend, output)]))[0]
        service.record(generation)
        writer.add(reader.end(generation))
        return json_reply(writer.finish(generation)[-1]["response"])

    return router


async def _output(service: Service, body: ResponsesRequest, model: str, toolbox: Toolbox | None) -> OutputRequest:
    wanted = body.format().constraint()
    constraint = None
    if wanted is not None:
        path = f"{FORMAT_FIELD}.schema" if wanted.kind == "json_schema" else FORMAT_FIELD
        constraint = await service.compile(wanted, lambda place: path + place)
    asked = Conversation(
        model=model,
        said=body.said(),
        said_field="input",
        toolbox=toolbox,
        constraint=constraint,
        format_field=FORMAT_FIELD,
        sampling=body.sampling(),
        max_tokens=body.max_output_tokens,
        max_tokens_field="max_output_tokens",
        stream=bool(body.stream),
    )
    return (await conversation_outputs(service, asked))[0]


def _head(body: ResponsesRequest, model: str, fingerprint: str) -> dict[str, Any]:
    """What a response says of its request."""
    given = body.model_dump(by_alias=True, exclude_none=True)
    return {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "system_fingerprint": fingerprint,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": _temperature(body),
        "temperature_schedule": given.get("temperature_schedule"),
        "text": {"format": body.format().model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": [{"parameters": None, "strict": True, **tool} for tool in given.get("tools", [])],
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "usage": None,
    }


async def _events(
    service: Service, output: OutputRequest, reader: OutputReader, writer: ResponseWriter, request_id: str
) -> AsyncGenerator[dict[str, Any], None]:
    """The events of a stream. The first one waits for the first token, so that what fails before has a status of its own."""
    begun = False
    try:
        async with aclosing(output_events(service.engine, service.backend, [output])) as found:
            async for each in found:
                written = [] if begun else writer.begin()
                begun = True
                if each.step is not None:
                    written += writer.add(reader.step(each.step.text))
                if each.generation is not None:
                    service.record(each.generation)
                    written += writer.add(reader.end(each.generation))
                    written += writer.finish(each.generation)
                for event in written:
                    yield event
    except Exception as error:
        if not begun:
            raise
        for event in writer.fail(error_body(error, request_id)["error"]):
            yield event


def _temperature(body: ResponsesRequest) -> float | None:
    """The one temperature of a request; null where a schedule says it for every token."""
    if body.temperature_schedule is not None:
        return None
    return 1.0 if body.temperature is None else body.temperature
