"""`/v1/admin/incidents`: what happened, told by whoever watches the live version, and released after looking."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.serve.boundary import ADMIN_PREFIX
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.incidents import Incidents
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply


class CanaryRequest(RequestModel):
    """A canary of `version` failed; it is rolled back when it is still live."""

    version: Annotated[str, Field(min_length=1, max_length=256)]
    said: Annotated[str, Field(min_length=1, max_length=1024)]


class IncidentsReply(BaseModel):
    """The last records, oldest first. `latched`: the answer was given, and is given again only after a release. `kept`: whether
    records outlast the server."""

    object: str
    latched: bool
    kept: bool
    data: list[dict[str, Any]]


class ToldReply(BaseModel):
    """It is recorded, and answered right after."""

    status: str


class ReleasedReply(BaseModel):
    """Whether the answer was latched before."""

    was_latched: bool


def incidents_router(incidents: Incidents) -> APIRouter:
    """The routes; all of them ask for the administrator's key."""
    router = APIRouter()

    @router.get(f"{ADMIN_PREFIX}incidents")
    @described("Incidents and how they were answered.", reply=IncidentsReply)
    async def listed() -> Response:
        return json_reply(incidents.to_json())

    @router.post(f"{ADMIN_PREFIX}incidents")
    @described("Tell that the canary of a version failed.", body=CanaryRequest, reply=ToldReply)
    async def told(request: Request) -> Response:
        body = await read_request(request, CanaryRequest)
        await to_thread.run_sync(lambda: incidents.tell("canary_failed", body.version, body.said, version=body.version))
        return json_reply({"status": "told"})

    @router.post(f"{ADMIN_PREFIX}incidents/release")
    @described("Let the next grave incident be answered again.", reply=ReleasedReply)
    async def release() -> Response:
        return json_reply({"was_latched": await to_thread.run_sync(incidents.release)})

    return router
