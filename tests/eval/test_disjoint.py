"""What the held-out bench holds is not in the training goals: no goal, no wording of a paraphrase, no unseen name."""

import re
from functools import cache
from itertools import islice

from builderbrain.eval.bench import load_bench
from builderbrain.plan import parse_text
from builderbrain.train.goals import generate_goals

TRAINING_GOALS = 4000
HELD_OUT = load_bench("held-out").items


def names_in(plan: str) -> set[str]:
    steps = (step for step in parse_text(plan).steps if step.skill != "talk")
    return {value for step in steps for value in step.args.values() if isinstance(value, str)}


def frame(goal: str, plan: str) -> str:
    """The wording of a goal: its names blanked out, without quotes, case and final punctuation."""
    for name in sorted(names_in(plan), key=len, reverse=True):
        goal = goal.replace(name, "\0")
    return re.sub(r"[\"'`]|[ .!?]+$", "", goal.lower())


@cache
def training():
    return tuple(islice(generate_goals(17), TRAINING_GOALS))


def test_no_held_out_goal_is_a_training_goal():
    assert {item.goal for item in HELD_OUT}.isdisjoint(goal.text for goal in training())


def test_no_wording_of_a_paraphrase_or_composition_is_a_training_wording():
    seen = {frame(goal.text, goal.plan) for goal in training()}
    assert "search for \0" in seen or "find \0" in seen  # the blanks are where they should be
    shared = [item.goal for item in HELD_OUT if item.kind != "unseen_name" and frame(item.goal, item.plan) in seen]
    assert shared == []


def test_unseen_names_are_unseen():
    seen = {name for goal in training() for name in names_in(goal.plan)}
    unseen = [item for item in HELD_OUT if item.kind == "unseen_name"]
    assert [item.goal for item in unseen if not names_in(item.plan).isdisjoint(seen)] == []
