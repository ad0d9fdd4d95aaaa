"""`POST /v1/goals`: the plan is decoded under the grammar, checked, run on real files below the root, and answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.agent import PlanRuns, Runtime, WorkingRoot
from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.temperature import TemperatureSchedule
from builderbrain.grammar.base import Constraint
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.goals import goals_router
from builderbrain.serve.model_backend import ModelBackend
from tests.serve.running import running_server
from tests.serve.scripted import scripted_service

PLAN = 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)'
GOAL = {"goal": "search for the promotion gate and then open it"}


@contextmanager
def planner(
    root: Path, text: str = PLAN, *, ends: bool = True, temperature: Any = None, **options: Any
) -> Iterator[httpx.Client]:
    """A client of a server whose model proposes `text` for every goal."""
    service = scripted_service(text, ends=ends)
    engine: Any = service.backend.mask_engine

    def compiled(source: str) -> Any:
        return engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    domains = GoalDomains(service, compiled, temperature=temperature)
    router = goals_router(service, domains=domains, root=WorkingRoot(root), runs=PlanRuns(Runtime()), **options)
    with (
        running_server(service, routers=(router,)) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http


def test_a_goal_is_planned_run_and_answered(tree: Path) -> None:
    with planner(tree) as http:
        reply = http.post("/v1/goals", json=GOAL).json()
    assert set(reply) == {"domain", "answer", "plan", "verdict", "trace", "weight_version", "deferral_off"}
    assert reply["domain"] == "repo_assistant"
    assert "no confidence is fitted" in reply["deferral_off"]
    assert reply["verdict"] == {"accepted": True, "faults": [], "confirm": []}
    assert [step["skill"] for step in reply["plan"]["steps"]] == ["search", "read"]
    assert [(entry["id"], entry["skill"], entry["ok"]) for entry in reply["trace"]] == [
        ("s1", "search", True),
        ("s2", "read", True),
    ]
    assert all({"id", "skill", "args", "ok", "output", "seconds"} <= set(entry) for entry in reply["trace"])
    assert reply["trace"][1]["args"] == {"path": "docs/gate.md"}
    assert "one veto" in reply["trace"][1]["output"]["text"]
    assert "one veto" in reply["answer"]
    assert reply["weight_version"] == "script-1"


def test_plans_are_drawn_at_the_temperature_of_their_domain(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, seen = ModelBackend.begin, []

    def watched(backend: ModelBackend, model: str, prompt: Any, parameters: SamplingParameters, *rest: Any) -> Any:
        seen.append(parameters.temperature)
        return begin(backend, model, prompt, parameters, *rest)

    monkeypatch.setattr(ModelBackend, "begin", watched)
    cooling = TemperatureSchedule(start=1.2, end=0.7, tokens=64)
    for options in ({}, {"temperature": cooling}):
        with planner(tree, **options) as http:
            assert http.post("/v1/goals", json={**GOAL, "dry_run": True}).json()["verdict"]["accepted"] is True
    assert seen == [0.0, cooling]


def test_a_dry_run_runs_nothing(tree: Path) -> None:
    with planner(tree) as http:
        reply = http.post("/v1/goals", json={**GOAL, "dry_run": True}).json()
    assert reply["trace"] == []
    assert reply["verdict"]["accepted"] is True
    assert len(reply["plan"]["steps"]) == 2


def test_a_root_below_the_allowed_one_is_used(tree: Path) -> None:
    with planner(tree, 's1=read(path="gate.md")') as http:
        for root in ("docs", "./docs", str(tree / "docs")):
            reply = http.post("/v1/goals", json={**GOAL, "root": root}).json()
            assert reply["trace"][0]["ok"] is True, (root, reply)
        assert http.post("/v1/goals", json=GOAL).json()["trace"][0]["output"]["path"] == "docs/gate.md"


def test_a_root_that_leads_out_or_nowhere_is_refused(tree: Path) -> None:
    (tree / "link").symlink_to(tree.parent)
    (tree.parent / "root-evil").mkdir()
    relative = ["..", "docs/../..", "link", "docs/../../root-evil", "a\0b", "nowhere", "docs/gate.md"]
    absolute = [f"{tree}/{root}" for root in relative]
    with planner(tree) as http:
        for root in (*relative, *absolute, "/etc", "/", "~", "", f"{tree}-evil"):
            reply = http.post("/v1/goals", json={**GOAL, "root": root})
            assert reply.status_code == 400, (root, reply.text)
            assert reply.json()["error"]["param"] == "root"


def test_a_plan_may_not_read_outside_the_root(tree: Path) -> None:
    with planner(tree, 's1=read(path="../secret.txt")') as http:
        reply = http.post("/v1/goals", json=GOAL)
    assert "outside" not in reply.text
    assert reply.json()["verdict"]["accepted"] is False or reply.json()["trace"][0]["ok"] is False


def test_a_plan_that_was_cut_is_refused_not_run(tree: Path) -> None:
    with planner(tree, 's1=talk(text="aaaa', ends=False) as http:
        reply = http.post("/v1/goals", json=GOAL).json()
    assert reply["plan"] is None
    assert reply["trace"] == []
    assert reply["verdict"]["accepted"] is False
    assert "cut off" in reply["verdict"]["faults"][0]["message"]


def test_bad_goals_are_refused_with_their_field(tree: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "goal"),
        ({"goal": ""}, "goal"),
        ({"goal": " \n"}, "goal"),
        ({"goal": 7}, "goal"),
        ({"goal": "read \x00 file"}, "goal"),
        ({"goal": "x" * 5_000}, "goal"),
        ({"goal": "gate 7 " * 300}, "goal"),
        ({"goal": "x", "dry_run": "yes"}, "dry_run"),
        ({"goal": "x", "root": 7}, "root"),
        ({"goal": "x", "rooot": "."}, "rooot"),
    ]
    with planner(tree) as http:
        for body, field in cases:
            reply = http.post("/v1/goals", json=body)
            assert reply.status_code == 400, body
            assert reply.json()["error"]["param"] == field
