"""Serving with fitted thresholds: unsure goals and decisions are answered by questions, and outcomes move the thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from builderbrain.agent import PlanRuns, Runtime, WorkingRoot
from builderbrain.decode.base import Generation, SamplingParameters, TokenLogprob
from builderbrain.decode.generate import generate
from builderbrain.decode.host_model import HostModel
from builderbrain.deferral import DeferralPolicy
from builderbrain.errors import CheckpointError
from builderbrain.grammar.base import Constraint
from builderbrain.plan import load_grammar
from builderbrain.rail.confidence import EVIDENCE, Confidence, evidence_of
from builderbrain.rail.greedy import decode_greedily
from builderbrain.rail.pair import Pair
from builderbrain.serve.decision_calibration import Calibrations
from builderbrain.serve.decisions import decisions_router
from builderbrain.serve.deferral import (
    ALTERNATIVES,
    CONFIDENCE,
    DECISIONS,
    THRESHOLDS,
    ServedDeferral,
    outcomes_router,
    plan_confidence,
)
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.goals import goals_router
from builderbrain.serve.service import Service
from builderbrain.serve.telemetry import Telemetry
from tests.deferral.requests import drawn, table_of
from tests.serve.running import make_service, running_server, tiny
from tests.serve.scripted import scripted_service
from tests.serve.test_decisions import INPUT, YES_NO, calibration_for

PLAN = 's1=search(pattern="promotion gate")'
GOAL = {"goal": "search for the promotion gate"}


def confidence_of(probability: float, *, version: str = "script-1") -> Confidence:
    """A map that gives every plan one probability."""
    count = len(EVIDENCE)
    return Confidence(
        weight_version=version,
        mean=(0.0,) * count,
        scale=(1.0,) * count,
        weights=(0.0,) * count,
        bias=0.0,
        knots=((0.0, probability),),
        thresholds=(),
        certainty=0.95,
        report={},
    )


def write_folder(folder: Path, probability: float, *, version: str = "script-1") -> Path:
    """What the evaluation's command saves."""
    table = table_of(*drawn(np.random.default_rng(0), 300), domain="repo_assistant")
    values = {**vars(table), "weight_version": version}
    type(table)(**values).save(folder / THRESHOLDS)
    confidence_of(probability, version=version).save(folder / CONFIDENCE)
    return folder


