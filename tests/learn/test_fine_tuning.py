"""Fine-tuning jobs: OpenAI's shape with the official client, their files, their ends, and that what they make is no more than a
candidate."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from builderbrain.errors import ConflictError, DataError, InvalidRequestError
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.jobs import FineTuningJob, FineTuningJobs, Hyperparameters, Made, Prepared
from tests.learn.routing import Routes, learner_routes
from tests.learn.routing import make as made
from tests.learn.serving import WORDS, Learning


def write_rows(folder: Path, name: str = "rows.jsonl", count: int = 6) -> None:
    rows = [{"goal": f"search for {word}", "plan": f's1=search(pattern="{word}")'} for word in WORDS[:count]]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def jobs_of(folder: Path, make: Any = made) -> FineTuningJobs:
    return FineTuningJobs(folder, LearnConfig(), make)


def create(jobs: FineTuningJobs, name: str = "rows.jsonl") -> FineTuningJob:
    return jobs.create(model="tiny", training_file=name, hyperparameters=Hyperparameters(), seed=1, suffix=None, metadata=None)


def test_jobs_run_in_order_and_say_what_came_of_them(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path)
    write_rows(jobs.files)
    first, second = create(jobs), create(jobs)
    assert jobs.run_next()
    assert (first.status, first.version, first.verdict, first.trained_tokens) == ("succeeded", "v" * 16, "promote", 7)
    assert second.status == "queued"
    assert [event["message"] for event in first.events][-1] == "The job has succeeded."
    assert jobs.run_next()
    assert not jobs.run_next()


@pytest.mark.parametrize(
    "name", ["../rows.jsonl", "missing.jsonl", "/etc/passwd", ".", "", "a/b.jsonl", "link.jsonl", "sub", "a\0b"]
)
def test_only_plain_files_of_the_folder_are_trained_on(tmp_path: Path, name: str) -> None:
    jobs = jobs_of(tmp_path)
    write_rows(tmp_path)
    (jobs.files / "link.jsonl").symlink_to(tmp_path / "rows.jsonl")
    (jobs.files / "sub").mkdir()
    with pytest.raises(InvalidRequestError, match="training_file"):
        create(jobs, name)


def test_a_job_is_cancelled_while_it_waits_or_runs_and_not_afterwards(tmp_path: Path) -> None:
    began = threading.Event()

    def slow(prepared: Prepared, say: Callable[[str], None], cancelled: Callable[[], bool]) -> Made:
        began.set()
        while not cancelled():
            pass
        raise CancelledError

    jobs = jobs_of(tmp_path, slow)
    write_rows(jobs.files)
    running, waiting = create(jobs), create(jobs)
    thread = threading.Thread(target=jobs.run_next)
    thread.start()
    assert began.wait(5)
    assert jobs.cancel(waiting.id).status == "cancelled"
    assert jobs.cancel(running.id).status == "cancelled"
    thread.join(5)
    assert not jobs.run_next()
    with pytest.raises(ConflictError, match="cancelled already"):
        jobs.cancel(running.id)
    with pytest.raises(InvalidRequestError):
        jobs.get("ftjob-none")


def test_a_failure_is_the_jobs_own_and_a_restart_ends_what_was_under_way(tmp_path: Path) -> None:
    def fails(prepared: Prepared, say: Callable[[str], None], cancelled: Callable[[], bool]) -> Made:
        raise DataError("expected other rows", field="x")

    jobs = jobs_of(tmp_path, fails)
    write_rows(jobs.files)
    bad, left = create(jobs), create(jobs)
    assert jobs.run_next()
    assert (bad.status, bad.error) == ("failed", "expected other rows")
    again = jobs_of(tmp_path)
    assert again.get(bad.id).error == "expected other rows"
    assert again.get(left.id).status == "failed"
    assert "restarted" in str(again.get(left.id).error)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routes]:
    with learner_routes(tmp_path_factory.mktemp("jobs")) as started:
        write_rows(started.jobs.files)
        yield started


@pytest.fixture
def client(routes: Routes) -> openai.OpenAI:
    return routes.server.client("boss")


def test_the_official_client_walks_through_jobs_and_events(routes: Routes, client: openai.OpenAI) -> None:
    ids = [client.fine_tuning.jobs.create(model="tiny", training_file="rows.jsonl").id for _ in range(5)]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)][:5] == ids[::-1]
    page = client.fine_tuning.jobs.list(limit=2, after=ids[3])
    assert ([job.id for job in page.data], page.has_more) == ([ids[2], ids[1]], True)
    while routes.jobs.run_next():
        pass
    whole = client.fine_tuning.jobs.list_events(ids[0], limit=100)
    assert (whole.data[0].message, whole.data[-1].message[:15], whole.has_more) == (
        "The job has succeeded.",
        "Created the job",
        False,
    )
    events = client.fine_tuning.jobs.list_events(ids[0], limit=2)
    assert len(events.data) == 2
    assert events.has_more
    assert list(events) == whole.data
    last = client.fine_tuning.jobs.list_events(ids[0], after=whole.data[-1].id)
    assert (last.data, last.has_more) == ([], False)


def test_no_more_events_are_kept_than_may_be(routes: Routes, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builderbrain.learn.jobs.EVENTS", 4)
    job = create(routes.jobs)
    for number in range(6):
        routes.jobs._say(job, "info", f"step {number}")
    assert [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=3)] == [
        f"step {number}" for number in (5, 4, 3, 2)
    ]
    routes.jobs.cancel(job.id)


def test_a_job_has_no_checkpoints_and_an_unknown_one_is_not_found(routes: Routes, client: openai.OpenAI) -> None:
    job = create(routes.jobs)
    page = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert (page.data, page.has_more) == ([], False)
    routes.jobs.cancel(job.id)
    asked: list[Callable[[str], Any]] = [
        client.fine_tuning.jobs.checkpoints.list,
        client.fine_tuning.jobs.list_events,
        client.fine_tuning.jobs.retrieve,
        client.fine_tuning.jobs.cancel,
    ]
    for ask in asked:
        with pytest.raises(openai.NotFoundError, match="there is no fine-tuning job") as refused:
            ask("ftjob-none")
        assert refused.value.code == "resource_not_found"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"after": "ftjob-none"}, "after"),
        ({"after": ""}, "after"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"extra_query": {"limit": "two"}}, "limit"),
        ({"extra_query": {"limit": ["1", "2"]}}, "limit[]"),
        ({"metadata": {"team": "red"}}, "metadata[team]"),
    ],
)
def test_a_wrong_page_is_refused_by_its_field(client: openai.OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.list(**asked)
    assert refused.value.param == param


def test_a_field_of_the_query_stands_there_once(routes: Routes) -> None:
    headers = {"Authorization": "Bearer boss"}
    reply = httpx.get(f"{routes.server.url}/v1/fine_tuning/jobs?limit=1&limit=2", headers=headers, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "limit")


@pytest.mark.parametrize(
    ("field", "fits", "does_not"),
    [
        ("suffix", "s" * 64, "s" * 65),
        ("suffix", "s", ""),
        ("metadata", {f"{key:064}": "v" * 512 for key in range(16)}, {str(key): "v" for key in range(17)}),
        ("metadata", {}, {"k" * 65: "v"}),
        ("metadata", {"k": ""}, {"k": "v" * 513}),
        ("metadata", {"k": "1"}, {"k": 1}),
        ("seed", 0, -1),
    ],
)
def test_what_goes_with_a_job_is_bounded(routes: Routes, client: openai.OpenAI, field: str, fits: Any, does_not: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model="tiny", training_file="rows.jsonl", **{field: does_not})
    assert str(refused.value.param).startswith(field)
    job = client.fine_tuning.jobs.create(model="tiny", training_file="rows.jsonl", **{field: fits})
    if field != "suffix":
        assert getattr(job, field) == fits
    routes.jobs.cancel(job.id)


def test_the_official_client_gets_a_candidate_that_is_not_live(server: Learning) -> None:
    http = httpx.Client(trust_env=False, timeout=60)
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="boss", max_retries=0, http_client=http)
    write_rows(server.learner.jobs.files)
    live = server.registry.live()
    with pytest.raises(openai.BadRequestError, match="training_file"):
        client.fine_tuning.jobs.create(model="tiny", training_file="other.jsonl")
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.create(model="another", training_file="rows.jsonl")
    file = client.files.create(file=server.learner.jobs.files / "rows.jsonl", purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="tiny", training_file=file.id, hyperparameters={"n_epochs": 1, "batch_size": 4}, seed=3
    )
    assert job.status in ("queued", "running")
    end = threading.Event()
    for _ in range(1800):
        job = client.fine_tuning.jobs.retrieve(job.id)
        if job.status not in ("queued", "running"):
            break
        end.wait(0.1)
    assert job.status == "succeeded", job.error
    assert job.trained_tokens
    assert job.fine_tuned_model in server.registry.versions()
    assert server.registry.live() == live
    information = server.registry.verify(job.fine_tuned_model).information
    assert (information["trained_by"], information["training_file"]) == (job.id, file.id)
    digest = hashlib.sha256(client.files.content(file.id).read()).hexdigest()
    assert information["training_file_sha256"] == digest
    assert [one.id for one in client.fine_tuning.jobs.list(limit=1).data] == [job.id]
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id).data]
    assert any("The gate says" in message for message in messages)
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.cancel(job.id)
