"""`POST /v1/react`: several plans for a goal, within bounds, and told as far as they came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.agent import PlanRuns, Runtime, WorkingRoot
from builderbrain.errors import BuilderBrainError, PolicyError
from builderbrain.grammar.base import Constraint
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.react import react_router
from tests.serve.running import running_server
from tests.serve.scripted import ScriptedModel, scripted_service

NOTHING = 's1=search(pattern="unicorn")'
FOUND = 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)'
GOAL = {"goal": "open what it says about the gate"}


@contextmanager
def desk(tree: Path, *plans: str, runs: PlanRuns | None = None) -> Iterator[tuple[httpx.Client, list[str]]]:
    """A client of a server that makes these plans one after the other, and the prompts that it made them from."""
    service = scripted_service("")
    backend: Any = service.backend
    left, prompts = list(plans), []

    class Turns(ScriptedModel):
        def start(self, prompt_tokens: Any) -> Any:
            prompts.append(self.tokenizer.decode(list(prompt_tokens)))
            return ScriptedModel(service, left.pop(0) if len(left) > 1 else left[0]).start(prompt_tokens)

    backend.replace(backend.models()[0].name, Turns(service, ""))

    def compiled(source: str) -> Any:
        return backend.mask_engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    router = react_router(
        service, domains=GoalDomains(service, compiled), root=WorkingRoot(tree), runs=runs or PlanRuns(Runtime())
    )
    assert isinstance(backend, ModelBackend)
    with (
        running_server(service, routers=(router,)) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http, prompts


def test_a_second_plan_is_made_knowing_what_the_first_saw(tree: Path) -> None:
    with desk(tree, NOTHING, FOUND) as (http, prompts):
        reply = http.post("/v1/react", json=GOAL).json()
    assert (reply["domain"], reply["ended"], reply["complete"], len(reply["rounds"])) == ("repo_assistant", "done", True, 2)
    assert "one veto" in reply["answer"]
    assert [step["skill"] for step in reply["rounds"][1]["execution"]["steps"]] == ["search", "read"]
    assert "Seen" not in prompts[0]
    assert 'Seen: search done, pattern "unicorn"' in prompts[1]
    assert "no confidence is fitted" in reply["deferral_off"]


@pytest.mark.parametrize(
    ("bound", "ended", "rounds"),
    [({"max_plans": 1}, "rounds", 1), ({"max_steps": 1}, "steps", 2), ({"max_tokens": 20}, "tokens", None)],
)
def test_a_bound_that_is_hit_is_named_beside_what_was_done(tree: Path, bound: dict[str, int], ended: str, rounds: Any) -> None:
    with desk(tree, NOTHING, FOUND) as (http, _):
        reply = http.post("/v1/react", json={**GOAL, **bound}).json()
    assert (reply["ended"], reply["complete"]) == (ended, False)
    assert "Stopped at the limit on" in reply["answer"]
    assert rounds is None or len(reply["rounds"]) == rounds
    assert reply["tokens"] <= bound.get("max_tokens", reply["tokens"])


def test_time_is_a_bound(tree: Path) -> None:
    with desk(tree, FOUND) as (http, _):
        reply = http.post("/v1/react", json={**GOAL, "max_seconds": 0.000001}).json()
    assert (reply["ended"], reply["rounds"]) == ("time", [])


def test_what_a_later_plan_raises_does_not_lose_what_was_done(tree: Path) -> None:
    class Failing(PlanRuns):
        calls = 0

        async def run(self, *given: Any, **more: Any) -> Any:
            self.calls += 1
            if self.calls > 1:
                raise PolicyError("the policy blocks it", field="s1")
            return await super().run(*given, **more)

    with desk(tree, NOTHING, FOUND, runs=Failing(Runtime())) as (http, _):
        reply = http.post("/v1/react", json=GOAL).json()
    assert (reply["ended"], len(reply["rounds"])) == ("failed", 1)
    assert 'matches "unicorn"' in reply["answer"]
    assert reply["answer"].endswith("the policy blocks it")
    failing = Failing(Runtime())
    failing.calls = 1
    with desk(tree, FOUND, runs=failing) as (http, _):
        assert http.post("/v1/react", json=GOAL).status_code == 403
    assert issubclass(PolicyError, BuilderBrainError)


def test_what_was_seen_may_leave_no_room_for_a_plan(tree: Path) -> None:
    for number in range(6):
        (tree / f"{number}.md").write_text("unicorn " * 40)
    with desk(tree, 's1=read(path="0.md")\ns2=read(path="1.md")\ns3=read(path="9.md")', FOUND) as (http, _):
        reply = http.post("/v1/react", json=GOAL)
    assert reply.status_code == 200, reply.text
    assert reply.json()["ended"] == "tokens"
    assert "unicorn" in reply.json()["answer"]


def test_bad_bounds_are_refused_with_their_field(tree: Path) -> None:
    with desk(tree, FOUND) as (http, _):
        for body, field in (
            ({"max_plans": 0}, "max_plans"),
            ({"max_plans": 99}, "max_plans"),
            ({"max_steps": 1.5}, "max_steps"),
            ({"max_tokens": 1 << 20}, "max_tokens"),
            ({"max_seconds": 0}, "max_seconds"),
            ({"domain": "nowhere"}, "domain"),
            ({"root": ".."}, "root"),
            ({"goal": " "}, "goal"),
        ):
            reply = http.post("/v1/react", json={**GOAL, **body})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)
        assert http.post("/v1/react", json={**GOAL, "domain": "ui_macro"}).status_code == 409
