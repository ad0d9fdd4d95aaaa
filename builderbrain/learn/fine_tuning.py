"""`/v1/fine_tuning/jobs` in OpenAI's shape, for administrators: create, list, retrieve, cancel, events.

`fine_tuned_model` is a version of the registry. It is a candidate: served once the gate has passed it and somebody loads or
promotes it (`/v1/versions`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import ConflictError, InvalidRequestError, UnknownModelError
from builderbrain.learn.jobs import ENDED, FineTuningJob, FineTuningJobs, Hyperparameters
from builderbrain.serve.fields import MAX_NAME, RequestModel, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.service import Service

MOST_LISTED = 100
T = TypeVar("T")
Auto = Literal["auto"]


class HyperparametersRequest(RequestModel):
    """`auto` takes what the learner would."""

    n_epochs: Annotated[int, Field(ge=1, le=100)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=2, le=1024)] | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=100)] | Auto = "auto"


class JobRequest(RequestModel):
    """OpenAI's. `training_file` is the name of a file in the server's folder of training files."""

    model: str = Field(min_length=1, max_length=MAX_NAME)
    training_file: str = Field(min_length=1, max_length=MAX_NAME)
    hyperparameters: HyperparametersRequest | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    suffix: str | None = Field(default=None, max_length=64)
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    refused_fields: ClassVar = {
        "validation_file": "every tenth row of a training file is never trained on, and the gate judges",
        "integrations": "read /v1/fine_tuning/jobs/ID/events",
        "method": "there is one method; its numbers are `hyperparameters`",
    }


class JobReply(BaseModel):
    """OpenAI's fine-tuning job, with the gate's `verdict` on the candidate."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: str
    training_file: str
    validation_file: None = None
    hyperparameters: dict[str, Any]
    result_files: list[str]
    trained_tokens: int | None
    seed: int
    error: dict[str, Any] | None
    metadata: dict[str, str] | None
    verdict: str | None


class JobsReply(BaseModel):
    """A page of jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobReply]
    has_more: bool


class EventsReply(BaseModel):
    """A page of a job's events, newest first."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    has_more: bool


def fine_tuning_router(jobs: FineTuningJobs, service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.post("/v1/fine_tuning/jobs")
    @described("Train a candidate on a file.", body=JobRequest, reply=JobReply, raises=(UnknownModelError, ConflictError))
    async def create(request: Request) -> Response:
        body = await read_request(request, JobRequest)
        service.served(body.model)
        asked = body.hyperparameters or HyperparametersRequest()
        given = {name: value for name, value in asked.model_dump().items() if value != "auto"}
        job = await to_thread.run_sync(
            lambda: jobs.create(
                model=body.model,
                training_file=body.training_file,
                hyperparameters=Hyperparameters(**given),
                seed=body.seed,
                suffix=body.suffix,
                metadata=body.metadata,
            )
        )
        return json_reply(job_to_json(job))

    @router.get("/v1/fine_tuning/jobs")
    @described("Fine-tuning jobs, newest first.", reply=JobsReply)
    async def list_jobs(request: Request) -> Response:
        page, more = _page(jobs.all(), [job.id for job in jobs.all()], request)
        return json_reply({"object": "list", "data": [job_to_json(job) for job in page], "has_more": more})

    @router.get("/v1/fine_tuning/jobs/{fine_tuning_job_id}")
    @described("One fine-tuning job.", reply=JobReply)
    async def retrieve(fine_tuning_job_id: str) -> Response:
        return json_reply(job_to_json(jobs.get(fine_tuning_job_id)))

    @router.post("/v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel")
    @described("End a fine-tuning job.", reply=JobReply, raises=(ConflictError,))
    async def cancel(fine_tuning_job_id: str) -> Response:
        return json_reply(job_to_json(await to_thread.run_sync(jobs.cancel, fine_tuning_job_id)))

    @router.get("/v1/fine_tuning/jobs/{fine_tuning_job_id}/events")
    @described("What happened to a fine-tuning job, newest first.", reply=EventsReply)
    async def events(fine_tuning_job_id: str, request: Request) -> Response:
        found = [
            {**event, "object": "fine_tuning.job.event", "type": "message", "data": {}}
            for event in reversed(jobs.get(fine_tuning_job_id).events)
        ]
        page, more = _page(found, [event["id"] for event in found], request)
        return json_reply({"object": "list", "data": page, "has_more": more})

    return router


def job_to_json(job: FineTuningJob) -> dict[str, Any]:
    """JSON values of `JobReply`."""
    shown = job.hyperparameters
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "model": job.model,
        "fine_tuned_model": job.version,
        "organization_id": "builderbrain",
        "status": job.status,
        "training_file": job.training_file,
        "validation_file": None,
        "hyperparameters": {
            "n_epochs": shown.n_epochs,
            "batch_size": shown.batch_size,
            "learning_rate_multiplier": shown.learning_rate_multiplier,
        },
        "result_files": [],
        "trained_tokens": job.trained_tokens,
        "seed": job.seed,
        "error": None if job.error is None else {"code": "training_failed", "message": job.error, "param": None},
        "metadata": job.metadata,
        "verdict": job.verdict if job.status in ENDED else None,
    }


def _page(rows: list[T], ids: list[str], request: Request) -> tuple[list[T], bool]:
    """`limit` rows after the one whose id is `after`, and whether there are more."""
    given, after = request.query_params.get("limit", "20"), request.query_params.get("after")
    if not (given.isdecimal() and len(given) <= 4 and 1 <= int(given) <= MOST_LISTED):
        raise InvalidRequestError(f"limit: expected 1 to {MOST_LISTED}, got {given!r:.20}", field="limit")
    if after is not None and after not in ids:
        raise InvalidRequestError(f"after: expected an id of this list, got {after!r:.80}", field="after")
    start = 0 if after is None else ids.index(after) + 1
    return rows[start : start + int(given)], len(rows) > start + int(given)
