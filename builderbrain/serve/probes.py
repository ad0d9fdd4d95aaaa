"""What operators ask: the served models, health, readiness, version, metrics."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from builderbrain.errors import NotReadyError, PausedError, UnknownModelError
from builderbrain.serve.backend import ServedModel
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import HealthReply, ModelReply, ModelsReply, ReadyReply, VersionReply
from builderbrain.serve.service import Service


def probes_router(service: Service) -> APIRouter:
    """The routes over one service."""
    router = APIRouter()
    started = int(time.time())

    @router.get("/v1/models")
    @described("All served models.", reply=ModelsReply)
    async def models() -> Response:
        return json_reply({"object": "list", "data": [_described(model) for model in service.backend.models()]})

    @router.get("/v1/models/{name:path}")
    @described("One served model.", reply=ModelReply, raises=(UnknownModelError,))
    async def model(name: str) -> Response:
        return json_reply(_described(service.served(name)))

    def _described(model: ServedModel) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": started,
            "owned_by": "builderbrain",
            "root": model.root,
            "max_model_len": service.backend.max_length,
            "weight_version": model.version,
        }

    # Load balancers ask with HEAD.
    @router.head("/health")
    @router.get("/health")
    @described("Whether the engine lives.", reply=HealthReply, raises=(NotReadyError,))
    async def health() -> Response:
        if not service.engine.alive:
            raise NotReadyError("the engine's worker has ended; restart the server")
        return json_reply({"status": "ok"})

    @router.head("/ready")
    @router.get("/ready")
    @described("Whether the server takes work.", reply=ReadyReply, raises=(NotReadyError,))
    async def ready() -> Response:
        if not service.engine.accepting:
            raise NotReadyError("the server takes no new work: it is starting or shutting down")
        if service.engine.paused:
            raise PausedError("an operator paused the server; POST /resume goes on")
        return json_reply({"status": "ready", "models": [model.name for model in service.backend.models()]})

    @router.get("/version")
    @described("The server's version and the weights that answer.", reply=VersionReply)
    async def server_version() -> Response:
        return json_reply({"version": version("builderbrain"), "weight_version": service.served(None).version})

    @router.get("/metrics")
    @described("Metrics in Prometheus' format.", other_replies=("text/plain",))
    async def metrics() -> Response:
        return Response(service.telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router
