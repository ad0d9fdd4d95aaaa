"""`/v1/training/sessions`: the core of Tinker's training API over HTTP, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.goal import MAX_GOAL_CHARACTERS, check_goal
from builderbrain.errors import ConflictError, NotReadyError, ResourceNotFoundError, VersionNotFoundError
from builderbrain.gate.subject import MAX_PLAN_TOKENS
from builderbrain.learn.routes import read_plan
from builderbrain.learn.sessions import TrainingSession, TrainingSessions
from builderbrain.learn.traces import Example
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply

MOST_ROWS = 128
IN_GAPS = (ResourceNotFoundError, NotReadyError)
"""What a call of a session raises that waits for gaps of decoding."""


class SessionRequest(RequestModel):
    """`seed` of what is random in training."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Datum(RequestModel):
    """A goal in words and its plan, as text of its domain or as `/v1/goals` writes it."""

    goal: str = Field(min_length=1, max_length=MAX_GOAL_CHARACTERS)
    plan: dict[str, Any] | str


class ForwardBackwardRequest(RequestModel):
    """Rows whose mean loss is differentiated."""

    data: Annotated[list[Datum], Field(fail_fast=True)] = Field(min_length=1, max_length=MOST_ROWS)
    loss_fn: Literal["cross_entropy"] = "cross_entropy"


class OptimStepRequest(RequestModel):
    """AdamW's rate; Muon's is ten times that."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4


class SampleRequest(RequestModel):
    """A goal to plan, greedily."""

    goal: str = Field(min_length=1, max_length=MAX_GOAL_CHARACTERS)
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = MAX_PLAN_TOKENS


class SessionReply(BaseModel):
    """A session, the version it began with, its steps, and the rows whose gradients wait for one."""

    id: str
    parent: str
    steps: int
    pending_rows: int


class SessionsReply(BaseModel):
    """All sessions."""

    object: Literal["list"] = "list"
    data: list[SessionReply]


class BackwardReply(BaseModel):
    """Mean loss of the plans in nats per weighed token."""

    loss: float
    rows: int
    tokens: int


class StepReply(BaseModel):
    """Steps so far, and the norm of the gradients before clipping."""

    steps: int
    gradient_norm: float


class SampleReply(BaseModel):
    """The plan's text."""

    text: str


class StateReply(BaseModel):
    """A version of the registry: a candidate for `python -m builderbrain.gate evaluate`."""

    version: str


class EndedReply(BaseModel):
    """A session is gone."""

    id: str
    deleted: bool


def sessions_router(sessions: TrainingSessions) -> APIRouter:
    """The routes."""
    router = APIRouter()
    place = "/v1/training/sessions"

    @router.post(place)
    @described(
        "Begin a training session with the live version's weights.",
        body=SessionRequest,
        reply=SessionReply,
        raises=(ConflictError, VersionNotFoundError),
    )
    async def begin(request: Request) -> Response:
        body = await read_request(request, SessionRequest)
        return json_reply(_shown(await to_thread.run_sync(sessions.begin, body.seed)))

    @router.get(place)
    @described("All training sessions.", reply=SessionsReply)
    async def listed() -> Response:
        return json_reply({"object": "list", "data": [_shown(session) for session in sessions.all()]})

    @router.delete(place + "/{session_id}")
    @described("End a training session; what was not saved is gone.", reply=EndedReply, raises=(ResourceNotFoundError,))
    async def end(session_id: str) -> Response:
        sessions.end(session_id)
        return json_reply({"id": session_id, "deleted": True})

    @router.post(place + "/{session_id}/forward_backward")
    @described("Add gradients.", body=ForwardBackwardRequest, reply=BackwardReply, raises=IN_GAPS)
    async def forward_backward(session_id: str, request: Request) -> Response:
        body = await read_request(request, ForwardBackwardRequest)
        session = sessions.get(session_id)
        examples = [_example(number, datum) for number, datum in enumerate(body.data)]
        found = await to_thread.run_sync(lambda: session.forward_backward(sessions.rows(session, examples)))
        return json_reply({"loss": found.loss, "rows": found.rows, "tokens": found.tokens})

    @router.post(place + "/{session_id}/optim_step")
    @described("Step with the gradients so far.", body=OptimStepRequest, reply=StepReply, raises=(ConflictError, *IN_GAPS))
    async def optim_step(session_id: str, request: Request) -> Response:
        body = await read_request(request, OptimStepRequest)
        session = sessions.get(session_id)
        norm = await to_thread.run_sync(session.optim_step, float(body.learning_rate))
        return json_reply({"steps": session.steps, "gradient_norm": norm})

    @router.post(place + "/{session_id}/sample")
    @described("Plan a goal with the weights as they are.", body=SampleRequest, reply=SampleReply, raises=IN_GAPS)
    async def sample(session_id: str, request: Request) -> Response:
        body = await read_request(request, SampleRequest)
        check_goal(body.goal)
        session = sessions.get(session_id)
        text = await to_thread.run_sync(lambda: sessions.sample(session, body.goal, body.max_tokens))
        return json_reply({"text": text})

    @router.post(place + "/{session_id}/save_state")
    @described("Make a candidate of the weights as they are.", reply=StateReply, raises=IN_GAPS)
    async def save_state(session_id: str) -> Response:
        session = sessions.get(session_id)
        return json_reply({"version": await to_thread.run_sync(sessions.save_state, session)})

    return router


def _shown(session: TrainingSession) -> dict[str, Any]:
    return {"id": session.id, "parent": session.live, "steps": session.steps, "pending_rows": session.pending_rows}


def _example(number: int, datum: Datum) -> Example:
    plan = read_plan(datum.plan, f"data[{number}].plan")
    return Example(
        id=str(number), source="session", domain=plan.domain, text=datum.goal, plan=plan, corrected=False, order=number
    )
