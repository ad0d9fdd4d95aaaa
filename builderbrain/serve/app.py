"""The application: routers over one service, inside the boundary."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Protocol

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import BuilderBrainError, classify
from builderbrain.serve.boundary import Boundary, Keys
from builderbrain.serve.chat import chat_router
from builderbrain.serve.completions import completions_router
from builderbrain.serve.openapi import body_limits, index_router
from builderbrain.serve.plans import plans_router
from builderbrain.serve.probes import probes_router
from builderbrain.serve.rate_limits import UNLIMITED, RateLimits
from builderbrain.serve.replies import error_reply, json_reply
from builderbrain.serve.responses import responses_router
from builderbrain.serve.service import Service
from builderbrain.serve.tokenization import tokenization_router

DEFAULT_BODY_BYTES = 4 * 1024 * 1024
NO_KEYS = Keys()


class Lifetime(Protocol):
    """Something that runs beside the server."""

    def start(self) -> None:
        """Called once, before the first request."""
        ...

    def stop(self) -> None:
        """Called once, after the last request; also when starting failed."""
        ...


def create_app(
    service: Service,
    *,
    keys: Keys = NO_KEYS,
    max_body_bytes: int = DEFAULT_BODY_BYTES,
    routers: tuple[APIRouter, ...] = (),
    lifetimes: tuple[Lifetime, ...] = (),
    limits: RateLimits = UNLIMITED,
) -> FastAPI:
    """The ASGI application; it starts the engine on startup and stops it on shutdown.

    Args:
        service: what the endpoints work on.
        keys: who may ask.
        max_body_bytes: larger request bodies are refused.
        routers: further endpoints (goals, administration).
        lifetimes: what else runs while the server does.
        limits: how often a caller may ask.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for each in (*lifetimes, service.engine):
                stack.callback(each.stop)
                each.start()
            yield

    own = (chat_router, completions_router, responses_router, tokenization_router, plans_router, probes_router)
    every = (*(make(service) for make in own), *routers)
    app = FastAPI(title="BuilderBrain", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.service = service
    app.add_middleware(
        Boundary,
        keys=keys,
        max_body_bytes=max_body_bytes,
        on_status=service.telemetry.responded,
        on_error=lambda error: service.telemetry.refused(error, where="reply"),
        limits=limits,
        body_limits=body_limits(every),
    )
    app.add_exception_handler(BuilderBrainError, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    for router in (*every, index_router(every)):
        app.include_router(router)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    request.app.state.service.telemetry.refused(error, where="reply")
    return error_reply(error, request.state.request_id)


async def _no_route(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in the shape of every other error."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = (getattr(error, "headers", None) or {}).get("Allow")
    advice = "GET / lists what there is" if status == 404 else f"use {allowed or 'another method'}"
    message = f"there is no {request.method} {request.url.path} here; {advice}"
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    return json_reply(
        {
            "error": {
                "message": message,
                "type": kind,
                "param": None,
                "code": "no_such_route",
                **classify("no_such_route").to_json(),
            }
        },
        status=status,
        headers=dict(getattr(error, "headers", None) or {}),
    )
