"""The learner's routes in the OpenAPI document: all of them are there, with who may ask, and requests made from it get what it
says (schemathesis)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from schemathesis import GenerationMode

from builderbrain.serve.boundary import is_administrative
from tests.learn.routing import PLAN, Routes, learner_routes
from tests.serve.documented import check_operation, check_reply, schema_of

BOSS = {"Authorization": "Bearer boss"}
READ_NO_BODY = [
    "GET /v1/learning",
    "GET /v1/files/{file_id}",
    "GET /v1/files/{file_id}/content",
    "DELETE /v1/files/{file_id}",
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}",
    "POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel",
    "GET /v1/training/sessions",
    "DELETE /v1/training/sessions/{session_id}",
    "POST /v1/training/sessions/{session_id}/save_state",
]
"""No request to them is wrong: any name can be asked for."""
READ_SOMETHING = [
    "POST /v1/traces",
    "POST /v1/files",
    "GET /v1/files",
    "POST /v1/fine_tuning/jobs",
    "GET /v1/fine_tuning/jobs",
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events",
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints",
    "POST /v1/training/sessions",
    "POST /v1/training/sessions/{session_id}/forward_backward",
    "POST /v1/training/sessions/{session_id}/optim_step",
    "POST /v1/training/sessions/{session_id}/sample",
]
ROW = json.dumps({"goal": "tell bob@example.org", "plan": PLAN}).encode()
PREFIXES = ("/v1/traces", "/v1/learning", "/v1/files", "/v1/fine_tuning", "/v1/training")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routes]:
    with learner_routes(tmp_path_factory.mktemp("openapi")) as started:
        yield started


@pytest.fixture(scope="module")
def document(routes: Routes) -> dict[str, Any]:
    return httpx.get(f"{routes.server.url}/openapi.json", trust_env=False).json()


@pytest.fixture(scope="module")
def api_schema(document: dict[str, Any], routes: Routes) -> Any:
    return schema_of(document, routes.server.url)


def test_the_document_is_valid_and_has_every_route_of_the_learner(document: dict[str, Any], api_schema: Any) -> None:
    api_schema.validate()
    written = [
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(PREFIXES)
    ]
    assert sorted(written) == sorted(READ_NO_BODY + READ_SOMETHING)


def test_all_but_telling_and_looking_is_the_administrators(document: dict[str, Any], routes: Routes) -> None:
    for operation in READ_NO_BODY + READ_SOMETHING:
        method, path = operation.split()
        told = document["paths"][path][method.lower()]
        closed = path not in ("/v1/traces", "/v1/learning")
        assert is_administrative(path) == closed
        assert ("403" in told["responses"]) == closed
        assert (told["security"] == [{"key": []}]) == closed
        reply = httpx.request(method, f"{routes.server.url}{path.replace('{', '').replace('}', '')}", trust_env=False)
        assert (reply.status_code == 403) == closed


@pytest.mark.parametrize(
    ("operation", "mode"),
    [(each, GenerationMode.POSITIVE) for each in READ_NO_BODY]
    + [(each, mode) for each in READ_SOMETHING for mode in GenerationMode],
)
def test_what_is_made_from_the_document_gets_what_it_says(
    api_schema: Any, routes: Routes, operation: str, mode: GenerationMode
) -> None:
    with clean_client(routes) as http:
        file = http.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", ROW)}).json()["id"]
        job = http.post("/v1/fine_tuning/jobs", json={"model": "tiny", "training_file": file}).json()["id"]
        session = http.post("/v1/training/sessions", json={}).json()["id"]
        known = {
            "id": routes.trace, "file": ROW.decode(), "file_id": file, "training_file": file, "model": "tiny",
            "fine_tuning_job_id": job, "session_id": session,
            "plan": PLAN, "data": [{"goal": "find gate", "plan": PLAN}],
        }  # fmt: skip
        check_operation(api_schema, operation, mode, BOSS, known=known)


@contextmanager
def clean_client(routes: Routes) -> Iterator[httpx.Client]:
    """As the administrator, where no job and no session is left of a test before."""
    while routes.jobs.run_next():
        pass
    with httpx.Client(base_url=routes.server.url, headers=BOSS, trust_env=False) as http:
        for session in http.get("/v1/training/sessions").json()["data"]:
            http.delete(f"/v1/training/sessions/{session['id']}")
        yield http


def test_replies_hold_what_the_document_lists_and_nothing_else(document: dict[str, Any], routes: Routes) -> None:
    with clean_client(routes) as http:

        def ask(operation: str, identifier: str = "", **sent: Any) -> Any:
            method, path = operation.split()
            place = path if "{" not in path else f"{path.partition('{')[0]}{identifier}{path.partition('}')[2]}"
            reply = http.request(method, place, **sent)
            check_reply(document, method, path, reply)
            return reply.json()

        ask("POST /v1/traces", json={"id": routes.trace, "right": False, "plan": PLAN})
        ask("GET /v1/learning")
        file = ask("POST /v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", ROW)})["id"]
        ask("GET /v1/files")
        ask("GET /v1/files/{file_id}", file)
        wanted = {"model": "tiny", "training_file": file, "suffix": "s", "metadata": {"a": "b"}}
        job = ask("POST /v1/fine_tuning/jobs", json=wanted)["id"]
        assert routes.jobs.run_next()
        ask("GET /v1/fine_tuning/jobs")
        for tail in ("", "/events", "/checkpoints"):
            ask(f"GET /v1/fine_tuning/jobs/{{fine_tuning_job_id}}{tail}", job)
        waiting = ask("POST /v1/fine_tuning/jobs", json=wanted)["id"]
        ask("POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel", waiting)
        ask("DELETE /v1/files/{file_id}", file)
        place = "/v1/training/sessions/{session_id}"
        session = ask("POST /v1/training/sessions", json={})["id"]
        ask("GET /v1/training/sessions")
        ask(f"POST {place}/forward_backward", session, json={"data": [{"goal": "find gate", "plan": PLAN}]})
        ask(f"POST {place}/optim_step", session, json={})
        ask(f"POST {place}/sample", session, json={"goal": "find gate"})
        ask(f"POST {place}/save_state", session)
        ask(f"DELETE {place}", session)


@pytest.mark.parametrize("operation", READ_NO_BODY + READ_SOMETHING)
def test_the_page_of_routes_lists_it(operation: str) -> None:
    assert f"`{operation}`" in (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
