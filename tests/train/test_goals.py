"""Generated goals: every plan is accepted, spans are spans, and what is left out is left out."""

from __future__ import annotations

import re
from itertools import islice

from builderbrain.plan import check, parse_text, print_text
from builderbrain.train.goals import ACTIONS, INTENTS, generate_goals, phrases, statements
from builderbrain.train.goals.labels import LEFT_OUT_SEQUENCES

COUNT = 1500


def kinds(plan: str) -> tuple[str, ...]:
    """Actions of a plan in the words of the generator."""
    out = []
    for line in plan.split("\n"):
        call = line.split("=", 1)[1]
        if call.startswith("read(path=s"):
            out.append("open")
        elif call.startswith("search(") and ",path=" in call:
            out.append("search_under")
        else:
            out.append(call.split("(")[0])
    return tuple(out)


def test_plans_are_canonical_and_accepted_and_slots_are_in_the_goal() -> None:
    for goal in islice(generate_goals(1), COUNT):
        plan = parse_text(goal.plan)
        assert check(plan).accepted, goal
        assert print_text(plan) == goal.plan
        assert goal.intent in INTENTS
        assert set(goal.actions) <= set(ACTIONS)
        for slot, span in goal.spans.items():
            if span is not None:
                assert goal.text[slice(*span)] in goal.plan, (slot, goal)
        assert ("last_path" in goal.plan or "first_path" in goal.plan) == (goal.pick != "none")


def test_every_intent_occurs_and_no_goal_is_a_composition_that_is_left_out() -> None:
    goals = list(islice(generate_goals(2), COUNT))
    assert {goal.intent for goal in goals} == set(INTENTS)
    assert not {kinds(goal.plan) for goal in goals} & LEFT_OUT_SEQUENCES


def test_the_held_out_generator_makes_only_those_compositions() -> None:
    for goal in islice(generate_goals(3, left_out=True), 200):
        assert kinds(goal.plan) in LEFT_OUT_SEQUENCES


def test_the_same_seed_gives_the_same_goals() -> None:
    assert list(islice(generate_goals(4), 50)) == list(islice(generate_goals(4), 50))
    assert list(islice(generate_goals(4), 50)) != list(islice(generate_goals(5), 50))


def test_every_wording_names_what_it_is_about_once() -> None:
    blanks = {"SEARCH": ["{x}"], "SEARCH_UNDER": ["{d}", "{x}"], "READ": ["{f}"], "LIST": ["{d}"]}
    for module in (phrases, statements):
        for table in (name for name in dir(module) if name.isupper()):
            kind = table.removesuffix("_QUESTIONS").removesuffix("_STATEMENTS")
            for wording in phrases.templates(getattr(module, table)):
                assert sorted(re.findall(r"{\w}", wording)) == blanks.get(kind, []), (table, wording)
