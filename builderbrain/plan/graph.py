"""The part of checking that is the same in every domain: ids, edges, order, cycles, limits, safety; `effects.py` goes on.

One pass, linear in steps and edges; faults are worded only once found, so that a good plan costs a few microseconds a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan import faults as fault
from builderbrain.plan.condition import parse_condition, type_fault
from builderbrain.plan.domain import Domain
from builderbrain.plan.effects import check_effects
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Plan, Step
from builderbrain.plan.normal import implied_needs
from builderbrain.plan.scope import Scope

STEP_NAMES = tuple(f"s{number}" for number in range(1, 257))


def check_plan(plan: Plan, domain: Domain, granted: Set[str]) -> list[Fault]:
    """Every fault of a plan of this domain.

    Args:
        granted: safety levels that the plan may use.
    """
    faults: list[Fault] = []
    steps = plan.steps
    if not steps:
        return [Fault("empty_plan", None, "the plan has no step", f"give 1 to {domain.max_steps} steps")]
    if len(steps) > domain.max_steps:
        message = f"the plan has {len(steps)} steps"
        faults.append(Fault("too_many_steps", None, message, f"give at most {domain.max_steps}"))
        if len(steps) > len(STEP_NAMES):
            return faults
    by_id: dict[str, Step] = {}
    for name, step in zip(STEP_NAMES, steps, strict=False):
        if step.id != name or step.id in by_id:
            faults.append(_id_fault(step, name, by_id))
        by_id.setdefault(step.id, step)
    scope = Scope(domain, by_id)
    needed = scope.data
    edges: list[tuple[Step, tuple[str, ...]]] = []
    levels: dict[str, int] = {}
    later = False
    sound: dict[tuple[str, str], list[str]] = {}  # conditions without a fault at steps of a skill, and what they ask
    for step in steps:
        skill = domain.skills.get(step.skill)
        if skill is None:
            faults.append(fault.unknown_skill(step.id, step.skill, domain.skills))
        else:
            if skill.safety not in granted:
                faults.append(_safety_fault(step, skill.safety, granted))
            skill.check(step, scope, faults)
            legal = domain.data_edges[step.skill]
            for name in needed:
                if by_id[name].skill not in legal:
                    faults.append(_edge_fault(step, name, "data", legal, scope))
        if (condition := step.condition) is not None:
            asked = sound.get((step.skill, condition))
            if asked is None:
                found = len(faults)
                asked = _check_condition(step, condition, scope, faults)
                if len(faults) == found:
                    sound[step.skill, condition] = asked
            needed += asked
        for name in step.needs:
            if name not in needed:
                _check_need(step, name, scope, faults)
        level = 1  # one more than the highest level it needs
        for name in needed:
            below = levels.get(name)
            if below is None:
                later = True
            elif below >= level:
                level = below + 1
        levels.setdefault(step.id, level)
        edges.append((step, tuple(needed)))
        needed.clear()
    if later:
        _check_order(edges, faults)  # depth and width mean something only once the order is right
    else:
        _check_shape(levels, domain, faults)
        if domain.has_effects:
            check_effects(edges, domain, faults)
    return faults


def _id_fault(step: Step, name: str, by_id: dict[str, Step]) -> Fault:
    if step.id in by_id:
        return Fault("duplicate_id", step.id, f"two steps are called {fault.shown(step.id)}", f"call this one {name}")
    return Fault("bad_id", step.id, f"step ids go by position, got {fault.shown(step.id)}", f"call it {name}")


def _safety_fault(step: Step, safety: str, granted: Set[str]) -> Fault:
    message = f"{step.skill} is {safety}, granted: {fault.quoted(sorted(granted))}"
    return Fault("safety_not_granted", step.id, message, f"grant {safety}, or leave the step out")


def _check_need(step: Step, name: str, scope: Scope, faults: list[Fault]) -> None:
    """A need that no sound reference implies: a sequence edge, unless a faulty reference says the same."""
    needed = scope.steps.get(name)
    if needed is None:
        if name not in implied_needs(step):
            message = f"it needs {fault.shown(name)}, which is no step of the plan"
            faults.append(Fault("dangling_need", step.id, message, f"need {fault.quoted(scope.steps)}"))
        return
    legal = scope.domain.sequence_edges.get(step.skill, frozenset())
    if needed.skill not in legal and step.skill in scope.domain.skills and name not in implied_needs(step):
        faults.append(_edge_fault(step, name, "sequence", legal, scope))
    scope.data.append(name)


def _check_condition(step: Step, text: str, scope: Scope, faults: list[Fault]) -> list[str]:
    try:
        condition = parse_condition(text)
    except PlanSyntaxError as error:
        remedy = "write terms such as s1.ok, not s1.ok, s1.count > 0, joined by and or by or"
        faults.append(Fault("bad_condition", step.id, error.message, remedy))
        return []
    legal = scope.domain.condition_edges.get(step.skill, frozenset())
    asked: dict[str, None] = {}
    for term in condition.terms:
        kind = scope.result_type(step, "if", term.reference, faults)
        if kind is None:
            continue
        name = term.reference.step
        if name not in asked and step.skill in scope.domain.skills and scope.steps[name].skill not in legal:
            faults.append(_edge_fault(step, name, "condition", legal, scope))
        asked[name] = None
        problem = type_fault(term, kind)
        if problem is not None:
            faults.append(Fault("bad_condition", step.id, problem, f"{name}.ok is always a boolean"))
    return list(asked)


def _edge_fault(step: Step, name: str, kind: str, legal: Set[str], scope: Scope) -> Fault:
    listed = [skill for skill in scope.domain.skills if skill in legal]
    return fault.illegal_edge(step.id, kind, name, scope.steps[name].skill, step.skill, listed)


def _check_shape(levels: dict[str, int], domain: Domain, faults: list[Fault]) -> None:
    depth = max(levels.values())
    if depth > domain.max_depth:
        message = f"the longest chain has {depth} steps"
        faults.append(Fault("too_deep", None, message, f"chain at most {domain.max_depth}"))
    if len(levels) > domain.max_width:
        width = max(Counter(levels.values()).values())
        if width > domain.max_width:
            message = f"{width} steps could run at the same time"
            faults.append(Fault("too_wide", None, message, f"give at most {domain.max_width}; order the others with after"))


def _check_order(edges: list[tuple[Step, tuple[str, ...]]], faults: list[Fault]) -> None:
    """Tell steps on a cycle from steps that merely stand too early."""
    needs: dict[str, tuple[str, ...]] = {}
    for step, needed in edges:
        needs.setdefault(step.id, needed)
    reached = {name: _reach(name, needs) for name in needs}
    grouped: set[str] = set()
    for name in needs:
        if name in grouped or name not in reached[name]:
            continue
        group = [other for other in needs if other in reached[name] and name in reached[other]]
        grouped.update(group)
        message = f"these steps wait for one another: {', '.join(group)}" if len(group) > 1 else f"{name} waits for itself"
        faults.append(Fault("cycle", name, message, "drop a reference, a needs or an if among them"))
    seen: set[str] = set()
    for step, needed in edges:
        for name in sorted(set(needed) - seen):
            if step.id not in reached[name]:
                message = f"{step.id} needs {name}, which comes later"
                faults.append(Fault("order", step.id, message, f"put {name} before {step.id} and number the steps anew"))
        seen.add(step.id)


def _reach(start: str, needs: dict[str, tuple[str, ...]]) -> set[str]:
    """Steps that `start` waits for, directly or not; itself among them when it is on a cycle."""
    reached: set[str] = set()
    waiting = list(needs[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(needs[name])
    return reached
