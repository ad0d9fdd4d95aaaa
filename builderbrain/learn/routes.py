"""`POST /v1/traces`: what became of a goal, with the plan that would have been right. `GET /v1/learning`: what the learner
does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import InvalidRequestError, OutputError, PlanSyntaxError
from builderbrain.learn.learner import RailLearner
from builderbrain.plan import Plan, parse_text
from builderbrain.plan.json_form import plan_from_json
from builderbrain.serve.attached import OutcomeTold
from builderbrain.serve.boundary import asker_of
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply

MAX_PLAN = 16_384


class TraceRequest(RequestModel):
    """How a goal turned out. `id` is the `trace_id` of its reply; `plan` is what would have been right, as the reply's `plan`
    is written or as text of its domain."""

    id: str = Field(min_length=1, max_length=64)
    right: bool | None = None
    plan: dict[str, Any] | str | None = None


class TraceReply(BaseModel):
    """What was written down, durably."""

    id: str
    domain: str
    corrected: bool


class LearningReply(BaseModel):
    """What the learner does (`phase`), what it waits for, what it has counted, and the latest events."""

    phase: str
    waits_for: str
    live: str | None
    counts: dict[str, Any]
    events: list[dict[str, Any]]


def learning_router(learner: RailLearner, live: Callable[[], str | None]) -> APIRouter:
    """Both routes."""
    router = APIRouter()

    @router.post("/v1/traces")
    @described(
        "Tell how a goal turned out, and which plan was right.", body=TraceRequest, reply=TraceReply, raises=(OutputError,)
    )
    async def traces(request: Request) -> Response:
        body = await read_request(request, TraceRequest)
        if body.right is None and body.plan is None:
            raise InvalidRequestError("right: expected true or false, or the plan that would have been right", field="right")
        if body.right and body.plan is not None:
            raise InvalidRequestError("plan: expected none for a goal that turned out right; leave one out", field="plan")
        right = bool(body.right)
        plan = None if body.plan is None else read_plan(body.plan, "plan")

        def write() -> str | None:
            caller = asker_of(request) or "unknown"
            domain = learner.traces.outcome(body.id, right=right, caller=caller, plan=plan)
            if learner.watch is not None:
                learner.watch.told(OutcomeTold(identifier=body.id, right=right, caller=caller))
            return domain

        domain = await to_thread.run_sync(write)
        if domain is None:
            raise InvalidRequestError(
                f"id: expected the `trace_id` of a goal's reply, got {body.id!r:.80}, which is not kept here", field="id"
            )
        return json_reply({"id": body.id, "domain": domain, "corrected": plan is not None})

    @router.get("/v1/learning")
    @described("What the learner does, and what it did last.", reply=LearningReply)
    async def learning() -> Response:
        return json_reply(await to_thread.run_sync(lambda: status_of(learner, live())))

    return router


def status_of(learner: RailLearner, live: str | None) -> dict[str, Any]:
    """JSON values of `LearningReply`."""
    counts = learner.counts
    return {
        "phase": learner.phase,
        "waits_for": learner.waits_for,
        "live": live,
        "counts": {
            "traces": learner.traces.kept,
            "outcomes": learner.traces.outcomes,
            "candidates": dict(counts.candidates),
            "removed": dict(counts.removed),
            "rollbacks": counts.rollbacks,
            "failures": counts.failures,
            "steps": counts.steps,
        },
        "events": [{"at": event.at, "event": event.name, **event.details} for event in list(learner.events)[-20:]],
    }


def read_plan(value: dict[str, Any] | str, field: str) -> Plan:
    """A plan in either form.

    Raises:
        InvalidRequestError: it is none; `field` is where it stands.
    """
    try:
        return parse_text(value, domain="repo_assistant") if isinstance(value, str) else plan_from_json(value)
    except PlanSyntaxError as error:
        raise InvalidRequestError(f"{field}: {error.message}", field=field) from error
