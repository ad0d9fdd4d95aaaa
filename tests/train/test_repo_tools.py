"""Goals over all tools of a repository assistant: every tool, every kind of clause, and the one reading that each has."""

import re
from collections import Counter
from functools import cache
from itertools import islice
from random import Random

import pytest

from builderbrain.plan import get_domain, parse_text
from builderbrain.plan.condition import holds, parse_condition
from builderbrain.tools.claim import parse_claim
from builderbrain.train.repo_tools import REPO_TOOLS
from builderbrain.train.repo_tools.claims import random_claim
from builderbrain.train.repo_tools.condition_phrases import CONDITIONS as SAID
from builderbrain.train.repo_tools.condition_phrases import FIRST_CONDITIONS
from builderbrain.train.repo_tools.conditions import CONDITIONS
from builderbrain.train.repo_tools.goals import ACTIONS
from builderbrain.train.repo_tools.phrases import PHRASES

GOALS = 2500
UNDONE_AFTER_ALL = {"memory_add", "memory_forget", "fix_tests", "undo_fix"}


@cache
def goals():
    return tuple((goal, parsed(goal.plan).steps) for goal in islice(REPO_TOOLS.goals(8), GOALS))


def parsed(plan):
    return parse_text(plan, domain="repo_assistant", version=2)


def test_every_tool_of_the_domain_is_asked_for():
    used = Counter(step.skill for _, steps in goals() for step in steps)
    assert set(used) == set(ACTIONS) == set(get_domain("repo_assistant", 2).skills)
    assert all(count >= 0.01 * GOALS for count in used.values())


def test_every_kind_of_clause_and_condition_occurs():
    kinds = {option for goal, _ in goals() for *_, option in goal.clauses}
    assert kinds == {*PHRASES, *CONDITIONS, "beside"}
    assert set(SAID) == set(CONDITIONS) >= set(FIRST_CONDITIONS)


def test_what_is_opened_is_of_what_was_found_or_checked_last():
    sources = {"search", "list", "docs_lint", "run_tests", "type_check", "prove_suite"}
    for goal, steps in goals():
        for at, step in enumerate(steps):
            if step.skill == "read" and not isinstance(step.args["path"], str):
                before = [other.id for other in steps[:at] if other.skill in sources]
                assert step.args["path"].step == before[-1], goal.text


def test_a_condition_is_about_the_step_before_its_clause_or_the_one_it_names():
    for goal, steps in goals():
        for at, step in enumerate(steps):
            if step.condition is None:
                continue
            about = re.search(r"s(\d+)\.", str(step.condition))
            first = next(i for i, number in enumerate(goal.step_numbers) if number == goal.step_numbers[at])
            named = [i for i in range(first, at) if steps[i].condition is None]
            assert int(about[1]) - 1 == (named[-1] if named else first - 1), goal.text


def test_nothing_that_can_be_taken_back_comes_after_training():
    for goal, steps in goals():
        skills = [step.skill for step in steps]
        if "train" in skills:
            assert not UNDONE_AFTER_ALL & set(skills[skills.index("train") :]), goal.text


def test_what_is_quoted_is_in_the_plan_as_it_stands():
    for goal, steps in goals():
        for step in steps:
            for argument in ("text", "claim", "query", "output", "marker", "rail"):
                value = step.args.get(argument)
                if isinstance(value, str):
                    assert value in goal.text


@pytest.mark.parametrize("kind", CONDITIONS)
def test_either_a_condition_or_its_opposite_holds(kind):
    condition, rng = CONDITIONS[kind], Random(kind)
    for _ in range(20):
        so, unlike, _, number = condition.drawn("s1", rng)
        result = re.search(r"s1\.(\w+)", so)[1]
        values = {"verdict": ["holds", "fails", "unknown"]}.get(
            result, [True, False] if " " not in so.removeprefix("not ") else []
        )
        for value in values or [0, *range(number - 2, number + 3)]:
            held = [holds(parse_condition(text), lambda reference: value) for text in (so, unlike)]  # noqa: B023 - called at once
            assert sorted(held) == [False, True], (so, unlike, value)


def test_claims_are_read_by_the_tool_that_decides_them():
    rng = Random(4)
    claims = {random_claim(rng) for _ in range(400)}
    assert len(claims) > 200
    for claim in claims:
        assert parse_claim(claim).names or "=" in claim
