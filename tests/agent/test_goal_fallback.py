"""Goals whose plans are refused: repaired, proposed again, filled in, and at last answered by what the domain falls back on."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import GoalResult, GoalRunner, PlanRuns, Runtime, WorkingRoot, open_domain
from builderbrain.agent.breaker import BreakerRecord
from builderbrain.agent.breaker_board import BreakerBoard
from builderbrain.agent.breakers import VALIDATION_WINDOW, VIOLATIONS
from builderbrain.agent.executor import Tool
from builderbrain.agent.hand_off import HandOff, handed_to_file
from builderbrain.agent.ledger import Ledger
from builderbrain.errors import MaskEmptyError
from builderbrain.plan import get_domain, parse_text
from builderbrain.plan._generated import DOMAINS
from builderbrain.plan.repair import ArgumentRequest
from builderbrain.plan.schema import load_schema
from builderbrain.plan.skeleton import skeleton_of
from builderbrain.tools.base import ToolContext
from tests.agent.scripted_plans import ScriptedPlans
from tests.agent.turned_clock import TurnedClock
from tests.plan.conftest import generated_domain

GARDEN = Path(__file__).resolve().parents[1] / "plan" / "garden.v1.yaml"
GOOD, BAD, WORSE = 's1=list(path=".")', 's1=read(path="../secret")', "sure, I can"


@pytest.fixture
def root(tmp_path: Path) -> WorkingRoot:
    (tmp_path / "a.md").write_text("the gate\n")
    return WorkingRoot(tmp_path)


def run(
    model: ScriptedPlans, root: WorkingRoot, *, domain: str = "repo_assistant", dry_run: bool = False, **options: Any
) -> GoalResult:
    result = GoalRunner(model, open_domain(domain, root), **options).run("find the gate", dry_run=dry_run)
    json.dumps(result.to_json())
    return result


def test_a_proposal_is_repaired_and_the_record_says_how(root: WorkingRoot) -> None:
    model = ScriptedPlans(
        's1=search(pattern="gate")\ns2=talk(text="x",about=s1.text)\ns3=list() after s2,s1 if s1.ok and s1.ok'
    )
    spoiled = ScriptedPlans("s1=list()\ns2=read(path=s1.first_path) after s9")
    assert run(model, root).repair is None
    result = run(spoiled, root)
    assert result.verdict.accepted
    assert [entry.status for entry in result.trace] == ["done", "done"]
    (change,) = result.to_json()["repair"]["tried"]
    assert (change["stage"], change["kept"]) == ("edges", True)
    assert "s9" in change["said"]
    assert "dangling_need" in change["why"]
    assert len(spoiled.requests) == 1


def test_a_refused_plan_is_proposed_again_with_what_was_wrong(root: WorkingRoot) -> None:
    model = ScriptedPlans(WORSE, BAD, GOOD)
    result = run(model, root)
    assert result.verdict.accepted
    assert [request.attempt for request in model.requests] == [1, 2, 3]
    assert [request.faults[0].code for request in model.requests[1:]] == ["malformed", "path_escape"]
    assert [(step.stage, step.helped) for step in result.fallback] == [("constrained", False), ("constrained", True)]


def test_the_number_of_proposals_is_bounded_and_the_refusal_says_what_was_tried(root: WorkingRoot) -> None:
    model = ScriptedPlans(BAD)
    result = run(model, root)
    assert not result.verdict.accepted
    assert len(model.requests) == 3
    assert [step.stage for step in result.fallback] == ["constrained", "constrained", "template", "error"]
    assert not any(step.helped for step in result.fallback)
    assert "leaves the working root" in result.answer
    assert result.trace == ()


def test_a_model_that_finds_no_token_is_a_refusal_not_an_error(root: WorkingRoot) -> None:
    result = run(ScriptedPlans(MaskEmptyError("no token is legal")), root)
    assert result.plan is None
    assert result.verdict.faults[0].message == "no token is legal"


def test_a_template_fills_the_steps_that_were_foreseen(root: WorkingRoot) -> None:
    asked: list[ArgumentRequest] = []

    def write(request: ArgumentRequest) -> str:
        asked.append(request)
        return '"gate"'

    foreseen = skeleton_of(parse_text('s1=search(pattern="x")\ns2=read(path=s1.first_path)'))
    result = run(ScriptedPlans(WORSE, skeleton=foreseen), root, write=write, further=0)
    assert result.verdict.accepted, result.fallback
    assert [(entry.skill, entry.status) for entry in result.trace] == [("search", "done"), ("read", "done")]
    assert [(one.skill, one.argument, one.goal) for one in asked] == [("search", "pattern", "find the gate")]
    assert [(step.stage, step.helped) for step in result.fallback] == [("template", True)]


class Garden:
    """The domain of the tests of repair with tools that note what they did; it falls back on `wave`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(DOMAINS, ("garden", 1), generated_domain(load_schema(GARDEN)))
        self.done: list[str] = []
        self.clock = TurnedClock()
        self.records: list[BreakerRecord] = []
        self.board = BreakerBoard(self.clock, self.records.append)
        runtime = Runtime(ledger=Ledger(folder / "ledger.db"), clock=self.clock)
        tools = {skill: self._tool(skill) for skill in get_domain("garden").skills}
        self.runs = PlanRuns(runtime, board=self.board, tools={"garden": tools})
        self.options: dict[str, Any] = {"domain": "garden", "runs": self.runs, "further": 0}

    def _tool(self, skill: str) -> Tool:
        kinds = {"path": "a", "text": "t", "integer": 1, "string": "s"}

        async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            self.done.append(skill)
            results = get_domain("garden").skills[skill].results
            return {name: kinds[kind] for name, kind in results.items() if name != "ok"}

        return Tool(skill=skill, run=run)