@contextmanager
def planner(root: Path, folder: Path) -> Iterator[httpx.Client]:
    """A client of a server that defers by a folder; its model proposes the same plan for every goal."""
    service = scripted_service(PLAN)
    engine: Any = service.backend.mask_engine

    def compiled(source: str) -> Any:
        return engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    served = ServedDeferral.load(folder, weight_version="script-1", telemetry=service.telemetry)
    routers = (
        goals_router(
            service,
            domains=GoalDomains(service, compiled, deferral=served),
            root=WorkingRoot(root),
            runs=PlanRuns(Runtime()),
        ),
        outcomes_router(served.policies),
    )
    with (
        running_server(service, routers=routers) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http


def test_an_unsure_goal_is_answered_by_a_question(tree: Path, tmp_path: Path) -> None:
    with planner(tree, write_folder(tmp_path, 0.5)) as http:
        reply = http.post("/v1/goals", json=GOAL).json()
        metrics = http.get("/metrics").text
    assert reply["trace"] == []
    assert reply["deferral"]["deferred"]
    assert reply["deferral"]["fitted"]
    assert reply["answer"].startswith("Nothing was done. Which of these do you mean")
    assert 'bb:deferrals_total{domain="repo_assistant",model_name="tiny",offer="alternatives"} 1.0' in metrics
    assert 'bb:deferral_threshold{domain="repo_assistant",model_name="tiny"}' in metrics


def test_a_sure_goal_is_run_and_its_outcome_moves_the_threshold(tree: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, 0.99)
    with planner(tree, folder) as http:
        reply = http.post("/v1/goals", json=GOAL).json()
        assert [entry["skill"] for entry in reply["trace"]] == ["search"]
        told = reply["deferral"]
        assert (told["deferred"], told["confidence"]) == (False, 0.99)
        outcome = http.post("/v1/outcomes", json={"id": told["id"], "right": False}).json()
        assert outcome["threshold"] > told["threshold"]
        assert "turned out wrong" in outcome["said"]
        again = http.post("/v1/outcomes", json={"id": told["id"], "right": False})
        assert (again.status_code, again.json()["error"]["param"]) == (400, "id")
        assert http.post("/v1/outcomes", json={"id": told["id"], "right": "no"}).status_code == 400
    with planner(tree, folder) as http:  # a restart forgets nothing
        assert http.post("/v1/goals", json=GOAL).json()["deferral"]["threshold"] == outcome["threshold"]


def test_what_was_fitted_for_other_weights_is_refused(tmp_path: Path) -> None:
    folder, telemetry = write_folder(tmp_path, 0.5, version="other"), Telemetry("tiny")
    with pytest.raises(CheckpointError, match="fitted for the weights other, these are script-1") as caught:
        ServedDeferral.load(folder, weight_version="script-1", telemetry=telemetry)
    assert caught.value.field == "deferral"
    (folder / CONFIDENCE).unlink()
    with pytest.raises(CheckpointError, match="expected a fitted confidence"):
        ServedDeferral.load(folder, weight_version="other", telemetry=telemetry)
    (folder / THRESHOLDS).rename(folder / DECISIONS)
    assert ServedDeferral.load(folder, weight_version="other", telemetry=telemetry).plans is None


def test_the_evidence_of_a_served_plan_is_that_of_the_fit() -> None:
    """Decoding for a server and for the evaluation give the same confidence, the end's probability included."""
    host, engine = tiny()
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    model = HostModel(host)
    weights = Confidence(**{**vars(confidence_of(0.0)), "weights": (0.3, 0.2, 0.1, 0.2, -0.1, -0.1), "knots": IDENTITY})
    for prompt in ([5, 6, 7, 8], [9, 10, 11]):
        (text,) = decode_greedily(Pair(host, None), [prompt], grammar, max_tokens=60)
        made = generate(model, prompt, SamplingParameters(max_tokens=60, temperature=0.0, logprobs=ALTERNATIVES), grammar)
        assert made.tokens == text.tokens
        expected = float(weights.probabilities(evidence_of(text)[None])[0])
        assert plan_confidence(weights, made) == pytest.approx(expected, abs=1e-3)


IDENTITY = tuple((place / 2000, place / 2000) for place in range(2001))


def test_a_cut_plan_is_as_unsure_as_can_be() -> None:
    cut = Generation(
        tokens=(1,),
        text="s",
        finish_reason="length",
        prompt_tokens=1,
        weight_version="v",
        logprobs=(TokenLogprob(token=1, logprob=-0.01, top=((1, -0.01), (2, -5.0))),),
    )
    whole = Generation(**{**vars(cut), "finish_reason": "stop"})
    weights = Confidence(**{**vars(confidence_of(0.0)), "weights": (-1.0,) * 4 + (0.5,) * 2, "knots": IDENTITY})
    assert plan_confidence(weights, cut) < 0.01 < 0.9 < plan_confidence(weights, whole)
    assert math.isfinite(plan_confidence(weights, whole))


@contextmanager
def deciding(service: Service, policy: DeferralPolicy, *, calibrated: bool = True) -> Iterator[httpx.Client]:
    """A client of a server whose decisions are deferred by a policy; its conformal set always is one answer."""
    fitted = (calibration_for(service, "predicate", score=0.5),) if calibrated else ()
    routers = (decisions_router(service, Calibrations(fitted), policy), outcomes_router((policy,)))
    with (
        running_server(service, routers=routers) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http


def test_a_decision_under_the_threshold_of_its_domain_is_deferred() -> None:
    service = make_service()
    version = service.served(None).version
    body = {"input": INPUT, "questions": [YES_NO]}
    with deciding(service, DeferralPolicy(None)) as http:
        plain = http.post("/v1/decisions", json=body).json()["answers"][0]
        assert (plain["type"], plain["deferral"], plain["offered"]) == ("predicate", None, None)
        robot = http.post("/v1/decisions", json={**body, "domain": "robot_cell"}).json()["answers"][0]
        assert (robot["type"], robot["decision"], robot["abstained"]) == ("refusal", None, True)
        assert robot["deferral"]["offer"] == "escalate"
        assert robot["deferral"]["threshold"] == 0.9
        assert "a person has to decide" in robot["offered"]
        assert "under the threshold" in robot["refusal"]
        outcome = http.post("/v1/outcomes", json={"id": robot["deferral"]["id"], "right": True}).json()
        assert outcome["domain"] == "robot_cell/decisions"
    table = table_of(np.full(300, 0.5), np.ones(300), domain="chat_social/decisions")
    policy = DeferralPolicy(type(table)(**{**vars(table), "weight_version": version}))
    with deciding(make_service(), policy) as http:
        answered = http.post("/v1/decisions", json={**body, "domain": "chat_social"}).json()["answers"][0]
        assert (answered["type"], answered["deferral"]["fitted"]) == ("predicate", True)


def test_a_domain_needs_calibrated_answers() -> None:
    with deciding(make_service(), DeferralPolicy(None), calibrated=False) as http:
        reply = http.post("/v1/decisions", json={"input": INPUT, "questions": [YES_NO], "domain": "chat_social"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (409, "domain")
