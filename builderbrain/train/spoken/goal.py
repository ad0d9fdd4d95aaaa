"""From clauses and their plan to a goal with labels."""

from __future__ import annotations

import random
from collections.abc import Sequence

from builderbrain.train.goal import Goal
from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.draft import Draft
from builderbrain.train.spoken.labels import BESIDE, find_names
from builderbrain.train.spoken.marks import strip_marks, strip_parts
from builderbrain.train.spoken.sentence import put_together

COMPOSITE = "composite"
"""Intent of a goal of several clauses."""


def spoken_goal(
    clauses: Sequence[Clause], draft: Draft, slots: Sequence[str], rng: random.Random, *, subjects: Sequence[str] = ("it",)
) -> Goal:
    """The goal that the clauses say; the intent is the kind of the only one, and `subjects` may be told to do it."""
    marked, parts = strip_parts(put_together(clauses, rng, subjects))
    text, spans = strip_marks(marked, slots)
    plan = draft.text()
    found = find_names(
        text, {part // 2: place for part, place in parts.items() if part % 2 == 0}, plan, draft.parts, draft.domain
    )
    return Goal(
        text=text,
        plan=plan,
        intent=clauses[0].kind if len(clauses) == 1 else COMPOSITE,
        actions=tuple(step.skill for step in draft.steps),
        spans=spans,
        pick="none",
        environment="parallel" if any(clause.parallel for clause in clauses) else "plain",
        clauses=tuple((*place, BESIDE if part % 2 else clauses[part // 2].kind) for part, place in sorted(parts.items())),
        numbers=tuple(1 + part // 2 for part in sorted(parts)),
        step_numbers=tuple(1 + part for part in draft.parts),
        names=found.names,
        literals=found.literals,
    )
