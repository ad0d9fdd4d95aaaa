"""From a server's site to a learner that is attached to it: the composition of this room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter

from builderbrain.config import load_config
from builderbrain.errors import ConfigError
from builderbrain.gate.battery import BATTERY_FOLDER, OPEN_FILES, SEALED_FILE, load_battery, prompt_hash
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.subject import base_features_of
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.file_routes import files_router
from builderbrain.learn.fine_tuning import fine_tuning_router
from builderbrain.learn.gating import GapGate
from builderbrain.learn.jobs import FineTuningJobs
from builderbrain.learn.learner import RailLearner
from builderbrain.learn.metrics import LearnMetrics
from builderbrain.learn.routes import learning_router
from builderbrain.learn.rows import replay_of
from builderbrain.learn.session_routes import sessions_router
from builderbrain.learn.sessions import TrainingSessions
from builderbrain.learn.trace_log import TraceLog
from builderbrain.learn.traces import Traces
from builderbrain.plan import load_grammar
from builderbrain.rail.bundled import bundled_rail_of
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.app import Lifetime
from builderbrain.serve.attached import GoalAnswered, OutcomeTold
from builderbrain.serve.pointer import VersionPointer
from builderbrain.serve.site import ServerSite
from builderbrain.signing import SigningKey
from builderbrain.storage import remove_stale
from builderbrain.train.goals import REPO_ASSISTANT


class AttachedLearner:
    """A `serve.attached.Learner`."""

    def __init__(self, learner: RailLearner, routers: Sequence[APIRouter]) -> None:
        self.learner = learner
        self.routers = tuple(routers)
        self.lifetimes: tuple[Lifetime, ...] = (learner, _OpenLog(learner.traces.log))

    def answered(self, served: GoalAnswered) -> str | None:
        """See `Learner.answered`."""
        return self.learner.traces.goal(served)

    def told(self, outcome: OutcomeTold) -> str | None:
        """See `Learner.told`."""
        return self.learner.traces.outcome(outcome.identifier, right=outcome.right, caller=outcome.caller)


class _OpenLog:
    """The log of traces, let go of when the server ends."""

    def __init__(self, log: TraceLog) -> None:
        self._log = log

    def start(self) -> None:
        """It is open already."""

    def stop(self) -> None:
        """Let another process have it."""
        self._log.close()


def attach(site: ServerSite) -> AttachedLearner:
    """The learner that `--learn` asks for.

    Raises:
        ConfigError: a setting is wrong, the server does not follow a registry, or the live rail is of another domain.
        JudgeError: the risk judge was fitted on another base.
        CheckpointError: the folder's state is torn.
    """
    settings, host = site.settings, site.host
    if settings.learn is None:
        raise ConfigError("expected a folder for what is learned, got none; give --learn FOLDER", field="learn")
    if site.follower is None:
        raise ConfigError(
            "expected a server that follows its registry beside --learn, got one that was started with --rail or without a "
            "builder; start it without --rail",
            field="learn",
        )
    config = load_config(LearnConfig, None if settings.learn_config is None else Path(settings.learn_config))
    folder = Path(settings.learn)
    log = TraceLog(folder / "traces", most_bytes=config.most_disk_bytes)
    key = SigningKey(folder / ".key")
    key.create()
    registry = Registry(Path(settings.registry))
    live = _first_version(registry, settings.model)
    site.follower.follow()  # the first answer already names a version of the registry
    replay_of(host.tokenizer, load_rail(registry.root / live).config, REPO_ASSISTANT, seed=config.seed)
    judge = RiskJudge.load(JUDGE if settings.judge is None else Path(settings.judge))
    judge.check_base(base_features_of(host))
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar(REPO_ASSISTANT.name)), trusted=True)
    files = [Path(path) for path in config.battery]
    gate = GapGate(
        registry,
        host=host,
        background=site.background,
        grammar=grammar,
        judge=judge,
        battery=files,
        timeout_seconds=config.gate_timeout_seconds,
        max_tokens=config.gate_max_tokens,
        compared=config.gate_compared,
    )
    site.background.budget.micro_step_seconds = config.micro_step_seconds
    candidates = folder / "candidates"
    candidates.mkdir(exist_ok=True)
    remove_stale(candidates)
    whole = load_battery(files or [BATTERY_FOLDER / name for name in (*OPEN_FILES, SEALED_FILE)])
    learner = RailLearner(
        folder,
        config,
        host=host,
        grammar=grammar,
        background=site.background,
        traces=Traces(log, key.load()),
        gate=gate,
        watch=site.watch,
        pointer=VersionPointer(site.store, site.follower),
        poll_seconds=config.poll_seconds,
        battery_hashes=frozenset(prompt_hash(prompt.prompt) for prompt in whole.prompts),
    )
    site.service.telemetry.watch_collector(LearnMetrics(learner))
    jobs = FineTuningJobs(folder, config, learner.fine_tune)
    learner.jobs = jobs
    sessions = TrainingSessions(
        candidates,
        config,
        host=host,
        grammar=grammar,
        background=site.background,
        registry=registry,
        live=site.store.live,
    )
    routers = [
        learning_router(learner, site.store.live),
        fine_tuning_router(jobs, site.service),
        files_router(jobs, most_bytes=config.most_upload_bytes),
        sessions_router(sessions),
    ]
    return AttachedLearner(learner, routers)


def _first_version(registry: Registry, model: str) -> str:
    """The live version; in an empty registry the bundled rail, which is served until now, is made the first."""
    live = registry.live()
    if live is None:
        bundled = bundled_rail_of(model)
        if bundled is None:
            raise ConfigError(
                "nothing is live to learn from, and the base brings no rail; train one and promote it with "
                "`python -m builderbrain.gate promote FOLDER`",
                field="learn",
            )
        live = registry.promote(registry.add(bundled), expected_live=None)
    return live.version
