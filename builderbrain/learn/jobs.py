"""Fine-tuning jobs: a file of requests with plans becomes a candidate in the registry, evaluated by the gate and never live by
itself.

    <learn>/files/NAME.jsonl     what may be trained on: put there by who runs the server, as docs/training.md writes data
    <learn>/files/uploaded/ID    the same, uploaded (`files`)
    <learn>/jobs/ID.json         a job, rewritten whole at every change

A job runs in the gaps of decoding like everything that is learned here, one at a time, in the order of their arrival. One that
was under way when the server ended has failed after the restart; nothing of it is live.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import stat
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from builderbrain.errors import (
    BuilderBrainError,
    CheckpointError,
    ConflictError,
    InvalidRequestError,
    ResourceNotFoundError,
)
from builderbrain.learn.candidate import Trained
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.files import FILE_ID, UploadedFiles
from builderbrain.learn.traces import Example
from builderbrain.storage import canonical_json, sha256_file, write_atomic
from builderbrain.train.data_files import Request, read_requests

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
MOST_WAITING = 16
EVENTS = 500


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """`n_epochs` passes over the file, in steps of `batch_size` rows, at `learning_rate_multiplier` times the learner's own
    rates."""

    n_epochs: int = 3
    batch_size: int = 12
    learning_rate_multiplier: float = 1.0


@dataclass(kw_only=True)
class FineTuningJob:
    """One job; times in seconds since the epoch. `version` is the candidate, `verdict` what the gate said of it."""

    id: str
    model: str
    training_file: str
    hyperparameters: Hyperparameters
    seed: int
    suffix: str | None
    metadata: dict[str, str] | None
    created_at: int
    status: Status = "queued"
    finished_at: int | None = None
    error: str | None = None
    version: str | None = None
    verdict: str | None = None
    trained_tokens: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    """Newest last: id, created_at, level, message."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a job asks to be made of its file."""

    examples: tuple[Example, ...]
    config: LearnConfig
    seed: int
    information: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A candidate of a job: its version, the gate's decision and reasons, and its training."""

    version: str
    decision: str
    reasons: tuple[str, ...]
    trained: Trained


Make = Callable[[Prepared, Callable[[str], None], Callable[[], bool]], Made]
"""Trains and evaluates: what was prepared, who hears of progress, and whether the job was cancelled."""


