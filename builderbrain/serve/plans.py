"""`POST /v1/plans/check`: the planchecker's verdict on a plan, without running anything."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import InvalidRequestError, PlanSyntaxError
from builderbrain.plan.check import check
from builderbrain.plan.faults import Fault, Verdict
from builderbrain.plan.registry import domain_names
from builderbrain.plan.text_form import parse_text
from builderbrain.serve.fields import THREAD_BYTES, RequestModel, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import VerdictReply
from builderbrain.serve.service import Service


def _name_the_domains(schema: dict[str, Any]) -> None:
    schema["enum"] = list(domain_names())


class PlanCheckRequest(RequestModel):
    """A plan in canonical JSON, whose own `domain` may be left out, or in text form."""

    domain: str = Field(min_length=1, max_length=128, json_schema_extra=_name_the_domains)
    plan: Any


def plans_router(service: Service) -> APIRouter:
    """The route over one service."""
    router = APIRouter()

    @router.post("/v1/plans/check")
    @described("The planchecker's verdict on a plan; nothing is run.", body=PlanCheckRequest, reply=VerdictReply)
    async def plans_check(request: Request) -> Response:
        body = await read_request(request, PlanCheckRequest)
        _check_domain(body)
        size = int(request.headers.get("content-length", THREAD_BYTES + 1))
        verdict = await service.off_loop(size, lambda: _judge(body))
        service.telemetry.checked(accepted=verdict.accepted)
        return json_reply(verdict.to_json())

    return router


def _judge(body: PlanCheckRequest) -> Verdict:
    if isinstance(body.plan, dict):
        return check({"domain": body.domain, **body.plan})
    if not isinstance(body.plan, str):
        return check(body.plan)
    try:
        return check(parse_text(body.plan, domain=body.domain))
    except PlanSyntaxError as error:
        return Verdict(False, (Fault("malformed", None, error.message, "write one step a line, as in the domain's examples"),))


def _check_domain(body: PlanCheckRequest) -> None:
    if body.domain not in domain_names():
        raise InvalidRequestError(f"domain: expected one of {', '.join(domain_names())}, got {body.domain!r}", field="domain")
    if isinstance(body.plan, dict) and body.plan.get("domain", body.domain) != body.domain:
        raise InvalidRequestError(
            f"plan.domain: expected {body.domain!r}, the request's domain, got {body.plan['domain']!r}", field="plan.domain"
        )