@pytest.fixture
def garden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Garden:
    return Garden(tmp_path, monkeypatch)


def test_the_domain_falls_back_on_the_skill_that_its_schema_names(garden: Garden, root: WorkingRoot) -> None:
    result = run(ScriptedPlans(WORSE), root, **garden.options)
    assert garden.done == ["wave"]
    assert not result.verdict.accepted
    assert [(entry.skill, entry.status) for entry in result.trace] == [("wave", "done")]
    assert ("domain", True) in [(step.stage, step.helped) for step in result.fallback]
    assert "wave was run, which garden falls back on" in result.answer
    assert run(ScriptedPlans(WORSE), root, dry_run=True, **garden.options).trace == ()
    assert garden.done == ["wave"]


@pytest.mark.parametrize(("name", "skill"), [("robot_cell", "safe_pose"), ("phone_flow", "escalate")])
def test_shipped_domains_fall_back_only_on_what_is_granted(name: str, skill: str, root: WorkingRoot) -> None:
    assert get_domain(name).fallback == skill
    result = run(ScriptedPlans(WORSE), root, domain=name, further=0)
    (step,) = [step for step in result.fallback if step.stage == "domain"]
    assert not step.helped
    assert "mutating, granted: read_only" in step.said


def test_a_goal_is_handed_to_a_person(garden: Garden, root: WorkingRoot, tmp_path: Path) -> None:
    path = tmp_path / "goals.jsonl"
    result = run(ScriptedPlans(WORSE), root, hand_over=handed_to_file(path, garden.clock), **garden.options)
    line = json.loads(path.read_text())
    assert (line["goal"], line["domain"]) == ("find the gate", "garden")
    assert line["verdict"]["faults"][0]["code"] == "malformed"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "handed to a person" in result.answer

    async def full(_: HandOff) -> None:
        raise OSError(28, "No space left on device")

    failed = run(ScriptedPlans(WORSE), root, hand_over=full, **garden.options)
    assert [step.said for step in failed.fallback if step.stage == "hand_off"] == [
        "the goal could not be handed to a person: No space left on device"
    ]


def test_more_than_five_violations_in_a_row_lead_straight_to_the_fallback(garden: Garden, root: WorkingRoot) -> None:
    model = ScriptedPlans(WORSE)
    for _ in range(VIOLATIONS + 1):
        result = run(model, root, **garden.options)
    assert [record.action for record in result.breakers] == ["fallback"]
    asked = len(model.requests)
    straight = run(ScriptedPlans('s1=look(path="a")'), root, **garden.options)
    assert straight.fallback[0].stage == "breaker"
    assert garden.done[-1] == "wave"
    assert len(model.requests) == asked == VIOLATIONS + 1
    garden.clock.time += 31
    trial = run(ScriptedPlans('s1=look(path="a")'), root, **garden.options)
    assert [entry.skill for entry in trial.trace] == ["look"]
    assert [record.after for record in garden.records] == ["open", "half_open"]
    assert [record["breaker"] for record in result.to_json()["breakers"]] == ["domain/garden/violations"]


def test_four_plans_of_five_refused_ask_for_a_review(garden: Garden, root: WorkingRoot) -> None:
    bad, good = ScriptedPlans('s1=look(path="../x")'), ScriptedPlans('s1=look(path="a")')
    for _ in range(3):
        assert run(good, root, **garden.options).pending is None
    for _ in range(VALIDATION_WINDOW - 3):
        assert "review" not in garden.board.domain("garden").actions
        run(bad, root, **garden.options)
    assert "review" in garden.board.domain("garden").actions
    before = len(garden.done)
    result = run(good, root, **garden.options)
    assert result.review
    assert len(garden.done) == before
    assert result.pending is not None
    assert result.to_json()["confirmation"]["steps"][0]["skill"] == "look"
    report = anyio.run(lambda: garden.runs.answer(result.pending.token, yes=True))  # type: ignore[union-attr]
    assert report is not None
    assert garden.done[-1] == "look"