class FineTuningJobs:
    """All jobs of one server.

    Args:
        folder: of files and jobs.
        config: the learner's, whose rates are multiplied.
        make: trains and evaluates a candidate; raises CancelledError where the job was cancelled meanwhile.
    """

    def __init__(self, folder: Path, config: LearnConfig, make: Make) -> None:
        self.files, self._folder = folder / "files", folder / "jobs"
        for path in (self.files, self._folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.uploads = UploadedFiles(self.files / "uploaded", most_bytes=config.most_uploaded_bytes)
        self._config, self._make = config, make
        self._lock = threading.Lock()
        self._jobs: dict[str, FineTuningJob] = {}
        for job in sorted(map(_read, self._folder.glob("ftjob-*.json")), key=lambda job: (job.created_at, job.id)):
            self._jobs[job.id] = job
            if job.status not in ENDED:
                self._end(job, "failed", "the server was restarted while this job waited or ran; create it again")

    def create(
        self,
        *,
        model: str,
        training_file: str,
        hyperparameters: Hyperparameters,
        seed: int | None,
        suffix: str | None,
        metadata: dict[str, str] | None,
    ) -> FineTuningJob:
        """Queue a job.

        Raises:
            InvalidRequestError: there is no such file.
            ConflictError: too many jobs wait.
        """
        with self._lock:
            self._path(training_file)
            waiting = sum(job.status not in ENDED for job in self._jobs.values())
            if waiting >= MOST_WAITING:
                raise ConflictError(
                    f"{waiting} jobs wait already, of at most {MOST_WAITING}; cancel one or wait", field="model"
                )
            job = FineTuningJob(
                id=f"ftjob-{secrets.token_hex(12)}",
                model=model,
                training_file=training_file,
                hyperparameters=hyperparameters,
                seed=secrets.randbelow(2**31) if seed is None else seed,
                suffix=suffix,
                metadata=metadata,
                created_at=int(time.time()),
            )
            self._jobs[job.id] = job
        self._say(job, "info", "Created the job; it runs when the ones before it have ended.")
        return job

    def delete_file(self, identifier: str) -> None:
        """Remove an uploaded file.

        Raises:
            ResourceNotFoundError: there is none of that id.
            ConflictError: a job that has not ended is to read it.
            OutputError: it could not be removed.
        """
        with self._lock:
            for job in self._jobs.values():
                if job.training_file == identifier and job.status not in ENDED:
                    raise ConflictError(f"{job.id} trains on {identifier}; cancel it, or wait for its end", field="file_id")
            self.uploads.delete(identifier)

    def all(self) -> list[FineTuningJob]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))  # in the order of their arrival, which seconds do not tell

    def get(self, identifier: str) -> FineTuningJob:
        """One job.

        Raises:
            ResourceNotFoundError: there is none of that id.
        """
        with self._lock:
            job = self._jobs.get(identifier)
        if job is None:
            raise ResourceNotFoundError(
                f"there is no fine-tuning job {identifier!r:.80}; list them", field="fine_tuning_job_id"
            )
        return job

    def cancel(self, identifier: str) -> FineTuningJob:
        """End a job that has not ended.

        Raises:
            ResourceNotFoundError: there is none of that id.
            ConflictError: it has ended.
        """
        job = self.get(identifier)
        if job.status in ENDED:
            raise ConflictError(f"{identifier} has {job.status} already and cannot be cancelled", field="fine_tuning_job_id")
        self._end(job, "cancelled", None)
        return job

    def run_next(self) -> bool:
        """Run the oldest job that waits, on the caller's thread; whether there was one."""
        waiting = [job for job in reversed(self.all()) if job.status == "queued"]
        if not waiting:
            return False
        job = waiting[0]
        job.status = "running"
        self._say(job, "info", "Began.")
        try:
            prepared = self._prepare(job)
            self._say(job, "info", f"Read {len(prepared.examples)} rows; {prepared.config.steps} steps.")
            made = self._make(prepared, lambda said: self._say(job, "info", said), lambda: self._cancelled(job))
        except CancelledError:
            return True
        except BuilderBrainError as error:
            self._end(job, "failed", error.message)
            return True
        if self._cancelled(job):
            return True
        job.version, job.verdict, job.trained_tokens = made.version, made.decision, made.trained.tokens
        reasons = f": {'; '.join(made.reasons)}" if made.reasons else ""
        self._say(job, "info", f"The gate says {made.decision} of version {made.version}{reasons}")
        self._end(job, "succeeded", None)
        return True

    def _cancelled(self, job: FineTuningJob) -> bool:
        return self.get(job.id).status == "cancelled"

    def _prepare(self, job: FineTuningJob) -> Prepared:
        if FILE_ID.fullmatch(job.training_file):
            self.uploads.verify(job.training_file)
        path = self._path(job.training_file)
        requests = read_requests(str(path))
        examples = tuple(_example(job.id, number, request) for number, request in enumerate(requests.train))
        batch = max(2, job.hyperparameters.batch_size)
        times = job.hyperparameters.learning_rate_multiplier
        config = replace(
            self._config,
            rows_per_step=batch,
            steps=max(
                1, job.hyperparameters.n_epochs * math.ceil(len(examples) / max(1, round(batch * self._config.live_share)))
            ),
            learning_rate=min(1.0, times * self._config.learning_rate),
            muon_learning_rate=min(1.0, times * self._config.muon_learning_rate),
        )
        information = {"trained_by": job.id, "training_file": job.training_file, "suffix": job.suffix}
        information["training_file_sha256"] = sha256_file(path)
        return Prepared(examples=examples, config=config, seed=job.seed, information=information)

    def _path(self, name: str) -> Path:
        if FILE_ID.fullmatch(name):
            try:
                return self.uploads.path(name)
            except ResourceNotFoundError as error:
                raise InvalidRequestError(
                    f"training_file: {error.message}, or upload it again", field="training_file"
                ) from error
        path = self.files / name
        found = FILE_NAME.fullmatch(name)
        try:
            regular = found is not None and stat.S_ISREG(path.lstat().st_mode)
        except OSError:
            regular = False
        if not regular:
            raise InvalidRequestError(
                f"training_file: expected the id of an uploaded file, or the name of one in the server's folder of training "
                f"files, got {name!r:.140}; upload it (/v1/files), or its operator puts it there (docs/learning.md)",
                field="training_file",
            )
        return path

    def _say(self, job: FineTuningJob, level: str, message: str) -> None:
        job.events.append(
            {"id": f"ftevent-{secrets.token_hex(12)}", "created_at": int(time.time()), "level": level, "message": message}
        )
        del job.events[:-EVENTS]
        self._write(job)

    def _end(self, job: FineTuningJob, status: Status, error: str | None) -> None:
        job.status, job.error, job.finished_at = status, error, int(time.time())
        self._say(job, "error" if error else "info", error or f"The job has {status}.")

    def _write(self, job: FineTuningJob) -> None:
        write_atomic(self._folder / f"{job.id}.json", canonical_json(asdict(job)))


def _read(path: Path) -> FineTuningJob:
    try:
        value = json.loads(path.read_bytes())
        return FineTuningJob(**{**value, "hyperparameters": Hyperparameters(**value["hyperparameters"])})
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is torn ({error}); remove it", field="learn") from error


def _example(job: str, number: int, request: Request) -> Example:
    return Example(
        id=f"{job}/{number}",
        source=job,
        domain=request.domain,
        text=request.text,
        plan=request.plan,
        corrected=False,
        order=number,
    )
