"""Plans over HTTP: repaired, dry-run, run, confirmed, resumed; their refusals, and what /metrics says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.errors import ConfigError
from builderbrain.grammar.base import Constraint
from builderbrain.serve.agent_routes import agent_routers
from builderbrain.serve.app import NO_KEYS
from builderbrain.serve.boundary import Keys
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.settings import ServeSettings
from builderbrain.tools.base import Tool
from tests.agent.workshop import Effects, workshop
from tests.serve.running import running_server
from tests.serve.scripted import scripted_service

GATE = {"domain": "repo_assistant", "plan": 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)'}
MUTATING = ["mutating"]


@contextmanager
def desk(
    tree: Path,
    *,
    text: str = "s1=list()",
    ends: bool = True,
    tools: Mapping[str, Tool] | None = None,
    keys: Keys = NO_KEYS,
    **settings: Any,
) -> Iterator[httpx.Client]:
    """A client of a server whose model says `text`, with the workshop's tools."""
    service = scripted_service(text, ends=ends)
    engine: Any = service.backend.mask_engine

    def compiled(source: str) -> Any:
        return engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    workshop()
    routers, lifetimes = agent_routers(
        ServeSettings(root=str(tree), **settings),
        service,
        domains=GoalDomains(service, compiled),
        compile_grammar=compiled,
        tools={"workshop": dict(tools or {})},
    )
    with (
        running_server(service, routers=tuple(routers), lifetimes=tuple(lifetimes), keys=keys) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    return Effects(tmp_path / "effects")


@pytest.fixture
def http(tree: Path, tmp_path: Path, effects: Effects) -> Iterator[httpx.Client]:
    with desk(tree, tools=effects.tools, state_dir=str(tmp_path / "state"), allow_writes=True) as client:
        yield client


def shop(*steps: Any, grant: list[str] | None = None, **more: Any) -> dict[str, Any]:
    written = [{"id": f"s{at}", "args": {}, **step} for at, step in enumerate(steps, 1)]
    return {
        "domain": "workshop",
        "plan": {"version": 1, "steps": written},
        "grant": MUTATING if grant is None else grant,
        **more,
    }


RESERVE, PAY = {"skill": "reserve", "args": {"item": "bench"}}, {"skill": "pay", "args": {"amount": 7}}
PAINT = {"skill": "paint"}


def metric(http: httpx.Client, name: str, *labels: str) -> float:
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(name)]
    found = [line for line in lines if all(label in line for label in labels)]
    return sum(float(line.split()[-1]) for line in found)


def test_a_plan_is_run_with_its_attempts_and_journal(http: httpx.Client) -> None:
    reply = http.post("/v1/plans/run", json=GATE)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["status"], [step["status"] for step in body["steps"]]) == ("finished", ["done", "done"])
    assert [step["attempts"] for step in body["steps"]] == [1, 1]
    assert [event["event"] for event in body["journal"]] == ["started", "attempt", "attempt", "ended"]
    assert metric(http, "bb:plan_executions_total", 'status="finished"') == 1


def test_a_root_below_is_used_and_one_outside_refused(http: httpx.Client) -> None:
    plan = {"domain": "repo_assistant", "plan": 's1=read(path="gate.md")'}
    assert http.post("/v1/plans/run", json={**plan, "root": "docs"}).json()["status"] == "finished"
    refused = http.post("/v1/plans/run", json={**plan, "root": "../"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "root")


def test_a_refused_plan_is_not_run(http: httpx.Client) -> None:
    reply = http.post("/v1/plans/run", json={"domain": "repo_assistant", "plan": 's1=read(path="../x")'})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "plan_rejected")
    assert "leaves the working root" in reply.json()["error"]["message"]
    assert http.post("/v1/plans/run", json={"domain": "repo_assistant", "plan": "no plan"}).status_code == 422
    assert http.post("/v1/plans/run", json={"domain": "nowhere", "plan": "s1=list()"}).json()["error"]["param"] == "domain"


def test_a_level_that_is_not_granted_is_refused_by_name(http: httpx.Client) -> None:
    plain = http.post("/v1/plans/run", json=shop(RESERVE, grant=[]))
    assert (plain.status_code, plain.json()["error"]["code"]) == (422, "plan_rejected")
    asked = http.post("/v1/plans/run", json=shop(RESERVE, grant=["meta"]))
    assert (asked.status_code, asked.json()["error"]["param"]) == (403, "grant")
    assert "--allow-meta" in asked.json()["error"]["message"]
    assert http.post("/v1/plans/check", json=shop(RESERVE)).json()["accepted"] is True


