"""Whether the facts that a step requires hold when it starts, whatever the executor does.

The *touchers* of a fact are the steps that set it and those with a fallback that does. When a toucher is done, the fact is
what its skill sets, or as before when only the fallback sets it; when it failed, the fact is unknown, which is never legal.
Before any of them the fact is as the schema says it starts. A fact is **certain** at a step t, with legal values L, when

1. no toucher that is neither before nor after t can be called in the same run;
2. for each toucher x before t that can be called in the same run, one of these holds:
   a. x is *covered*: some step between x and t sets the fact, and is done in every run in which both x and t are called;
   b. x is done in every run in which both are called, and what its skill sets is in L, or it sets nothing itself;
3. the fact starts with a value of L, or some step before t sets it and is done whenever t is called.

Why no accepted plan fails a precondition at run time. Take a run in which t is called, and the last toucher x whose call
changed the fact before t started; by 1 it is before t. If x is covered, the step that covers it set the fact after x,
contrary to the choice of x. So 2b holds: x did not fail, and as it changed the fact, it set a value of L. Without such an x
no step that sets the fact was done before t, so by 3 the fact started in L. Nothing was assumed of the order, of what is
skipped or blocked, or of what failed: a lost precondition at run time means that the world changed, not the plan.

The other way round, a fault has a run to show for it, by what `run_order` calls complete: with 1 broken, x fails just before
t starts; with 2 broken, everything that needs not wait for x comes before it, and x fails, or sets its illegal value, where
nothing that comes after it must be done; with 3 broken, every toucher is skipped.
"""

from __future__ import annotations

from collections.abc import Set

from builderbrain.plan.domain import Domain
from builderbrain.plan.faults import Fault, quoted
from builderbrain.plan.model import Step
from builderbrain.plan.run_order import RunOrder, places_of


def check_preconditions(order: RunOrder, domain: Domain, faults: list[Fault]) -> None:
    """One fault for each fact that a step requires and that is not certain to have a legal value.

    Most plans are settled by a glance (`_hold_in_sequence`, then `_plainly_certain`); the rules above decide the rest.

    Args:
        order: the steps of a plan whose skills are all known.
    """
    if _hold_in_sequence(order, domain):
        return
    touchers: dict[str, int] = {}
    setters: dict[str, int] = {}
    for place, (step, _) in enumerate(order.edges):
        for fact in domain.touched[step.skill]:
            touchers[fact] = touchers.get(fact, 0) | 1 << place
        for fact in domain.skills[step.skill].sets:
            setters[fact] = setters.get(fact, 0) | 1 << place
    for place, (step, _) in enumerate(order.edges):
        for fact, legal in domain.skills[step.skill].requires.items():
            touching = touchers.get(fact, 0) & ~(1 << place)
            if not _plainly_certain(order, domain, place, fact, legal, touching, setters.get(fact, 0)):
                doubt = _doubt(order, domain, place, fact, legal, touching)
                if doubt is not None:
                    faults.append(doubt)


def _hold_in_sequence(order: RunOrder, domain: Domain) -> bool:
    """Whether all facts hold since the steps that touch any come one after the other, each only where those before are done.

    Then every run goes through the same values, those that this pass goes through.
    """
    facts = domain.initial_facts.copy()
    skills, touched = domain.skills, domain.touched
    speaking = touching = 0  # the steps so far that require or touch a fact, and that touch one
    bit = 1
    for (step, _), before, succeeded in zip(order.edges, order.before, order.succeeded, strict=True):
        skill = skills[step.skill]
        requires, touches = skill.requires, touched[step.skill]
        if requires or touches:
            if touching & ~succeeded or (touches and speaking & ~before):
                return False
            for fact, legal in requires.items():
                if facts[fact] not in legal:
                    return False
            speaking |= bit
            if touches:
                touching |= bit
                facts.update(skill.sets)
        bit <<= 1
    return True


def _plainly_certain(
    order: RunOrder, domain: Domain, place: int, fact: str, legal: Set[str], touching: int, setting: int
) -> bool:
    """Whether a fact is certain by a glance: no toucher beside the step, each before it done, and the last that sets it right.

    `setting` are the touchers that set the fact themselves.
    """
    before = touching & order.before[place]
    if before & ~order.succeeded[place] or touching & ~(before | order.after[place]):
        return False
    earlier = setting & before
    if not earlier:
        return domain.facts[fact].initial in legal
    last = earlier.bit_length() - 1
    if domain.skills[order.edges[last][0].skill].sets[fact] not in legal:
        return False
    return not earlier & ~(order.before[last] | 1 << last)


def _doubt(order: RunOrder, domain: Domain, place: int, fact: str, legal: Set[str], touching: int) -> Fault | None:
    """The first reason why a fact is not certain at a step, or None when it is."""
    called = order.when_called(place)
    if called.impossible:
        return None  # the step never runs
    step = order.edges[place][0]
    wanted = f"{step.skill} requires {fact} to be {quoted(sorted(legal))}"
    makers = [name for name, skill in domain.skills.items() if skill.sets.get(fact) in legal]
    between = f"put a step before {step.id} that sets it: {quoted(makers)}" if makers else f"leave {step.id} out"
    skipped: Step | None = None
    for other in places_of(touching):
        if order.before[other] >> place & 1 or order.exclude(place, other):
            continue
        toucher = order.edges[other][0]
        named = f"{toucher.id} ({toucher.skill})"
        if not order.before[place] >> other & 1:
            remedy = f"order them: {step.id} after {toucher.id}, or {toucher.id} after {step.id}"
            return Fault("precondition", step.id, f"{wanted}, but {named} may change it at the same time", remedy)
        if _covered(order, domain, fact, place, other):
            continue
        value = domain.skills[toucher.skill].sets.get(fact)
        if not order.when_called(place, other).done >> other & 1:
            remedy = f"let {step.id} need its success (after {toucher.id}, or if {toucher.id}.ok), or {between}"
            return Fault("precondition", step.id, f"{wanted}, but it is unknown where {named} fails", remedy)
        if value is not None and value not in legal:
            return Fault("precondition", step.id, f"{wanted}, but {named} leaves it {value}", between)
        skipped = toucher if value is not None else skipped
    initial = domain.facts[fact].initial
    if initial in legal or any(_sets(order, domain, fact, other) for other in places_of(touching & called.done)):
        return None
    started = f"starts {initial}" if initial is not None else "is unknown at the start"
    if skipped is not None:
        remedy = f"let {step.id} need its success (if {skipped.id}.ok), or {between}"
        return Fault("precondition", step.id, f"{wanted}, but it {started} and {skipped.id} may be skipped", remedy)
    return Fault("precondition", step.id, f"{wanted}, but it {started} and no step before sets it", between)


def _covered(order: RunOrder, domain: Domain, fact: str, place: int, other: int) -> bool:
    """Whether a step between `other` and `place` sets the fact whenever both are called."""
    done = order.when_called(place, other).done & order.before[place]
    return any(order.before[later] >> other & 1 and _sets(order, domain, fact, later) for later in places_of(done))


def _sets(order: RunOrder, domain: Domain, fact: str, place: int) -> bool:
    return fact in domain.skills[order.edges[place][0].skill].sets
