"""What the command `goal` does once its options are read. Apart from the other commands, which need no model."""

from __future__ import annotations

from collections.abc import Set
from functools import partial
from pathlib import Path

import anyio

from builderbrain.agent.domain_runtime import open_domain
from builderbrain.agent.executor import Runtime, WorkingRoot
from builderbrain.agent.goal import GoalResult, GoalRunner, check_goal
from builderbrain.agent.local_model import load_planner
from builderbrain.agent.proposal import Propose, proposed_in_thread


def planner_for(goal: str, domain: str, *, rail: Path | None, base: str) -> Propose:
    """The model that makes plans of a domain, for a goal that is one.

    Raises:
        InvalidRequestError: the goal is none.
        and what `load_planner` raises.
    """
    check_goal(goal)
    return proposed_in_thread(load_planner(domain, rail=rail, base=base))


def run_goal(
    goal: str, domain: str, propose: Propose, *, root: WorkingRoot, granted: Set[str], runtime: Runtime, dry_run: bool
) -> GoalResult:
    """Plan, run and answer; raises what `GoalRunner.run_async` raises."""
    home = open_domain(domain, root, granted=granted, runtime=runtime)
    return anyio.run(partial(GoalRunner(propose, home).run_async, goal, dry_run))
