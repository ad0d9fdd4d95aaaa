"""The loop of repair: a change, the checker, the next change, until it accepts or nothing helps.

A change stays only when the plan comes nearer: fewer faults of form, or as many and fewer faults in what steps do to one
another (which show only once the form is right). So each round goes down an order without infinite descent, and the loop ends;
the bounds on rounds and tries make it end soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from builderbrain.errors import PlanRejectedError
from builderbrain.plan.check import READ_ONLY, CheckedPlan, check, checked
from builderbrain.plan.faults import EFFECT_CODES, Fault, Verdict
from builderbrain.plan.json_form import read_plan
from builderbrain.plan.model import Plan
from builderbrain.plan.normal import normalised
from builderbrain.plan.registry import find_domain
from builderbrain.plan.repair.bounds import not_asked
from builderbrain.plan.repair.complete import KnownValue, WriteArgument, completions
from builderbrain.plan.repair.draft import Change, Draft
from builderbrain.plan.repair.edges import mended_edges
from builderbrain.plan.repair.record import Repair, Tried
from builderbrain.plan.repair.steps import dropped_branches, equivalents

MAX_ROUNDS = 16
"""Changes that stay."""
MAX_TRIED = 128
"""Changes that the checker is asked about."""
MAX_STEPS = 64
"""No domain allows more."""

_NOT_REPAIRED = frozenset({"malformed", "unknown_domain", "unknown_version", "empty_plan"})


def repair(
    source: Plan | Mapping[str, Any] | object,
    *,
    granted: Set[str] = READ_ONLY,
    known: Sequence[KnownValue] = (),
    write: WriteArgument | None = None,
    goal: str = "",
    rounds: int = MAX_ROUNDS,
) -> Repair:
    """Mend a refused plan without making it ask for more, given as a `Plan` or as decoded JSON. A sound plan stays as it is.

    Args:
        granted: safety levels that the plan may use; repair widens them never.
        known: values from before, for missing arguments, the last one last.
        write: lets a model write a missing argument; called only when nothing else is there.
        goal: what the plan is for, told to `write`.
        rounds: changes that may stay.
    """
    plan, unread = (source, []) if isinstance(source, Plan) else read_plan(source)
    verdict = check(source, granted=granted)
    domain = find_domain(plan.domain, plan.version) if plan is not None else None
    hopeless = next((fault for fault in verdict.faults if fault.code in _NOT_REPAIRED), None)
    if plan is None or domain is None or hopeless is not None or unread or len(plan.steps) > MAX_STEPS:
        reason = hopeless or next(iter(verdict.faults), None)
        ended = f"it is not repaired: {reason}" if reason is not None else "nothing was at fault"
        return Repair(checked=None, plan=plan, verdict=verdict, before=verdict.faults, tried=(), origins=(), ended=ended)
    original = normalised(plan, domain)
    draft = Draft(plan=original, domain=domain, origins=tuple(range(len(original.steps))))
    tried: list[Tried] = []
    ended = "nothing was at fault" if verdict.accepted else f"{rounds} rounds of repair were not enough"
    accepted, faults = _judged(draft.plan, granted)
    for number in range(1, rounds + 1):
        if accepted is not None:
            break
        stayed = None
        for change in _changes(draft, faults, known, write, goal):
            if len(tried) >= MAX_TRIED:
                break
            problem = not_asked(original, change.draft)
            if problem is not None:
                tried.append(_tried(number, change, faults, None, f"the plan did not ask for it: {problem}"))
                continue
            now, left = _judged(change.draft.plan, granted)
            nearer = _distance(left) < _distance(faults)
            tried.append(_tried(number, change, faults, len(left), None if nearer else f"it leaves {left[0]}"))
            if nearer:
                stayed = change.draft
                accepted, faults = now, left
                break
        if stayed is None:
            ended = f"{MAX_TRIED} changes were tried" if len(tried) >= MAX_TRIED else "no further change helps"
            break
        draft = stayed
    if accepted is not None and tried:
        ended = "the checker accepts the plan"
    return Repair(
        checked=accepted,
        plan=draft.plan,
        verdict=check(draft.plan, granted=granted),
        before=verdict.faults,
        tried=tuple(tried),
        origins=draft.origins,
        ended=ended,
    )


def _changes(
    draft: Draft, faults: tuple[Fault, ...], known: Sequence[KnownValue], write: WriteArgument | None, goal: str
) -> Iterator[Change]:
    yield from completions(draft, known, write, goal)
    yield from mended_edges(draft)
    yield from equivalents(draft, faults)
    yield from dropped_branches(draft, faults)


def _judged(plan: Plan, granted: Set[str]) -> tuple[CheckedPlan | None, tuple[Fault, ...]]:
    try:
        return checked(plan, granted=granted), ()
    except PlanRejectedError as error:
        found = error.verdict
        return None, found.faults if isinstance(found, Verdict) else ()


def _distance(faults: tuple[Fault, ...]) -> tuple[int, int]:
    effects = sum(fault.code in EFFECT_CODES for fault in faults)
    return len(faults) - effects, effects


def _tried(number: int, change: Change, faults: tuple[Fault, ...], left: int | None, refused: str | None) -> Tried:
    own = [fault for fault in faults if fault.step == change.step] or list(faults)
    return Tried(
        round=number,
        stage=change.stage,
        step=change.step,
        said=change.said,
        why="; ".join(map(str, own[:3])),
        kept=refused is None,
        faults=left,
        refused=refused,
    )
