"""`/v1/fine_tuning/jobs` in OpenAI's shape, for administrators: create, list, retrieve, cancel, events, checkpoints.

`fine_tuned_model` is a version of the registry. It is a candidate: served once the gate has passed it and somebody loads or
promotes it (`/v1/versions`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import ConflictError, ResourceNotFoundError, UnknownModelError
from builderbrain.learn.jobs import ENDED, FineTuningJob, FineTuningJobs, Hyperparameters
from builderbrain.learn.paging import PageRequest, page_of, page_to_json
from builderbrain.serve.fields import MAX_NAME, RequestModel, read_query, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.service import Service

MOST_PAIRS, MOST_KEY_CHARACTERS, MOST_VALUE_CHARACTERS = 16, 64, 512
"""Of `metadata`, as OpenAI has them."""
Auto = Literal["auto"]


Metadata = dict[Annotated[str, Field(max_length=MOST_KEY_CHARACTERS)], Annotated[str, Field(max_length=MOST_VALUE_CHARACTERS)]]


class HyperparametersRequest(RequestModel):
    """`auto` takes what the learner would."""

    n_epochs: Annotated[int, Field(ge=1, le=100)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=2, le=1024)] | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=100)] | Auto = "auto"


class JobRequest(RequestModel):
    """OpenAI's. `training_file` is the id of an uploaded file, or the name of one in the server's folder of training files."""

    model: str = Field(min_length=1, max_length=MAX_NAME)
    training_file: str = Field(min_length=1, max_length=MAX_NAME)
    hyperparameters: HyperparametersRequest | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    suffix: str | None = Field(default=None, min_length=1, max_length=64)
    metadata: Metadata | None = Field(default=None, max_length=MOST_PAIRS)
    refused_fields: ClassVar = {
        "validation_file": "all rows are trained on, and the gate judges what came of it",
        "integrations": "read /v1/fine_tuning/jobs/ID/events",
        "method": "there is one method; its numbers are `hyperparameters`",
    }

    @field_validator("metadata", mode="before")
    @classmethod
    def _few_pairs(cls, metadata: Any) -> Any:
        # A dictionary does not end at its first wrong value as lists do, so that its length is looked at first.
        if isinstance(metadata, dict) and len(metadata) > MOST_PAIRS:
            raise PydanticCustomError("metadata", f"expected at most {MOST_PAIRS} entries, got {len(metadata)}")
        return metadata


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


class EventReply(BaseModel):
    """Something that happened to a job."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message"] = "message"
    data: dict[str, Any]


class EventsReply(BaseModel):
    """A page of a job's events, newest first."""

    object: Literal["list"] = "list"
    data: list[EventReply]
    has_more: bool


class CheckpointsReply(BaseModel):
    """No checkpoint: a job keeps nothing between its beginning and its candidate, which is `fine_tuned_model`."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]] = Field(max_length=0)
    first_id: None = None
    last_id: None = None
    has_more: Literal[False] = False


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
    @described("Fine-tuning jobs, newest first.", query=PageRequest, reply=JobsReply)
    async def list_jobs(request: Request) -> Response:
        asked, found = read_query(request, PageRequest), jobs.all()
        page = page_of(found, [job.id for job in found], after=asked.after, limit=asked.limit)
        return json_reply({"object": "list", "data": [job_to_json(job) for job in page.rows], "has_more": page.has_more})

    @router.get("/v1/fine_tuning/jobs/{fine_tuning_job_id}")
    @described("One fine-tuning job.", reply=JobReply, raises=(ResourceNotFoundError,))
    async def retrieve(fine_tuning_job_id: str) -> Response:
        return json_reply(job_to_json(jobs.get(fine_tuning_job_id)))

    @router.post("/v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel")
    @described("End a fine-tuning job.", reply=JobReply, raises=(ResourceNotFoundError, ConflictError))
    async def cancel(fine_tuning_job_id: str) -> Response:
        return json_reply(job_to_json(await to_thread.run_sync(jobs.cancel, fine_tuning_job_id)))

    @router.get("/v1/fine_tuning/jobs/{fine_tuning_job_id}/events")
    @described(
        "What happened to a fine-tuning job, newest first.",
        query=PageRequest,
        reply=EventsReply,
        raises=(ResourceNotFoundError,),
    )
    async def events(fine_tuning_job_id: str, request: Request) -> Response:
        asked = read_query(request, PageRequest)
        found = [
            {**event, "object": "fine_tuning.job.event", "type": "message", "data": {}}
            for event in reversed(jobs.get(fine_tuning_job_id).events)
        ]
        page = page_of(found, [event["id"] for event in found], after=asked.after, limit=asked.limit)
        return json_reply({"object": "list", "data": page.rows, "has_more": page.has_more})

    @router.get("/v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")
    @described(
        "Checkpoints of a fine-tuning job, which keeps none.",
        query=PageRequest,
        reply=CheckpointsReply,
        raises=(ResourceNotFoundError,),
    )
    async def checkpoints(fine_tuning_job_id: str, request: Request) -> Response:
        asked = read_query(request, PageRequest)
        jobs.get(fine_tuning_job_id)
        none: list[dict[str, Any]] = []
        page = page_of(none, [], after=asked.after, limit=asked.limit)
        return json_reply(page_to_json(none, has_more=page.has_more))

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
