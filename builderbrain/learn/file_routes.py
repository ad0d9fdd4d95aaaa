"""`/v1/files` in OpenAI's shape, for administrators: upload, list, retrieve, content, delete. Files are there to train on."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import (
    BodyTooLargeError,
    CheckpointError,
    ConflictError,
    InvalidRequestError,
    OutputError,
    ResourceNotFoundError,
)
from builderbrain.learn.files import UploadedFile
from builderbrain.learn.jobs import FineTuningJobs
from builderbrain.learn.paging import PageRequest, page_of, page_to_json
from builderbrain.learn.uploads import scrubbed_rows
from builderbrain.serve.fields import MAX_NAME, read_query
from builderbrain.serve.multipart import FORM_BYTES, FormModel, read_form
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply

JSON_LINES = "application/jsonl"


class FileRequest(FormModel):
    """OpenAI's. `file` has rows of training data, one JSON object a line."""

    file: bytes
    purpose: Literal["fine-tune"]
    refused_fields: ClassVar = {
        "expires_after[anchor]": "files stay until they are deleted",
        "expires_after[seconds]": "files stay until they are deleted",
    }


class FilesRequest(PageRequest):
    """Which part of the list, of which purpose, and in which order of their coming."""

    limit: int = Field(default=10_000, ge=1, le=10_000)
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = Field(default=None, max_length=MAX_NAME)


class FileReply(BaseModel):
    """OpenAI's file, with the `rows` that can be trained on and how many values were `scrubbed` of it, by kind. `bytes` and the
    content are those that are kept, after scrubbing; `status_details` says which rows are left out."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: None = None
    filename: str
    purpose: Literal["fine-tune"] = "fine-tune"
    status: Literal["processed"] = "processed"
    status_details: str | None
    rows: int
    scrubbed: dict[str, int]


class FilesReply(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeletedReply(BaseModel):
    """A file is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def files_router(jobs: FineTuningJobs, *, most_bytes: int) -> APIRouter:
    """The routes.

    Args:
        jobs: whose files they are.
        most_bytes: of an uploaded file.
    """
    router = APIRouter()
    files, turn = jobs.uploads, asyncio.Lock()

    @router.post("/v1/files")
    @described(
        "Upload rows to train on; they are checked and scrubbed of personal data before they are stored.",
        body=FileRequest,
        most_bytes=most_bytes + FORM_BYTES,
        reply=FileReply,
        raises=(ConflictError, OutputError),
    )
    async def upload(request: Request) -> Response:
        form = await read_form(request, FileRequest)
        name, content = _base_name(form.names["file"]), form.fields.file
        if len(content) > most_bytes:
            raise BodyTooLargeError(
                f"file: expected at most {most_bytes} bytes (most_upload_bytes), got {len(content)}; split the file",
                field="file",
            )
        async with turn:  # one at a time: reading rows takes the processor
            made = await to_thread.run_sync(lambda: files.add(name, scrubbed_rows(content, name)))
        return json_reply(file_to_json(made))

    @router.get("/v1/files")
    @described("Uploaded files, newest first.", query=FilesRequest, reply=FilesReply)
    async def list_files(request: Request) -> Response:
        asked = read_query(request, FilesRequest)
        found = files.all() if asked.purpose in (None, "fine-tune") else []
        if asked.order == "asc":
            found.reverse()
        page = page_of(found, [file.id for file in found], after=asked.after, limit=asked.limit)
        return json_reply(page_to_json([file_to_json(file) for file in page.rows], has_more=page.has_more))

    @router.get("/v1/files/{file_id}")
    @described("One uploaded file.", reply=FileReply, raises=(ResourceNotFoundError,))
    async def retrieve_file(file_id: str) -> Response:
        return json_reply(file_to_json(files.get(file_id)))

    @router.get("/v1/files/{file_id}/content")
    @described(
        "The rows of an uploaded file as they are kept.",
        other_replies=(JSON_LINES,),
        raises=(ResourceNotFoundError, CheckpointError),
    )
    async def file_content(file_id: str) -> Response:
        return Response(await to_thread.run_sync(files.content, file_id), media_type=JSON_LINES)

    @router.delete("/v1/files/{file_id}")
    @described(
        "Delete an uploaded file that no job waits for.",
        reply=FileDeletedReply,
        raises=(ResourceNotFoundError, ConflictError, OutputError),
    )
    async def delete_file(file_id: str) -> Response:
        await to_thread.run_sync(jobs.delete_file, file_id)
        return json_reply({"id": file_id, "object": "file", "deleted": True})

    return router


def file_to_json(file: UploadedFile) -> dict[str, Any]:
    """JSON values of `FileReply`."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.num_bytes,
        "created_at": file.created_at,
        "expires_at": None,
        "filename": file.name,
        "purpose": "fine-tune",
        "status": "processed",
        "status_details": "; ".join(file.left_out) or None,
        "rows": file.rows,
        "scrubbed": dict(file.scrubbed),
    }


def _base_name(name: str) -> str:
    """The last part of what a client calls a file.

    Raises:
        InvalidRequestError: there is none, it is too long, or has characters that no name has.
    """
    found = name.replace("\\", "/").rpartition("/")[2]
    if not found or len(found) > MAX_NAME or not found.isprintable():
        raise InvalidRequestError(
            f"file: expected a file with a name of 1 to {MAX_NAME} printable characters, got {name!r:.80}", field="file"
        )
    return found
