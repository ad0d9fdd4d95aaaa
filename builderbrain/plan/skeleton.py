"""A plan as a typed graph without its arguments: which skills, in which order, and what lies between each two of them.

For nodes i < j in the order of the plan the edge is

    cond      the `if` of j asks for a result of i
    seq       j needs i, by a reference or by `after`
    parallel  neither waits for the other, directly or not
    none      j waits for i through others alone

`seq` and `cond` are links, from which the other two follow. The order makes every such graph acyclic. A rail's plan head
predicts a skeleton from the goal alone (`builderbrain.rail.plan_head`); `disagreements` says where an emitted plan leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.condition import parse_condition
from builderbrain.plan.model import Plan, Step
from builderbrain.plan.normal import implied_needs

Edge = Literal["none", "seq", "parallel", "cond"]
EDGES: tuple[Edge, ...] = get_args(Edge)
"""By the number that the plan head gives them."""
LINKS: frozenset[Edge] = frozenset({"seq", "cond"})


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """`skills` in order; `edges` for every pair (i, j) with i < j, zero-based."""

    skills: tuple[str, ...]
    edges: Mapping[tuple[int, int], Edge]

    @property
    def links(self) -> dict[tuple[int, int], Edge]:
        """The edges that are `seq` or `cond`."""
        return {pair: edge for pair, edge in self.edges.items() if edge in LINKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """`where`: `s2` or `s1-s2`; what the plan has there and what the skeleton foresees, None for nothing at all."""

    where: str
    planned: str | None
    foreseen: str | None

    def to_json(self) -> dict[str, str | None]:
        """For a reply."""
        return {"where": self.where, "planned": self.planned, "foreseen": self.foreseen}


def skeleton_of(plan: Plan) -> Skeleton:
    """The skeleton of a plan whose steps come after those they need, as in every checked plan.

    Raises:
        PlanSyntaxError: a step needs one that is not before it; `field` is its id.
    """
    places: dict[str, int] = {}
    links: dict[tuple[int, int], Edge] = {}
    for place, step in enumerate(plan.steps):
        asked = _asked_by_condition(step)
        for name in dict.fromkeys((*step.needs, *implied_needs(step))):
            if name not in places:
                raise PlanSyntaxError(
                    f"expected {step.id} to need steps before it, got {name!r}; order the steps and check the plan",
                    field=step.id,
                )
            links[places[name], place] = "cond" if name in asked else "seq"
        places[step.id] = place
    return with_links(tuple(step.skill for step in plan.steps), links)


def with_links(skills: tuple[str, ...], links: Mapping[tuple[int, int], Edge]) -> Skeleton:
    """The skeleton with these links, each from an earlier node to a later one."""
    before: list[set[int]] = [set() for _ in skills]
    for later in range(len(skills)):
        for earlier in range(later):
            if (earlier, later) in links:
                before[later] |= {earlier} | before[earlier]
    edges: dict[tuple[int, int], Edge] = {}
    for i, j in combinations(range(len(skills)), 2):
        edges[i, j] = links.get((i, j)) or ("none" if i in before[j] else "parallel")
    return Skeleton(skills=skills, edges=edges)


def disagreements(plan: Plan, skeleton: Skeleton) -> tuple[Disagreement, ...]:
    """Where a plan and a skeleton differ, step by step and pair by pair; empty when they agree.

    Pairs are compared where both have both steps. The plan must be in order, see `skeleton_of`.
    """
    mine = skeleton_of(plan)
    longest = max(len(mine.skills), len(skeleton.skills))
    found = []
    for place in range(longest):
        planned, foreseen = _at(mine.skills, place), _at(skeleton.skills, place)
        if planned != foreseen:
            found.append(Disagreement(where=f"s{place + 1}", planned=planned, foreseen=foreseen))
    for (i, j), edge in mine.edges.items():
        other = skeleton.edges.get((i, j))
        if other is not None and other != edge:
            found.append(Disagreement(where=f"s{i + 1}-s{j + 1}", planned=edge, foreseen=other))
    return tuple(found)


def _at(skills: tuple[str, ...], place: int) -> str | None:
    return skills[place] if place < len(skills) else None


def _asked_by_condition(step: Step) -> frozenset[str]:
    if step.condition is None:
        return frozenset()
    return frozenset(term.reference.step for term in parse_condition(step.condition).terms)
