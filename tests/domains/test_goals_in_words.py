"""From a goal in words to its end, with the bundled base and the rail of each domain, whatever goes wrong on the way.

The goal of a playbook is decoded as the plan of the playbook; every row of the table is then run from the words on. A domain
takes part as soon as its rail is bundled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import anyio
import pytest
import torch

from builderbrain.agent import DomainRuntime, ExecutionReport, GoalResult, GoalRunner, PlanProposal, PlanRequest
from builderbrain.agent.goal import GoalRunner as Runner
from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.load import NANO, load_host
from builderbrain.plan import get_domain, load_grammar, print_text
from builderbrain.rail.bundled import BUNDLED_RAIL, bundled_domain_rails_of
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.fitting import other_domain
from builderbrain.rail.model import RailModel
from tests.domains.playbooks import DOMAINS, Row, check_row, playbook
from tests.domains.stages import Stages, stages

RAILS: Mapping[str, Path] = {"repo_assistant": BUNDLED_RAIL, **bundled_domain_rails_of(NANO)}
ALL_DOMAINS_HAVE_RAILS = True
"""Set once a rail of every domain is bundled: from then on a missing one fails."""

GOALS = [(domain, plan) for domain in RAILS for plan in playbook(domain).goals]
ROWS = [row for domain in RAILS for row in playbook(domain).rows if row.plan in playbook(domain).goals]
ROOM = 320


@dataclass(frozen=True)
class Brain:
    """A rail beside the bundled base, and the grammar of its domain."""

    model: RailModel
    grammar: CompiledConstraint

    def decode(self, goal: str) -> str:
        """The likeliest plan for a goal."""
        prompt = plan_prompt(self.model.tokenizer, goal)
        made = generate(self.model, prompt, SamplingParameters(max_tokens=ROOM, temperature=0.0), self.grammar)
        assert made.finish_reason == "stop"
        return made.text


@cache
def brain(domain: str) -> Brain:
    rail = load_rail(RAILS[domain])
    assert other_domain(rail.config, get_domain(domain)) is None
    host, engine = base(rail.config.tap_points)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar(domain)), trusted=True)
    return Brain(RailModel(host, rail), grammar)


@cache
def base(taps: tuple[int, ...]):  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    host = load_host(NANO, tap_points=taps)
    return host, XGrammarEngine(host.tokenizer, host.vocab_size)


@cache
def decoded(domain: str, goal: str) -> str:
    return brain(domain).decode(goal)


@pytest.fixture(scope="module")
def made() -> Iterator[Stages]:
    with stages() as found:
        yield found
    for known in (decoded, brain, base):
        known.cache_clear()


def runner(home: DomainRuntime) -> GoalRunner:
    """Whoever runs goals, with the domain's model; a second proposal would mean that the first was refused."""

    async def propose(request: PlanRequest) -> PlanProposal:
        assert request.attempt == 1, request.faults
        version = brain(home.domain.name).model.weight_version
        return PlanProposal(text=decoded(home.domain.name, request.goal), weight_version=version)

    return Runner(propose, home)


def ask(home: DomainRuntime, goal: str) -> GoalResult:
    return anyio.run(runner(home).run_async, goal)


def test_there_is_a_rail_for_each_domain_that_has_a_playbook() -> None:
    assert set(RAILS) <= set(DOMAINS)
    if ALL_DOMAINS_HAVE_RAILS:
        assert set(RAILS) == set(DOMAINS)


@pytest.mark.parametrize(("domain", "plan"), GOALS, ids=[f"{domain}-{plan}" for domain, plan in GOALS])
def test_the_goal_of_a_playbook_is_understood_as_its_plan(domain: str, plan: str, made: Stages, tmp_path: Path) -> None:
    book = playbook(domain)
    home = made.stage(domain, "", tmp_path).home
    assert print_text(home.check(decoded(domain, book.goals[plan])).plan) == print_text(home.check(book.plans[plan]).plan)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_goal_in_words_ends_as_the_playbook_says(
    row: Row, made: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[GoalResult] = []

    def run(home: DomainRuntime) -> ExecutionReport:
        told.append(ask(home, playbook(row.domain).goals[row.plan]))
        assert told[0].report is not None, told[0].answer
        return told[0].report

    report = check_row(row, made.stage(row.domain, row.fault, tmp_path), run, monkeypatch)
    (result,) = told
    assert result.verdict.accepted
    assert result.weight_version == brain(row.domain).model.weight_version
    for entry in report.entries:  # the answer keeps nothing back
        if entry.status in ("failed", "unknown"):
            assert entry.error is not None
            assert entry.error in result.answer
    for one in report.fallbacks:
        assert one.skill in result.answer


FIXED = [domain for domain in RAILS if any(one.fixed_order for one in get_domain(domain).resources.values())]


@pytest.mark.parametrize("domain", FIXED)
def test_of_two_goals_that_need_the_same_thing_one_waits(domain: str, made: Stages, tmp_path: Path) -> None:
    """Both are asked at the same time. The second begins when the first has ended, and finds the world as that one left it."""
    stage = made.stage(domain, "", tmp_path)
    home = stage.home
    goal = next(iter(playbook(domain).goals.values()))
    decoded(domain, goal)
    results: list[GoalResult] = []

    async def one() -> None:
        results.append(await runner(home).run_async(goal))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            group.start_soon(one)

    anyio.run(both)
    first, second = (result.report for result in results)
    assert first is not None
    assert second is not None
    assert first.status == "finished"
    assert [event.kind for event in first.events if event.kind == "wait"] == []
    assert any(event.kind == "wait" for event in second.events), [event.said for event in second.events]
    assert stage.forbidden(second) == [] or domain == "ui_macro"  # asked for twice, sent twice
    assert second.events[-1].kind == "ended"


@pytest.mark.parametrize("domain", sorted(RAILS))
def test_a_level_that_is_not_granted_keeps_everything_as_it_is(domain: str, made: Stages, tmp_path: Path) -> None:
    stage = made.stage(domain, "", tmp_path)
    home = replace(stage.home, granted=frozenset({"read_only"}))
    book = playbook(domain)
    plan, goal = next(iter(book.goals.items()))
    acts = any(home.domain.skills[step.skill].safety != "read_only" for step in home.parse(book.plans[plan]).steps)

    async def propose(request: PlanRequest) -> PlanProposal:
        return PlanProposal(text=decoded(domain, goal), weight_version="v")

    result = GoalRunner(propose, home).run(goal)
    assert result.verdict.accepted is not acts
    if acts:
        assert all(entry.ok and home.domain.skills[entry.skill].safety == "read_only" for entry in result.trace)
        assert {fault.code for fault in result.verdict.faults} >= {"safety_not_granted"}
        assert result.fallback
