"""From clauses and their plan to a goal with labels."""

from __future__ import annotations

import random
from collections.abc import Sequence

from builderbrain.train.goal import Goal
from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.draft import Draft
from builderbrain.train.spoken.marks import strip_marks
from builderbrain.train.spoken.sentence import put_together

COMPOSITE = "composite"
"""Intent of a goal of several clauses."""


def spoken_goal(
    clauses: Sequence[Clause], draft: Draft, slots: Sequence[str], rng: random.Random, *, subjects: Sequence[str] = ("it",)
) -> Goal:
    """The goal that the clauses say; the intent is the kind of the only one, and `subjects` may be told to do it."""
    text, spans = strip_marks(put_together(clauses, rng, subjects), slots)
    return Goal(
        text=text,
        plan=draft.text(),
        intent=clauses[0].kind if len(clauses) == 1 else COMPOSITE,
        actions=tuple(step.skill for step in draft.steps),
        spans=spans,
        pick="none",
        environment="parallel" if any(clause.parallel for clause in clauses) else "plain",
    )
