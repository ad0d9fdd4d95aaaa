"""The watch over the live version, attached to a server: from its site to a canary that hears of its goals."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import BuilderBrainError, JudgeError, NotReadyError
from builderbrain.gate.canary import DEFAULT_LIMITS
from builderbrain.gate.canary_keeper import CanaryKeeper, Standing
from builderbrain.gate.features import DOMAIN
from builderbrain.gate.gap_subject import gap_features, gap_version
from builderbrain.gate.live_watch import LiveWatch, Served
from builderbrain.gate.rail_domain import domain_of_folder
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.subject import base_features_of
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.plan import load_grammar
from builderbrain.serve.app import Lifetime
from builderbrain.serve.attached import GoalAnswered, OutcomeTold
from builderbrain.serve.openapi import described
from builderbrain.serve.pointer import VersionPointer
from builderbrain.serve.repeated import Repeated
from builderbrain.serve.replies import json_reply
from builderbrain.serve.site import ServerSite

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class CanaryReply(BaseModel):
    """How the live version stands.

    `phase`: what the evidence says. `standing`: what came of it; `watching`, `passed`, `no way back`, `waiting to roll back`
    or `nothing to compare with`. `log_evidence` of harm, against `bar`. `missing`: rates that are not yet shown to be within
    their limits.
    """

    version: str | None
    phase: str
    standing: str
    observed: int
    log_evidence: float
    bar: float
    missing: list[str]
    reason: str | None


class AttachedWatch:
    """A `serve.attached.Watch`; runs beside the server between `start` and `stop`."""

    def __init__(self, watch: LiveWatch, pointer: VersionPointer, site: ServerSite, *, seconds: float = POLL_SECONDS) -> None:
        self.live_watch = watch
        self.rollbacks = 0
        self.rollback_seconds = 0.0
        self._pointer, self._incidents = pointer, site.incidents
        self._repeated = Repeated("canary", self._look, seconds=seconds)
        self.lifetimes: tuple[Lifetime, ...] = (self,)
        self.routers = (canary_router(self),)
        site.service.telemetry.watch_collector(CanaryMetrics(self))
        watch.on_standing(self._stands)

    def start(self) -> None:
        """Begin to look."""
        self._repeated.start()

    def stop(self) -> None:
        """Look no more; what was seen is written down."""
        self._repeated.stop()
        self.live_watch.keeper.save()

    def answered(self, served: GoalAnswered, trace: str | None) -> None:
        """See `Watch.answered`."""
        result = served.result
        deferral = result.deferral
        ids = (trace, None if deferral is None else deferral.id)
        self.live_watch.served(
            result.weight_version,
            Served(
                ids=tuple(one for one in ids if one is not None),
                domain=served.domain,
                goal=served.goal,
                plan=result.plan,
                accepted=result.verdict.accepted and result.repair is None,
                answer=result.answer,
                deferred=deferral is not None and deferral.deferred,
            ),
        )

    def told(self, outcome: OutcomeTold) -> None:
        """See `Watch.told`."""
        if not outcome.right:
            self.live_watch.called_wrong(outcome.identifier)

    def readings(self, version: str) -> int:
        """See `Watch.readings`."""
        return self.live_watch.keeper.readings(version)

    def report(self) -> dict[str, Any]:
        """What `GET /v1/canary` says."""
        return self.live_watch.report()

    def roll_back(self, version: str, evidence: Mapping[str, Any]) -> None:
        """Serve the version before `version` again, and tell the incidents."""
        now, seconds = self._pointer.rollback(expected_live=version, evidence={"by": "the canary", **evidence})
        self.rollbacks += 1
        self.rollback_seconds = seconds
        said = f"the canary took {version} back ({evidence['canary']}); {now} serves"
        self._incidents.tell("canary_failed", version, said, version=version)

    def _stands(self, version: str, standing: Standing) -> None:
        logger.log(logging.INFO if standing in {"watching", "passed"} else logging.ERROR, "canary: %s is %s", version, standing)
        if standing == "no way back":
            self._incidents.tell("canary_failed", version, f"{version} is to be rolled back, and no former version is whole")

    def _look(self) -> None:
        try:
            self.live_watch.look()
        except NotReadyError:
            return  # the server shuts down
        except Exception as error:  # noqa: BLE001  (the boundary: a look that fails must not end the watch)
            said = error.message if isinstance(error, BuilderBrainError) else repr(error)
            logger.error("the canary could not look: %s", said)


class CanaryMetrics(Collector):
    """What the canary tells Prometheus, read at every scrape."""

    def __init__(self, watch: AttachedWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        report = self._watch.report()
        rollbacks = CounterMetricFamily("bb:canary_rollbacks", "Versions that the canary took back.")
        rollbacks.add_metric([], float(self._watch.rollbacks))
        yield rollbacks
        for name, text, value in (
            ("bb:canary_readings", "Goals of the live version that were compared with the version before.", report["observed"]),
            ("bb:canary_log_evidence", "Logarithm of the evidence of harm.", report["log_evidence"]),
            ("bb:canary_bar", "Logarithm of the evidence that rolls back.", report["bar"]),
            ("bb:canary_rollback_seconds", "Seconds that the last rollback took.", self._watch.rollback_seconds),
        ):
            gauge = GaugeMetricFamily(name, text)
            gauge.add_metric([], float(value))
            yield gauge
        standing = GaugeMetricFamily("bb:canary_standing", "1 for how the live version stands.", labels=["standing"])
        standing.add_metric([report["standing"]], 1.0)
        yield standing


def canary_router(watch: AttachedWatch) -> APIRouter:
    """`GET /v1/canary`."""
    router = APIRouter()

    @router.get("/v1/canary")
    @described("How the live version does beside the one before.", reply=CanaryReply)
    async def canary(request: Request) -> Response:
        return json_reply(await run_in_threadpool(watch.report))

    return router


def attach(site: ServerSite) -> AttachedWatch | None:
    """The watch over what a server follows; None, with a warning, where the base has no judge.

    Raises:
        JudgeError: the judge that was named was fitted on another base, or cannot be read.
    """
    settings, host, follower = site.settings, site.host, site.follower
    if follower is None:
        return None
    judge = RiskJudge.load(JUDGE if settings.judge is None else Path(settings.judge))
    features = gap_features(host, site.background)
    try:
        judge.check_base(base_features_of(host))
    except JudgeError:
        if settings.judge is not None:
            raise
        logger.warning(
            "no canary: the shipped judge was fitted on the bundled base and not on %s; make one with `python -m "
            "builderbrain.gate train-judge --base %s --output FOLDER` and start with --judge FOLDER",
            host.name,
            settings.model,
        )
        return None
    registry = Registry(Path(settings.registry))
    domain = DOMAIN if registry.live() is None else domain_of_folder(registry.live_path())
    if domain != DOMAIN:
        logger.warning("no canary: the live version makes plans of %s, and goals of %s alone are watched", domain, DOMAIN)
        return None
    grammar = XGrammarEngine(host.tokenizer, host.vocab_size).compile(
        Constraint(kind="grammar", source=load_grammar(DOMAIN)), trusted=True
    )
    pointer = VersionPointer(site.store, follower)
    attached: list[AttachedWatch] = []
    keeper = CanaryKeeper(
        registry,
        domains=(DOMAIN,),
        limits={**DEFAULT_LIMITS, "risk": settings.canary_limit},
        alpha=settings.canary_alpha,
        roll_back=lambda version, evidence: attached[0].roll_back(version, evidence),
    )
    watch = LiveWatch(
        keeper,
        registry,
        open_former=lambda version: gap_version(registry.root, version, host=host, grammar=grammar, background=site.background),
        judge=judge,
        features=features,
    )
    attached.append(AttachedWatch(watch, pointer, site))
    return attached[0]
