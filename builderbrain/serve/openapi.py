"""`GET /openapi.json` and `GET /`: what can be asked, made from the routes themselves and the models that read their bodies.

A route says with `described` what it reads, what it answers and what it raises. The framework's own document knows none of
it, because bodies are read by `read_request` and replies are built by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from builderbrain.errors import (
    AdministrationError,
    AuthenticationError,
    BodyTooLargeError,
    BuilderBrainError,
    ConstraintViolatedError,
    DeadlineError,
    GrammarLimitError,
    GrammarRefusedError,
    InvalidRequestError,
    NotReadyError,
    PausedError,
    QueueFullError,
    RateLimitError,
    UnknownModelError,
)
from builderbrain.serve.boundary import OPEN_PATHS, is_administrative
from builderbrain.serve.fields import RequestModel
from builderbrain.serve.replies import RETRY_SECONDS, json_reply, status_of
from builderbrain.serve.reply_models import ErrorReply, IndexReply

RUNNING = (UnknownModelError, QueueFullError, NotReadyError, PausedError, DeadlineError)
"""What a route raises that runs a model."""
GENERATING = (*RUNNING, GrammarLimitError, GrammarRefusedError, ConstraintViolatedError)
"""What a route raises that decodes outputs."""
REFERENCE = "#/components/schemas/{model}"
KEY_SCHEME = "key"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a route reads and answers; see `described`."""

    summary: str
    body: type[RequestModel] | None = None
    in_query: bool = False
    query: type[RequestModel] | None = None
    most_bytes: int | None = None
    reply: type[BaseModel] | None = None
    accepted: type[BaseModel] | None = None
    other_replies: tuple[str, ...] = ()
    raises: tuple[type[BuilderBrainError], ...] = ()


def described(
    summary: str,
    *,
    body: type[RequestModel] | None = None,
    in_query: bool = False,
    query: type[RequestModel] | None = None,
    most_bytes: int | None = None,
    reply: type[BaseModel] | None = None,
    accepted: type[BaseModel] | None = None,
    other_replies: tuple[str, ...] = (),
    raises: tuple[type[BuilderBrainError], ...] = (),
) -> Callable[[F], F]:
    """Marks the function of a route for the OpenAPI document.

    Args:
        summary: one sentence.
        body: what `read_request` reads, or `read_form`.
        in_query: whether the fields of `body` may come in the query instead.
        query: what `read_query` reads.
        most_bytes: of a body, in place of what the server has for all routes.
        reply: the JSON object of status 200.
        accepted: the JSON object of status 202, where it may have it.
        other_replies: media types that status 200 may have as well.
        raises: its refusals beside those of keys, and of bodies when it reads one.
    """
    found = Description(
        summary=summary,
        body=body,
        in_query=in_query,
        query=query,
        most_bytes=most_bytes,
        reply=reply,
        accepted=accepted,
        other_replies=other_replies,
        raises=raises,
    )

    def mark(function: F) -> F:
        function.__dict__["description"] = found
        return function

    return mark


def body_limits(routers: Iterable[APIRouter]) -> dict[tuple[str, str], int]:
    """Of routes that say how large a body they take: the bytes, by method and path."""
    found: dict[tuple[str, str], int] = {}
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        most: int | None = route.endpoint.__dict__["description"].most_bytes
        if most is not None:
            found.update({(method, route.path): most for method in route.methods or ()})
    return found


def index_router(routers: Sequence[APIRouter]) -> APIRouter:
    """`GET /` and `GET /openapi.json` over all routes of `routers` and their own."""
    router = APIRouter()

    def routes() -> list[APIRoute]:
        return [route for each in (*routers, router) for route in each.routes if isinstance(route, APIRoute)]

    @router.get("/")
    @described("What can be asked.", reply=IndexReply)
    async def root() -> Response:
        pairs = sorted((route.path, method) for route in routes() for method in route.methods or ())
        listed = [f"{method} {path}" for path, method in pairs]
        return json_reply({"name": "BuilderBrain", "version": version("builderbrain"), "routes": listed})

    @cache
    def made() -> dict[str, Any]:
        return document(routes())

    @router.get("/openapi.json")
    @described("This document, OpenAPI 3.1.", other_replies=("application/json",))
    async def openapi() -> Response:
        return json_reply(made())

    return router


