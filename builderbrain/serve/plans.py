"""`POST /v1/plans/check` and `/v1/plans/repair`: the planchecker's verdict and repair, without running anything."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.plan import check
from builderbrain.plan.repair import Repair, WriteArgument, repair
from builderbrain.serve.fields import THREAD_BYTES, read_request
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.plan_replies import RepairReply
from builderbrain.serve.plan_requests import PlanRepairRequest, PlanRequestBody, read_body_plan
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import VerdictReply
from builderbrain.serve.service import Service


def plans_router(service: Service) -> APIRouter:
    """The check, over one service."""
    router = APIRouter()

    @router.post("/v1/plans/check")
    @described("The planchecker's verdict on a plan; nothing is run.", body=PlanRequestBody, reply=VerdictReply)
    async def plans_check(request: Request) -> Response:
        body = await read_request(request, PlanRequestBody)
        source, verdict = read_body_plan(body)
        if verdict is None:
            size = int(request.headers.get("content-length", THREAD_BYTES + 1))
            verdict = await service.off_loop(size, lambda: check(source, granted=body.granted))
        service.telemetry.checked(accepted=verdict.accepted)
        return json_reply(verdict.to_json())

    return router


def repair_router(service: Service, write: WriteArgument | None) -> APIRouter:
    """Repair, with a model that writes arguments where there is one."""
    router = APIRouter()

    @router.post("/v1/plans/repair")
    @described(
        "Repair a refused plan, with every change and why; nothing is run.",
        body=PlanRepairRequest,
        reply=RepairReply,
        raises=GENERATING,
    )
    async def plans_repair(request: Request) -> Response:
        body = await read_request(request, PlanRepairRequest)
        source, unread = read_body_plan(body)
        if unread is not None:
            ended = f"it is not repaired: {unread.faults[0]}"
            found = Repair(checked=None, plan=None, verdict=unread, before=unread.faults, tried=(), origins=(), ended=ended)
        else:
            writes = write if body.goal is not None else None
            found = await to_thread.run_sync(lambda: repair(source, granted=body.granted, write=writes, goal=body.goal or ""))
        service.telemetry.repaired(found)
        return json_reply(found.to_json())

    return router