def test_a_domain_without_tools_is_a_conflict(http: httpx.Client) -> None:
    reply = http.post("/v1/plans/run", json={"domain": "scan", "plan": 's1=do(act="walk")'})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_tools")


def test_a_dry_run_says_what_would_be_asked(http: httpx.Client, effects: Effects) -> None:
    reply = http.post("/v1/plans/dry-run", json=shop(RESERVE, {**PAINT, "needs": ["s1"]})).json()
    assert [(one["id"], one["decision"]) for one in reply["decisions"]] == [("s1", "allow"), ("s2", "confirm")]
    assert reply["said"].startswith("Nothing was run. The plan:")
    refused = http.post("/v1/plans/dry-run", json=shop(PAINT, RESERVE)).json()
    assert (refused["plan"], refused["verdict"]["accepted"]) == (None, False)
    assert effects.lines() == []


def test_what_needs_a_yes_is_run_after_it_and_once(http: httpx.Client, effects: Effects) -> None:
    asked = http.post("/v1/plans/run", json=shop(RESERVE, {**PAINT, "needs": ["s1"]}))
    assert asked.status_code == 202
    body = asked.json()
    assert body["status"] == "confirmation_required"
    assert [(step["id"], step["skill"]) for step in body["steps"]] == [("s2", "paint")]
    assert effects.lines() == []
    answer = {"token": body["token"], "approve": True}
    done = http.post("/v1/plans/confirm", json=answer)
    assert (done.status_code, done.json()["status"]) == (200, "finished")
    assert "confirmed" in [event["event"] for event in done.json()["journal"]]
    again = http.post("/v1/plans/confirm", json=answer)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "confirmation_not_found")
    assert effects.counts() == {"reserve": 1, "paint": 1}


def test_a_no_drops_the_plan(http: httpx.Client, effects: Effects) -> None:
    token = http.post("/v1/plans/run", json=shop(PAINT)).json()["token"]
    dropped = http.post("/v1/plans/confirm", json={"token": token, "approve": False})
    assert (dropped.status_code, dropped.json()) == (202, {"status": "dropped"})
    assert http.post("/v1/plans/confirm", json={"token": token, "approve": True}).status_code == 404
    assert effects.lines() == []


def test_every_write_may_need_a_yes(tree: Path, tmp_path: Path, effects: Effects) -> None:
    state = str(tmp_path / "state")
    with desk(tree, tools=effects.tools, state_dir=state, allow_writes=True, confirm_writes=True) as http:
        assert http.post("/v1/plans/run", json=shop(RESERVE)).status_code == 202
        assert http.post("/v1/plans/run", json=shop({"skill": "look"})).status_code == 200


def test_a_stopped_plan_tells_its_undos(http: httpx.Client, effects: Effects) -> None:
    from builderbrain.errors import ToolError

    effects.fail["pay"] = ToolError("no money")
    body = http.post("/v1/plans/run", json=shop(RESERVE, {**PAY, "needs": ["s1"]})).json()
    assert (body["status"], [undo["status"] for undo in body["undos"]]) == ("stopped", ["undone"])
    assert "no money" in body["reason"]


