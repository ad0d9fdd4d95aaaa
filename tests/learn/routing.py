"""The learner's routes in a server without a learner's thread: nothing trains, so that what they read and answer can be tried
alone. Jobs end when a test runs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from builderbrain.agent.goal import GoalResult
from builderbrain.errors import ConflictError, ResourceNotFoundError
from builderbrain.learn.candidate import Trained
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.file_routes import files_router
from builderbrain.learn.fine_tuning import fine_tuning_router
from builderbrain.learn.jobs import FineTuningJobs, Made, Prepared
from builderbrain.learn.learner import LearnCounts, LearnEvent
from builderbrain.learn.routes import learning_router
from builderbrain.learn.session_routes import sessions_router
from builderbrain.learn.sessions import MOST_SESSIONS, Backward
from builderbrain.learn.trace_log import TraceLog
from builderbrain.learn.traces import Traces
from builderbrain.plan import check, parse_text
from builderbrain.serve.attached import GoalAnswered
from builderbrain.serve.boundary import Keys
from tests.serve.running import RunningServer, make_service, running_server

TRAINED = Trained(steps=1, dropped=0, tokens=7, loss=0.5, micro_steps=3, longest=0.01)
KEYS = Keys(administrator="boss")
PLAN = 's1=search(pattern="gate")'


class Session:
    """Counts what a training session would do."""

    def __init__(self, number: int) -> None:
        self.id, self.live, self.steps, self.pending_rows = f"session-{number}", "v" * 16, 0, 0

    def forward_backward(self, rows: list[Any]) -> Backward:
        self.pending_rows += len(rows)
        return Backward(loss=0.5, rows=len(rows), tokens=9)

    def optim_step(self, learning_rate: float) -> float:
        if not self.pending_rows:
            raise ConflictError("expected gradients to step with, got none", field="learning_rate")
        self.pending_rows, self.steps = 0, self.steps + 1
        return learning_rate


class Sessions:
    """What `TrainingSessions` offers, without a model."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._begun = 0

    def begin(self, seed: int) -> Session:
        if len(self._sessions) >= MOST_SESSIONS:
            raise ConflictError("expected fewer sessions; end one", field="sessions")
        self._begun += 1
        made = Session(self._begun)
        self._sessions[made.id] = made
        return made

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def get(self, identifier: str) -> Session:
        if identifier not in self._sessions:
            raise ResourceNotFoundError("there is no such session", field="session_id")
        return self._sessions[identifier]

    def end(self, identifier: str) -> None:
        self.get(identifier)
        del self._sessions[identifier]

    def rows(self, session: Session, examples: list[Any]) -> list[Any]:
        return examples

    def sample(self, session: Session, goal: str, max_tokens: int) -> str:
        return PLAN

    def save_state(self, session: Session) -> str:
        return "w" * 16


@dataclass(frozen=True)
class Routes:
    """A running server with the learner's routes, its jobs, and the id of one goal's trace."""

    server: RunningServer
    jobs: FineTuningJobs
    trace: str


def make(prepared: Prepared, say: Callable[[str], None], cancelled: Callable[[], bool]) -> Made:
    """A candidate of a job, at once."""
    say(f"{len(prepared.examples)} rows")
    return Made(version="v" * 16, decision="promote", reasons=(), trained=TRAINED)


@contextmanager
def learner_routes(folder: Path, **config: Any) -> Iterator[Routes]:
    """Serve all routes of a learner below `folder`; `config` are fields of its `LearnConfig`."""
    settings = LearnConfig(**config)
    log = TraceLog(folder / "traces")
    traces = Traces(log, b"key")
    plan = parse_text(PLAN, domain="repo_assistant")
    result = GoalResult(answer="Done.", plan=plan, verdict=check(plan), trace=(), weight_version="v")
    trace = traces.goal(GoalAnswered(goal="find gate", result=result, caller="key 0", domain="repo_assistant"))
    assert trace is not None
    events = deque([LearnEvent(at=1.0, name="began", details={"examples": 3})])
    learner: Any = SimpleNamespace(
        traces=traces, counts=LearnCounts(), events=events, phase="collecting", waits_for="examples", watch=None
    )
    sessions: Any = Sessions()
    jobs = FineTuningJobs(folder, settings, make)
    service = make_service()
    routers = (
        learning_router(learner, lambda: "v" * 16),
        fine_tuning_router(jobs, service),
        files_router(jobs, most_bytes=settings.most_upload_bytes),
        sessions_router(sessions),
    )
    try:
        with running_server(service, keys=KEYS, routers=routers) as server:
            yield Routes(server=server, jobs=jobs, trace=trace)
    finally:
        log.close()
