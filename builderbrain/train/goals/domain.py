"""The domain `repo_assistant` as training knows it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal
from builderbrain.train.goals.from_plan import goal_from_plan
from builderbrain.train.goals.generate import generate_goals
from builderbrain.train.goals.labels import ACTIONS, CHOICE_SLOTS, INTENTS, SPAN_SLOTS, TOKEN_SLOTS


def _calls(seed: int) -> Iterator[str]:
    return (goal.plan.split("\n")[0].removeprefix("s1=") for goal in generate_goals(seed) if goal.actions != ("talk",))


def _held_out(seed: int, count: int) -> list[Goal]:
    """Half of them compositions that training leaves out, half of the kind it shows."""
    composed = list(islice(generate_goals(seed, left_out=True), count // 2))
    return composed + list(islice(generate_goals(seed), count - len(composed)))


REPO_ASSISTANT = TrainingDomain(
    name="repo_assistant",
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS,
    token_slots=TOKEN_SLOTS,
    choice_slots=CHOICE_SLOTS,
    goals=generate_goals,
    calls=_calls,
    held_out=_held_out,
    from_plan=goal_from_plan,
)