def test_an_unknown_effect_is_answered_and_the_execution_resumed(http: httpx.Client, effects: Effects) -> None:
    effects.fail["send"] = RuntimeError("the line went dead")
    body = http.post("/v1/plans/run", json=shop({"skill": "send"})).json()
    assert (body["status"], body["steps"][0]["status"]) == ("unsettled", "unknown")
    name = body["execution"]
    (listed,) = http.get("/v1/executions").json()["executions"]
    assert (listed["execution"], listed["status"], listed["running"]) == (name, "unsettled", False)
    detail = http.get(f"/v1/executions/{name}").json()
    assert [(entry["step"], entry["status"]) for entry in detail["entries"]] == [("s1", "unknown")]
    answered = http.post(f"/v1/executions/{name}/answer", json={"step": "s1", "done": True, "results": {}})
    assert answered.json()["entries"][0]["status"] == "done"
    twice = http.post(f"/v1/executions/{name}/answer", json={"step": "s1", "done": True})
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "ledger_refused")
    resumed = http.post(f"/v1/executions/{name}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "finished")
    assert http.get("/v1/executions").json()["executions"] == []
    assert http.post(f"/v1/executions/{name}/resume").status_code == 409
    assert effects.counts() == {}


def test_what_was_cut_off_is_resumed_by_the_next_server(tree: Path, tmp_path: Path, effects: Effects) -> None:
    options: dict[str, Any] = {"tools": effects.tools, "state_dir": str(tmp_path / "state"), "allow_writes": True}
    effects.fail["send"] = RuntimeError("dead")
    with desk(tree, **options) as http:
        name = http.post("/v1/plans/run", json=shop({"skill": "send"})).json()["execution"]
    with desk(tree, **options) as http:
        assert [one["execution"] for one in http.get("/v1/executions").json()["executions"]] == [name]


def test_executions_that_are_not_there_are_not_found(tree: Path, http: httpx.Client) -> None:
    for method, path in (("GET", ""), ("POST", "/resume")):
        reply = http.request(method, f"/v1/executions/nothing{path}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "execution_not_found")
    with desk(tree) as bare:
        assert bare.get("/v1/executions").json() == {"executions": []}
        assert "--state-dir" in bare.get("/v1/executions/x").json()["error"]["message"]


def test_a_plan_is_repaired_and_the_reply_says_how(http: httpx.Client) -> None:
    broken = {"domain": "repo_assistant", "plan": "s1=list()\ns2=read(path=s1.first_path) after s7"}
    body = http.post("/v1/plans/repair", json=broken).json()
    assert body["accepted"] is True
    assert [(one["stage"], one["kept"]) for one in body["tried"]] == [("edges", True)]
    assert [fault["code"] for fault in body["before"]] == ["dangling_need"]
    assert http.post("/v1/plans/run", json={"domain": "repo_assistant", "plan": body["plan"]}).status_code == 200
    hopeless = http.post("/v1/plans/repair", json={"domain": "repo_assistant", "plan": "no plan"}).json()
    assert (hopeless["accepted"], hopeless["plan"]) == (False, None)
    assert metric(http, "bb:plan_repairs_total", 'outcome="accepted"') == 1


def test_a_missing_argument_is_decoded_by_the_model_under_its_grammar(tree: Path) -> None:
    lacking = {"version": 1, "steps": [{"id": "s1", "skill": "search", "args": {}}]}
    with desk(tree, text='"promotion gate"') as http:
        body = {"domain": "repo_assistant", "plan": lacking}
        assert http.post("/v1/plans/repair", json=body).json()["accepted"] is False
        found = http.post("/v1/plans/repair", json={**body, "goal": "find the promotion gate"}).json()
    assert found["accepted"] is True, found
    assert found["plan"]["steps"][0]["args"] == {"pattern": "promotion gate"}


def test_failing_tools_show_in_metrics(http: httpx.Client, effects: Effects) -> None:
    effects.fail["inspect"] = RuntimeError("broken")
    for _ in range(3):
        http.post("/v1/plans/run", json=shop({"skill": "inspect"}, grant=[]))
    assert metric(http, "bb:breaker_changes_total", 'breaker="tool/inspect"', 'state="open"') == 1


def test_a_goal_that_cannot_be_planned_goes_to_a_person(tree: Path, tmp_path: Path) -> None:
    with desk(tree, text='s1=talk(text="aaaa', ends=False, hand_off_file=str(tmp_path / "goals.jsonl")) as http:
        body = http.post("/v1/goals", json={"goal": "read the secret"}).json()
        assert body["verdict"]["accepted"] is False
        stages = [(step["stage"], step["helped"]) for step in body["fallback"]]
        assert stages[:3] == [("constrained", False), ("constrained", False), ("template", False)]
        assert stages[-1] == ("hand_off", True)
        assert metric(http, "bb:plan_fallbacks_total", 'stage="hand_off"', 'helped="true"') == 1
    assert "read the secret" in (tmp_path / "goals.jsonl").read_text()


def test_writes_need_a_folder_for_the_ledger(tree: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        ServeSettings(root=str(tree), allow_writes=True)
    assert refused.value.field == "state_dir"