def document(routes: Iterable[APIRoute]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of routes.

    Raises:
        KeyError: a route's function is not `described`; names it.
        ValueError: two models have one name, so that a reference to it would lead nowhere.
    """
    paths: dict[str, dict[str, Any]] = {}
    models: set[type[BaseModel]] = {ErrorReply}
    for route in routes:
        found: Description = route.endpoint.__dict__["description"]
        models |= {model for model in (found.body, found.query, found.reply, found.accepted) if model is not None}
        for method in route.methods or ():
            paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, method, found)
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)], ref_template=REFERENCE
    )
    if ambiguous := sorted({model.__name__ for model in models} - schemas["$defs"].keys()):
        raise ValueError(f"expected models of different names, got two of the name {ambiguous[0]}; rename one of them")
    return {
        "openapi": "3.1.0",
        "info": {"title": "BuilderBrain", "version": version("builderbrain"), "license": {"name": "Apache-2.0"}},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {KEY_SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: APIRoute, method: str, found: Description) -> dict[str, Any]:
    path = route.path_format
    raises: list[type[BuilderBrainError]] = [BodyTooLargeError, *found.raises]
    # Who may change the server is asked for no other key and limited by nothing.
    if is_administrative(path):
        raises.append(AdministrationError)
    elif path not in OPEN_PATHS:
        raises += [AuthenticationError, RateLimitError]
    if found.body is not None or found.query is not None:
        raises.append(InvalidRequestError)
    has_content = method != "HEAD"
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{route.name}",
        "summary": found.summary,
        "responses": {"200": _success(found, has_content), **_accepted(found), **_failures(raises, has_content)},
        # Without a client key the server asks for none.
        "security": [] if path in OPEN_PATHS else [{KEY_SCHEME: []}] if is_administrative(path) else [{}, {KEY_SCHEME: []}],
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if found.body is not None:
        operation["requestBody"] = {"required": not found.in_query, "content": _content(found.body, found.body.media_type)}
        if found.in_query:
            parameters += _query(found.body)
    if found.query is not None:
        parameters += _query(found.query)
    if parameters:
        operation["parameters"] = parameters
    return operation


def _query(model: type[RequestModel]) -> list[dict[str, Any]]:
    """The fields of a flat model as parameters."""
    schema = model.model_json_schema(mode="validation")
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _success(found: Description, has_content: bool) -> dict[str, Any]:
    if not has_content:
        return {"description": "the same status as GET"}
    content: dict[str, Any] = {kind: {} for kind in found.other_replies}
    if found.reply is not None:
        content |= _json_content(found.reply)
    return {"description": "the answer", "content": content}


def _accepted(found: Description) -> dict[str, Any]:
    if found.accepted is None:
        return {}
    said = (found.accepted.__doc__ or "").strip().splitlines()[0]
    return {"202": {"description": said, "content": _json_content(found.accepted)}}


def _failures(raises: Iterable[type[BuilderBrainError]], has_content: bool) -> dict[str, Any]:
    """Responses by status; what each stands for is what the errors say of themselves."""
    reasons: dict[int, list[str]] = {}
    for kind in dict.fromkeys(raises):
        reasons.setdefault(status_of(kind), []).append((kind.__doc__ or "").strip().splitlines()[0])
    content = {"content": _json_content(ErrorReply)} if has_content else {}
    return {
        str(status): {"description": " ".join(texts), **_retry_header(status), **content}
        for status, texts in sorted(reasons.items())
    }


def _retry_header(status: int) -> dict[str, Any]:
    if status not in RETRY_SECONDS:
        return {}
    header = {"description": "Seconds after which to ask again.", "schema": {"type": "integer", "minimum": 1}}
    return {"headers": {"Retry-After": header}}


def _json_content(model: type[BaseModel]) -> dict[str, Any]:
    return _content(model, "application/json")


def _content(model: type[BaseModel], media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}}
