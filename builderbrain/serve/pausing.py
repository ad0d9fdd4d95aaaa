"""`POST /pause`, `POST /resume`, `GET /is_paused` and `POST /reset_prefix_cache`, in vLLM's shape.

A pause does not need to empty any cache here: weights never change in place, and cached states are known by the version that
wrote them. `clear_cache` is therefore false unless it is asked for, where vLLM has true.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import ClassVar

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import ConflictError, InvalidRequestError, NotReadyError
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.serve.engine import Engine, PauseMode
from builderbrain.serve.fields import RequestModel, parse_request, read_request
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.openapi import described
from builderbrain.serve.operation_replies import IsPausedReply, PausedReply, ResetReply, ResumedReply
from builderbrain.serve.replies import json_reply

_QUERY_VALUES = {"true": True, "false": False, "1": True, "0": False}


class PauseRequest(RequestModel):
    """How to pause; as the body, or as vLLM has it in the query."""

    mode: PauseMode = "abort"
    clear_cache: bool = False
    removed_fields: ClassVar = {"wait_for_inflight_requests": "use mode: wait"}


def forget_prefixes(backend: ModelBackend) -> int:
    """Let prompts take over no page of earlier ones; how many pages were known. On the engine's worker alone."""
    models = backend.token_models().values()
    batchers = {id(model.batcher): model.batcher for model in models if isinstance(model, BatchedModel)}
    return sum(batcher.pool.forget_all() for batcher in batchers.values())


def pausing_router(engine: Engine, forget: Callable[[], int]) -> APIRouter:
    """The routes.

    Args:
        forget: empties the prefix cache; called on the engine's worker.
    """
    router = APIRouter()

    @router.post("/pause")
    @described(
        "Advance no output until the server is resumed.",
        body=PauseRequest,
        in_query=True,
        reply=PausedReply,
        raises=(ConflictError, NotReadyError),
    )
    async def pause(request: Request) -> Response:
        body = await _pause_request(request)
        # A client that leaves stops waiting; the pause stands, and `resume` ends it.
        if not await to_thread.run_sync(engine.pause, body.mode, abandon_on_cancel=True):
            raise ConflictError("somebody resumed or paused otherwise before this pause was complete; ask again", field="mode")
        if body.clear_cache:
            await asyncio.wrap_future(engine.call(forget))
        return json_reply({"status": "paused", "mode": body.mode, "waiting": engine.num_waiting + engine.num_running})

    @router.post("/resume")
    @described("Go on after a pause.", reply=ResumedReply)
    async def resume() -> Response:
        engine.resume()
        return json_reply({"status": "resumed"})

    @router.get("/is_paused")
    @described("Whether the server is paused.", reply=IsPausedReply)
    async def is_paused() -> Response:
        return json_reply({"is_paused": engine.paused is not None, "mode": engine.paused})

    @router.post("/reset_prefix_cache")
    @described("Forget the cached beginnings of prompts.", reply=ResetReply, raises=(NotReadyError,))
    async def reset_prefix_cache() -> Response:
        return json_reply({"status": "reset", "pages": await asyncio.wrap_future(engine.call(forget))})

    return router


async def _pause_request(request: Request) -> PauseRequest:
    if await request.body():
        if request.query_params:
            raise InvalidRequestError("expected the mode in the query or in the body, got both", field="mode")
        return await read_request(request, PauseRequest)
    values = {name: _QUERY_VALUES.get(value, value) for name, value in request.query_params.items()}
    return parse_request(json.dumps(values).encode(), PauseRequest)
