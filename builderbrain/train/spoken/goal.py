"""From clauses and their plan to a goal with labels."""

from __future__ import annotations

import random
from collections.abc import Sequence

from builderbrain.train.goal import Goal
from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.draft import Draft
from builderbrain.train.spoken.labels import BESIDE, find_names
from builderbrain.train.spoken.marks import Part, marked_ranges, part_of, strip_marks, strip_parts
from builderbrain.train.spoken.sentence import put_together

COMPOSITE = "composite"
"""Intent of a goal of several clauses."""
CONDITIONAL = "conditional"
"""Intent of a goal of one clause that depends on something."""


def spoken_goal(
    clauses: Sequence[Clause], draft: Draft, slots: Sequence[str], rng: random.Random, *, subjects: Sequence[str] = ("it",)
) -> Goal:
    """The goal that the clauses say; the intent is the kind of the only one, and `subjects` may be told to do it."""
    marked, parts = strip_parts(put_together(clauses, rng, subjects))
    text, spans = strip_marks(marked, slots)
    plan = draft.text()
    said = [(*part_of(number), place) for number, place in sorted(parts.items())]
    whole = {clause: place for clause, part, place in said if part is Part.CLAUSE}
    found = find_names(text, whole, plan, draft.parts, draft.domain, draft.version, marked=marked_ranges(marked))
    return Goal(
        text=text,
        plan=plan,
        intent=COMPOSITE if len(clauses) > 1 else CONDITIONAL if clauses[0].condition else clauses[0].kind,
        actions=tuple(step.skill for step in draft.steps),
        spans=spans,
        pick="none",
        environment="parallel" if any(clause.parallel for clause in clauses) else "plain",
        clauses=tuple((*place, _label(clauses[clause], part)) for clause, part, place in said),
        numbers=tuple(1 + clause for clause, *_ in said),
        step_numbers=tuple(1 + part for part in draft.parts),
        names=found.names,
        literals=found.literals,
    )


def _label(clause: Clause, part: Part) -> str:
    """Option of the slot `clause` for a part of a request."""
    return {Part.CLAUSE: clause.kind, Part.BESIDE: BESIDE, Part.CONDITION: clause.condition}[part]
