"""Files to train on: uploaded with the official client, checked and scrubbed before they are stored, bounded, whole or
absent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from builderbrain.errors import CheckpointError, ConflictError, InvalidRequestError, OutputError, ResourceNotFoundError
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.files import UploadedFiles
from builderbrain.learn.jobs import FineTuningJobs, Hyperparameters
from builderbrain.learn.trace_log import MAX_ROW_BYTES
from builderbrain.learn.uploads import ScrubbedRows, scrubbed_rows
from builderbrain.serve import boundary
from builderbrain.storage import fail_point_hook
from tests.learn.routing import Routes, learner_routes, make

LIMIT = 80_000
GOOD = {"goal": "search for gate", "plan": 's1=search(pattern="gate")'}
PRIVATE = {"goal": "search for bob@example.org", "plan": 's1=search(pattern="bob@example.org")'}
TRACE = {
    "id": "1",
    "domain": "repo_assistant",
    "messages": [{"role": "user", "content": "find the gate"}],
    "plan": {
        "domain": "repo_assistant",
        "version": 1,
        "steps": [{"id": "s1", "skill": "search", "args": {"pattern": "gate"}}],
    },
}


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routes]:
    with learner_routes(tmp_path_factory.mktemp("files"), most_upload_bytes=LIMIT, most_uploaded_bytes=4 * LIMIT) as started:
        yield started


@pytest.fixture
def client(routes: Routes) -> Iterator[openai.OpenAI]:
    made = routes.server.client("boss")
    yield made
    for file in made.files.list():
        made.files.delete(file.id)


def upload(client: openai.OpenAI, content: bytes = lines(GOOD), name: str = "rows.jsonl") -> openai.types.FileObject:
    return client.files.create(file=(name, content), purpose="fine-tune")


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_file_is_uploaded_listed_read_and_deleted(client: openai.OpenAI) -> None:
    made = upload(client, lines(GOOD, TRACE))
    assert (made.object, made.purpose, made.status, made.filename) == ("file", "fine-tune", "processed", "rows.jsonl")
    assert made.model_extra is not None
    assert (made.model_extra["rows"], made.model_extra["scrubbed"]) == (2, {})
    assert client.files.retrieve(made.id) == made
    assert [file.id for file in client.files.list()] == [made.id]
    content = client.files.content(made.id).read()
    assert len(content) == made.bytes
    assert [json.loads(line) for line in content.splitlines()] == [GOOD, TRACE]
    gone = client.files.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    assert list(client.files.list()) == []
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="there is no file"):
            ask(made.id)


def test_a_job_trains_on_an_uploaded_file(routes: Routes, client: openai.OpenAI) -> None:
    file = upload(client, lines(GOOD, PRIVATE))
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    assert job.training_file == file.id
    with pytest.raises(openai.ConflictError, match=f"{job.id} trains on"):
        client.files.delete(file.id)
    assert routes.jobs.run_next()
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.fine_tuned_model) == ("succeeded", "v" * 16)
    assert any(event.message == "2 rows" for event in client.fine_tuning.jobs.list_events(job.id))
    client.files.delete(file.id)
    with pytest.raises(openai.BadRequestError, match="training_file: there is no file"):
        client.fine_tuning.jobs.create(model="tiny", training_file=file.id)


def test_personal_data_is_scrubbed_before_anything_is_on_disk(
    routes: Routes, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, *more, **named: opened.append(path) or really(path, *more, **named))
    file = upload(client, lines(PRIVATE, *[GOOD] * 500), name="bob@example.org rows.jsonl")
    assert (file.filename, file.model_extra["scrubbed"]) == ("<EMAIL_1> rows.jsonl", {"EMAIL": 2})  # type: ignore[index]
    content = client.files.content(file.id).read()
    assert json.loads(content.splitlines()[0]) == {
        "goal": "search for <EMAIL_1>",
        "plan": 's1=search(pattern="<EMAIL_1>")',
    }
    stored = everything_below(routes.jobs.files)
    assert b"EMAIL_1" in stored
    assert b"bob" not in stored
    assert opened
    assert all(Path(path).is_relative_to(routes.jobs.files) for path in opened)


def test_an_altered_hash_of_a_trace_is_found_and_a_right_one_does_not_outlive_the_scrubbing() -> None:
    from builderbrain.data import trace_from_json, trace_to_json

    row = trace_to_json(trace_from_json({**TRACE, "messages": [{"role": "user", "content": "mail bob@example.org"}]}))
    found = scrubbed_rows(lines(row), "rows.jsonl")
    assert found.scrubbed == {"EMAIL": 1}
    assert "sha256" not in json.loads(found.content)
    with pytest.raises(InvalidRequestError, match=r"rows.jsonl line 1: sha256"):
        scrubbed_rows(lines({**row, "domain": "repo_assistant", "skin": "other"}), "rows.jsonl")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (lines(GOOD) + b"{", "rows.jsonl line 2: expected one JSON object"),
        (b"\n" + lines(GOOD, {"goal": "x"}), "rows.jsonl line 3: .*'plan'"),
        (lines({"goal": "x", "plan": "s1=rm("}), "rows.jsonl line 1: plan: "),
        (lines({"goal": 3, "plan": "s1=list()"}), "rows.jsonl line 1: goal: "),
        (lines({**GOOD, "pattern": "other"}), "rows.jsonl line 1: pattern: "),
        (lines({**TRACE, "messages": 1}), "rows.jsonl line 1: messages: "),
        (lines({"messages": [{"role": "user", "content": "hi"}]}), "rows.jsonl line 1: "),
        (lines({**TRACE, "plan": None}), "none: left out: 1 without a plan .*rows.jsonl line 1"),
        (b'{"goal": "a", "goal": "b"}', "line 1: .*twice"),
        (b"[1]", "line 1: expected one JSON object, got a list"),
        (b"\xff\xfe{\x00}\x00", "UTF-16"),
        (b'{"goal": "\xff"}', "line 1: expected UTF-8"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (lines({"goal": "w" * MAX_ROW_BYTES, "plan": "s1=list()"}), "line 1: .*split it"),
        (b"[" * 5000, "line 1"),
    ],
)
def test_every_row_is_checked_and_the_error_names_file_line_and_key(client: openai.OpenAI, content: bytes, said: str) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        upload(client, content)
    assert refused.value.param == "file"
    assert list(client.files.list()) == []


def test_rows_that_cannot_be_trained_on_are_counted(client: openai.OpenAI) -> None:
    file = upload(client, lines(GOOD, {**TRACE, "plan": None}, {**GOOD, "note": "x"}))
    assert file.model_extra is not None
    assert file.model_extra["rows"] == 2
    assert "1 without a plan (the first: rows.jsonl line 2)" in str(file.status_details)
    assert "'note'" in str(file.status_details)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\rows.jsonl", "rows.jsonl"), ("file-" + "0" * 24, None), ("é.jsonl", "é.jsonl")],
)
def test_names_are_no_paths(routes: Routes, client: openai.OpenAI, name: str, kept: str | None) -> None:
    file = upload(client, name=name)
    assert file.filename == (kept or name)
    assert file.id != name
    folder = routes.jobs.files / "uploaded" / file.id
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "rows.jsonl"]


@pytest.mark.parametrize("name", ["a/", "", "n" * 300, "a\0b", "a\nb"])
def test_a_file_without_a_fit_name_is_refused(routes: Routes, name: str) -> None:
    disposition = "Content-Disposition: form-data; name"
    head = f'--b\r\n{disposition}="purpose"\r\n\r\nfine-tune\r\n--b\r\n{disposition}="file"; filename="{name}"\r\n\r\n'
    reply = ask(routes, head.encode() + lines(GOOD) + b"\r\n--b--\r\n")
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def ask(routes: Routes, body: bytes, key: str = "boss") -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Authorization": f"Bearer {key}"}
    return httpx.post(f"{routes.server.url}/v1/files", content=body, headers=headers, trust_env=False)


def test_other_purposes_and_expiry_are_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="purpose: expected 'fine-tune'"):
        client.files.create(file=("a.jsonl", lines(GOOD)), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="files stay until they are deleted"):
        client.files.create(
            file=("a.jsonl", lines(GOOD)), purpose="fine-tune", expires_after={"anchor": "created_at", "seconds": 3600}
        )


def test_pages_follow_each_other_in_either_order(client: openai.OpenAI) -> None:
    ids = [upload(client, name=f"{number}.jsonl").id for number in range(5)]
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == ids
    page = client.files.list(limit=2, order="asc", after=ids[1])
    assert ([file.id for file in page.data], page.has_more) == (ids[2:4], True)
    assert list(client.files.list(purpose="batch")) == []
    for wrong in ({"after": "file-other"}, {"limit": 0}, {"order": "up"}, {"extra_query": {"limits": 3}}):
        with pytest.raises(openai.BadRequestError):
            client.files.list(**wrong)


def test_sizes_are_bounded_apart_from_other_bodies(routes: Routes, client: openai.OpenAI) -> None:
    row = lines(GOOD)
    full = row * (LIMIT // len(row))
    made = [upload(client, full) for _ in range(4)]
    with pytest.raises(openai.ConflictError, match="most_uploaded_bytes"):
        upload(client, full)
    client.files.delete(made[0].id)
    upload(client, full)
    with pytest.raises(openai.APIStatusError, match="most_upload_bytes") as refused:
        upload(client, full + row)
    assert refused.value.status_code == 413
    reply = ask(routes, b"x" * (LIMIT + 100_000))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
    assert f"at most {LIMIT + 65536} bytes, got" in reply.json()["error"]["message"]


def test_a_large_upload_may_pass_what_other_routes_refuse(tmp_path: Path) -> None:
    with learner_routes(tmp_path, most_upload_bytes=12 << 20) as routes:
        # Eight times what a route without a limit of its own takes; the content is no row, and that is what is said.
        body = b"w" * (6 << 20)
        reply = httpx.post(f"{routes.server.url}/v1/fine_tuning/jobs", content=body, headers=BOSS, trust_env=False)
        assert reply.status_code == 413
        with pytest.raises(openai.BadRequestError, match=r"big\.jsonl line 1: .*split it"):
            upload(routes.server.client("boss"), body, name="big.jsonl")


BOSS = {"Authorization": "Bearer boss", "Content-Type": "application/json"}


def test_only_the_administrator_asks(routes: Routes) -> None:
    assert ask(routes, b"", key="other").status_code == 403
    for method, path in (("GET", ""), ("GET", "/file-1"), ("GET", "/file-1/content"), ("DELETE", "/file-1"), ("GET", "/")):
        reply = httpx.request(method, f"{routes.server.url}/v1/files{path}", trust_env=False)
        assert reply.status_code == 403
        assert boundary.is_administrative(f"/v1/files{path}")


ROWS = ScrubbedRows(content=lines(GOOD), rows=1, scrubbed={}, left_out=())


def test_files_outlive_the_server_and_torn_ones_are_told(tmp_path: Path) -> None:
    files = UploadedFiles(tmp_path, most_bytes=LIMIT)
    kept, other = files.add("a.jsonl", ROWS), files.add("b.jsonl", ROWS)
    assert UploadedFiles(tmp_path, most_bytes=LIMIT).get(kept.id) == kept
    (tmp_path / other.id / "rows.jsonl").write_bytes(lines(PRIVATE))
    with pytest.raises(CheckpointError, match=r"altered|torn"):
        files.content(other.id)
    (tmp_path / other.id / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match=other.id):
        UploadedFiles(tmp_path, most_bytes=LIMIT)


def test_a_job_on_an_altered_file_fails_and_says_so(tmp_path: Path) -> None:
    jobs = FineTuningJobs(tmp_path, LearnConfig(), make)
    file = jobs.uploads.add("a.jsonl", ROWS)
    job = jobs.create(
        model="tiny", training_file=file.id, hyperparameters=Hyperparameters(), seed=1, suffix=None, metadata=None
    )
    jobs.uploads.path(file.id).write_bytes(lines(PRIVATE))
    assert jobs.run_next()
    assert job.status == "failed"
    assert file.id in str(job.error)


@pytest.mark.parametrize("point", ["directory.before_file", "directory.before_manifest", "directory.before_rename"])
def test_a_full_disk_leaves_nothing_of_a_file(tmp_path: Path, point: str) -> None:
    files = UploadedFiles(tmp_path, most_bytes=len(ROWS.content))

    def full(name: str) -> None:
        if name == point:
            raise OSError(28, "No space left on device")

    with fail_point_hook(full), pytest.raises(OutputError, match="No space left"):
        files.add("a.jsonl", ROWS)
    assert list(tmp_path.iterdir()) == []
    assert files.all() == []
    files.add("a.jsonl", ROWS)  # its bytes were given back


def test_what_a_crash_leaves_goes_at_the_next_start(tmp_path: Path) -> None:
    files = UploadedFiles(tmp_path, most_bytes=LIMIT)
    identifier = files.add("a.jsonl", ROWS).id
    (tmp_path / identifier).rename(tmp_path / f".{identifier}.deleted.tmp")
    again = UploadedFiles(tmp_path, most_bytes=LIMIT)
    assert (again.all(), list(tmp_path.iterdir())) == ([], [])
    with pytest.raises(ResourceNotFoundError):
        again.verify(identifier)


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builderbrain.learn.files.MOST_FILES", 2)
    files = UploadedFiles(tmp_path, most_bytes=LIMIT)
    for _ in range(2):
        files.add("a.jsonl", ROWS)
    with pytest.raises(ConflictError, match="room for 2 files"):
        files.add("a.jsonl", ROWS)
