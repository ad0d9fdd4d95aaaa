"""Edges: steps are numbered and ordered anew, impossible edges are removed, those that the effects of steps imply are added.

An added edge lets fewer things happen at the same time, and a step run in fewer cases. A removed one does the opposite, so none
is removed before a step with effects.
"""

from __future__ import annotations

from collections import Counter

from builderbrain.plan.domain import Domain
from builderbrain.plan.model import Step
from builderbrain.plan.normal import implied_needs
from builderbrain.plan.repair.draft import Change, Changes, Draft, needed_by


def mended_edges(draft: Draft) -> Changes:
    """Ways to mend the edges of a plan."""
    yield from _numbered(draft)
    yield from _removed(draft)
    yield from _ordered_effects(draft)
    yield from _narrowed(draft)


def _numbered(draft: Draft) -> Changes:
    steps = draft.plan.steps
    if not draft.nameable:
        return
    places: list[int] = []
    placed: set[str] = set()
    while len(places) < len(steps):
        ready = next(
            (at for at, step in enumerate(steps) if at not in places and placed.issuperset(needed_by(step))),
            None,
        )
        if ready is None:
            return  # a cycle
        places.append(ready)
        placed.add(steps[ready].id)
    changed = draft.in_order(places)
    if changed.plan != draft.plan:
        listed = ", ".join(steps[place].id for place in places)
        yield Change(stage="edges", step=None, said=f"the steps are numbered anew, in the order {listed}", draft=changed)


def _removed(draft: Draft) -> Changes:
    steps = draft.plan.steps
    known = {step.id: step.skill for step in steps}
    for place, step in enumerate(steps):
        legal = draft.domain.sequence_edges.get(step.skill, frozenset())
        for need in step.needs:
            if need in implied_needs(step):
                continue
            if need not in known:
                reason = "which is no step of the plan"
            elif need == step.id or step.id in _reach(draft, need):
                reason = "which waits for it in turn" if need != step.id else "which is itself"
            elif known[need] not in legal:
                reason = f"since no {known[need]} may come before a {step.skill}"
            else:
                continue
            if draft.only_looks(draft.followers(place)):
                needs = tuple(other for other in step.needs if other != need)
                changed = draft.with_step(place, Step(step.id, step.skill, step.args, needs, step.condition))
                yield Change(stage="edges", step=step.id, said=f"{step.id} does not wait for {need}, {reason}", draft=changed)


def _reach(draft: Draft, name: str) -> set[str]:
    place = next(at for at, step in enumerate(draft.plan.steps) if step.id == name)
    return draft.waits_for(place)


def _ordered_effects(draft: Draft) -> Changes:
    """For each step the edges that facts, resources and irreversible steps imply between it and those before it; then all."""
    everything = draft
    added = 0
    for place, step in enumerate(draft.plan.steps):
        missing = _implied(draft, place)
        if missing:
            said = f"{step.id} waits for {', '.join(missing)}, which it depends on by what they do"
            yield Change(stage="edges", step=step.id, said=said, draft=_waiting(draft, place, missing))
            everything = _waiting(everything, place, missing)
            added += 1
    if added > 1:
        said = "every step waits for those that it depends on by what they do"
        yield Change(stage="edges", step=None, said=said, draft=everything)


def _implied(draft: Draft, place: int) -> list[str]:
    steps, domain = draft.plan.steps, draft.domain
    step = steps[place]
    if step.skill not in domain.skills:
        return []
    waited = draft.waits_for(place)
    return [
        other.id
        for other in steps[:place]
        if other.id not in waited
        and other.skill in domain.sequence_edges.get(step.skill, frozenset())
        and _depends(step, other, domain)
    ]


def _depends(step: Step, other: Step, domain: Domain) -> bool:
    """Whether what one of two steps does matters to the other."""
    if other.skill not in domain.skills:
        return False
    mine, others = domain.skills[step.skill], domain.skills[other.skill]
    facts = set(mine.requires) & domain.touched[other.skill] or set(others.requires) & domain.touched[step.skill]
    shared = set(domain.ordered[step.skill]) & set(domain.ordered[other.skill])
    return bool(facts or shared or (mine.irreversible and others.undo is not None))


def _narrowed(draft: Draft) -> Changes:
    """Steps of a level that is too wide wait for one another."""
    steps, domain = draft.plan.steps, draft.domain
    levels: dict[str, int] = {}
    for step in steps:
        levels[step.id] = 1 + max((levels.get(name, 0) for name in needed_by(step)), default=0)
    counted = Counter(levels.values())
    for level, width in sorted(counted.items()):
        if width <= domain.max_width:
            continue
        changed = draft
        beside = [place for place, step in enumerate(steps) if levels[step.id] == level]
        for at, place in enumerate(beside[domain.max_width :]):
            before = steps[beside[at]]
            if before.skill in domain.sequence_edges.get(steps[place].skill, frozenset()):
                changed = _waiting(changed, place, [before.id])
        if changed is not draft:
            said = f"of {width} steps that could run at the same time some wait for others, so that {domain.max_width} are left"
            yield Change(stage="edges", step=None, said=said, draft=changed)


def _waiting(draft: Draft, place: int, names: list[str]) -> Draft:
    step = draft.plan.steps[place]
    return draft.with_step(place, Step(step.id, step.skill, step.args, (*step.needs, *names), step.condition))
