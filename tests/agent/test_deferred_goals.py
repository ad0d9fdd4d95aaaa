"""A plan that is not sure enough is not run: a person is asked, after a lookup exactly when that is worth its cost."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from builderbrain.agent import GoalResult, GoalRunner, PlanProposal, WorkingRoot, open_domain, proposed_in_thread
from builderbrain.agent.lookup import LookupGate
from builderbrain.deferral import DeferralPolicy
from builderbrain.errors import DataError, UncalibratedError
from builderbrain.world.decision import CUES
from builderbrain.world.evsi import Information
from builderbrain.world.lookups import WorldLookups, cue_of
from builderbrain.world.model import WorldConfig, WorldModel

PLAN = 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)'


@dataclass(frozen=True)
class Said:
    tool: str | None
    worth: dict[str, Information]


@dataclass
class Weighing:
    """A gate whose searches bring `gain` at `cost`."""

    gain: float
    cost: float

    def weigh(self, domain: str, goal: str, tools: Set[str]) -> Said:
        assert domain == "repo_assistant"
        assert tools == {"search"}  # the read needs what the search finds
        worth = Information(now=0.2, after=0.2 + self.gain, cost=self.cost)
        return Said("search" if worth.net > 0 else None, {"search": worth})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gate.md").write_text("The promotion gate decides.\n")
    return tmp_path


def run(
    folder: Path,
    confidence: float | None,
    *,
    policy: DeferralPolicy | None = None,
    lookups: LookupGate | None = None,
    alternatives: tuple[str, ...] = (),
    dry_run: bool = False,
) -> GoalResult:
    proposal = PlanProposal(text=PLAN, weight_version="v1", confidence=confidence, alternatives=alternatives)
    home = open_domain("repo_assistant", WorkingRoot(folder))
    policy = policy or DeferralPolicy(None)
    runner = GoalRunner(proposed_in_thread(lambda _: proposal), home, deferral=policy, lookups=lookups)
    return runner.run("find the promotion gate", dry_run=dry_run)


def test_a_sure_plan_is_run_and_says_how_sure_it_was(folder: Path) -> None:
    result = run(folder, 0.8)
    assert [entry.status for entry in result.trace] == ["done", "done"]
    told = result.to_json()["deferral"]
    assert (told["deferred"], told["confidence"], told["threshold"], told["fitted"]) == (False, 0.8, 0.8, False)


def test_a_plan_under_the_threshold_is_answered_by_a_question(folder: Path) -> None:
    result = run(folder, 0.79, alternatives=('s1=read(path="gate.md")', "no plan", PLAN))
    assert result.trace == ()
    assert result.plan is not None
    assert result.answer == (
        'Nothing was done. Which of these do you mean by "find the promotion gate"?\n'
        '1. search the working root for "promotion gate"; read the first path of s1\n'
        "2. read gate.md\n"
        "3. none of these"
    )
    far = run(folder, 0.1)
    assert far.answer.startswith('Nothing was done. Do you mean this by "find the promotion gate"?\n- search')


def test_a_policy_needs_a_confidence_that_is_one(folder: Path) -> None:
    with pytest.raises(UncalibratedError, match="expected a confidence of each plan in repo_assistant, got none"):
        run(folder, None)
    with pytest.raises(DataError, match="confidence: expected a probability from 0 to 1, got nan"):
        run(folder, float("nan"))


@pytest.mark.parametrize(("cost", "called"), [(0.1, True), (0.3, False), (0.5, False)])
def test_a_lookup_is_made_exactly_when_it_is_worth_more_than_it_costs(
    folder: Path, cost: float, called: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="builderbrain.agent.lookup"):
        result = run(folder, 0.5, lookups=Weighing(gain=0.3, cost=cost))
    assert [entry.skill for entry in result.trace] == (["search"] if called else [])
    assert ("gate.md:1: The promotion gate decides." in result.answer) == called
    assert ("Nothing else was done" in result.answer) == called
    told = result.to_json()["lookup"]
    assert (told["called"], told["tool"], told["cost"]) == (called, "search", cost)
    assert told["net"] == pytest.approx(0.3 - cost)
    assert f"net utility {0.3 - cost:.4f}" in caplog.text


def test_nothing_is_looked_up_for_a_sure_plan_or_in_a_dry_run(folder: Path) -> None:
    assert run(folder, 0.9, lookups=Weighing(gain=0.3, cost=0.0)).lookup is None
    dry = run(folder, 0.5, lookups=Weighing(gain=0.3, cost=0.0), dry_run=True)
    assert dry.trace == ()
    assert dry.lookup is not None


def test_a_world_model_weighs_the_lookups_of_the_domains_it_knows(folder: Path) -> None:
    torch.manual_seed(0)
    lookups = WorldLookups(WorldModel(WorldConfig()).eval())
    verdict = lookups.weigh("repo_assistant", "maybe it is in gate.md", {"search", "read", "talk"})
    assert verdict is not None
    assert set(verdict.worth) == {"search", "read"}
    assert lookups.weigh("robot_cell", "pick it", {"pick"}) is None
    assert lookups.weigh("repo_assistant", "hello", {"talk"}) is None
    result = run(folder, 0.5, lookups=lookups)
    assert result.lookup is not None
    assert (result.lookup.step is not None) == (result.lookup.net > 0)


def test_how_sure_a_goal_sounds_is_read_from_its_words() -> None:
    goals = ["It is in a.py, I checked", "open the parser", "it used to be in a.py", "perhaps in src"]
    assert [cue_of(goal) for goal in goals] == list(CUES)
