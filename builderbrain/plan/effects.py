"""Rules about what the steps of a plan do to one another: facts, shared resources, budgets, and what cannot be taken back.

They are asked only of plans whose steps are known and in order, since before that nothing comes before anything.
"""

from __future__ import annotations

from builderbrain.plan.domain import Argument, Domain
from builderbrain.plan.faults import Fault, quoted
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.preconditions import check_preconditions
from builderbrain.plan.run_order import Edges, RunOrder

_HIDE_ORDER = frozenset(
    {"unknown_skill", "duplicate_id", "bad_condition", "dangling_reference", "dangling_need", "order", "cycle"}
)
"""Faults with which the order or the effects of the steps are not known."""


def check_effects(edges: Edges, domain: Domain, faults: list[Fault]) -> None:
    """Append every fault of these rules.

    Args:
        edges: each step with the steps it needs; `faults` are those found so far.
    """
    if domain.budgets:
        _check_budgets(edges, domain, faults)
    if faults and not _HIDE_ORDER.isdisjoint(fault.code for fault in faults):
        return
    order = RunOrder(edges)
    if domain.facts:
        check_preconditions(order, domain, faults)
    if domain.resources:
        _check_locks(order, domain, faults)
    _check_irreversible(order, domain, faults)


def _check_budgets(edges: Edges, domain: Domain, faults: list[Fault]) -> None:
    """Costs are summed over all steps, whichever of them will run."""
    spent = dict.fromkeys(domain.budgets, 0)
    costs = domain.costs
    for step, _ in edges:
        if step.skill in costs:
            for budget, cost in costs[step.skill]:
                if type(cost) is int:
                    spent[budget] += cost
                else:
                    name = str(cost)
                    spent[budget] += _stated_cost(step, domain.skills[step.skill].arguments[name], name)
    for budget, limit in domain.budgets.items():
        if spent[budget] > limit:
            message = f"the steps cost up to {spent[budget]} of {budget}"
            remedy = f"stay within {limit}: leave steps out, or make them cheaper"
            faults.append(Fault("over_budget", None, message, remedy))


def _stated_cost(step: Step, declared: Argument, name: str) -> int:
    """What a step says it costs; for a reference the most that it may be."""
    value = step.args.get(name, declared.default)
    if type(value) is Reference:
        value = declared.maximum
    return value if type(value) is int and value > 0 else 0  # anything else is a fault of the argument


def _check_locks(order: RunOrder, domain: Domain, faults: list[Fault]) -> None:
    """Steps that use a resource of fixed order, and can be called in one run, must come one before the other."""
    users: dict[str, int] = {}
    for place, (step, _) in enumerate(order.edges):
        for resource in domain.ordered[step.skill]:
            earlier = users.get(resource, 0)
            loose = earlier & ~order.before[place]
            if loose:
                clashing = [other for other in range(place) if loose >> other & 1 and not order.exclude(other, place)]
                if clashing:
                    faults.append(_lock_fault(order, resource, step, clashing))
            users[resource] = earlier | 1 << place


def _lock_fault(order: RunOrder, resource: str, step: Step, clashing: list[int]) -> Fault:
    others = [order.edges[place][0] for place in clashing]
    named = ", ".join(f"{other.id} ({other.skill})" for other in others)
    remedy = f"order them, as in {step.id} after {','.join(other.id for other in others)}"
    return Fault("lock_conflict", step.id, f"{step.skill} uses {resource} in no order with {named}", remedy)


def _check_irreversible(order: RunOrder, domain: Domain, faults: list[Fault]) -> None:
    """A step that cannot be taken back comes after every one that can, unless the two are never called in one run."""
    final: list[int] = []
    undone = 0
    for place, (step, _) in enumerate(order.edges):
        skill = domain.skills[step.skill]
        if skill.irreversible:
            final.append(place)
        elif skill.undo is not None:
            undone |= 1 << place
    for place in final:
        loose = undone & ~order.before[place]
        early = [other for other in range(len(order.edges)) if loose >> other & 1 and not order.exclude(place, other)]
        if early:
            step = order.edges[place][0]
            others = [order.edges[other][0] for other in early]
            named = quoted(f"{other.id} ({other.skill})" for other in others)
            message = f"{step.skill} cannot be taken back, and does not wait for {named}, which can"
            remedy = f"let it come last: after {','.join(other.id for other in others)}"
            faults.append(Fault("irreversible_order", step.id, message, remedy))
