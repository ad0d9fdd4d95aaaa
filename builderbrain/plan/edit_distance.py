"""How many edits lie between two plan skeletons: steps or links put in, taken out or renamed, 1 each.

    distance = min over partial matchings of nodes:  renamed + unmatched nodes + links whose image is missing or of another type

Nodes may be matched in any order: two plans that differ in the order of independent steps alone are 0 apart. Only `seq` and
`cond` are links here, the other edges follow from them.

Exact by depth-first branch and bound: nodes of the one are matched in turn to free nodes of the other or to none, and a
branch ends when its cost, with what the labels left on both sides must still cost, is no better than the best so far.
The search stops after `budget` branches. Then the best matching it has is an upper bound, and the count of labels that cannot
be shared (of skills and of link types, whatever the matching) is a lower one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from builderbrain.plan.skeleton import Edge, Skeleton

_BUDGET = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDistance:
    """The distance lies in [`lower`, `upper`]; they are equal when it is known."""

    lower: int
    upper: int

    @property
    def exact(self) -> bool:
        """Whether the distance is known."""
        return self.lower == self.upper


def edit_distance(one: Skeleton, other: Skeleton, *, budget: int = _BUDGET) -> EditDistance:
    """Distance of two skeletons; with at most five nodes each always exact, at any larger size within `budget` branches."""
    least = label_bound(one, other)
    search = _Search(one, other, budget)
    search.match(0, 0)
    if search.left > 0 or search.best == least:
        return EditDistance(lower=search.best, upper=search.best)
    return EditDistance(lower=least, upper=search.best)


def label_bound(one: Skeleton, other: Skeleton) -> int:
    """A lower bound: skills and link types that the other side does not have."""
    return _apart(one.skills, other.skills) + _apart(one.links.values(), other.links.values())


def _apart(mine: Iterable[str], theirs: Iterable[str]) -> int:
    """Edits between two bags of labels."""
    left, right = Counter(mine), Counter(theirs)
    return max(left.total(), right.total()) - (left & right).total()


class _Search:
    """`best` starts with the matching of nodes in their order, so that there is always an upper bound."""

    def __init__(self, one: Skeleton, other: Skeleton, budget: int) -> None:
        self.one, self.other, self.left = one, other, budget
        self.links: tuple[dict[tuple[int, int], Edge], dict[tuple[int, int], Edge]] = (one.links, other.links)
        self.matched: list[int | None] = []
        self.free = set(range(len(other.skills)))
        self.best = self._in_order()

    def match(self, node: int, cost: int) -> None:
        """Try every partner of `node`, whose predecessors are matched at `cost`."""
        rest = self.one.skills[node:], [self.other.skills[i] for i in sorted(self.free)]
        if self.left <= 0 or cost + _apart(*rest) >= self.best:
            return
        self.left -= 1
        if node == len(self.one.skills):
            self.best = min(self.best, cost + len(self.free) + self._links_of_free())
            return
        skill = self.one.skills[node]
        for partner in sorted(self.free, key=lambda i: (self.other.skills[i] != skill, i)):
            self.free.remove(partner)
            more = (self.other.skills[partner] != skill) + self._links_between(node, partner)
            self.matched.append(partner)
            self.match(node + 1, cost + more)
            self.matched.pop()
            self.free.add(partner)
        self.matched.append(None)
        self.match(node + 1, cost + 1 + sum(node in pair and max(pair) == node for pair in self.links[0]))
        self.matched.pop()

    def _links_between(self, node: int, partner: int) -> int:
        """Cost of the links between `node` and the nodes before it, once it is matched to `partner`."""
        cost = 0
        for earlier, image in enumerate(self.matched):
            mine = self.links[0].get((earlier, node))
            if image is None:
                cost += mine is not None
                continue
            forward, backward = self.links[1].get((image, partner)), self.links[1].get((partner, image))
            cost += (mine != forward) + (backward is not None)
        return cost

    def _links_of_free(self) -> int:
        """Links of the other side that touch an unmatched node."""
        return sum(i in self.free or j in self.free for i, j in self.links[1])

    def _in_order(self) -> int:
        """Cost of matching the nodes by their places."""
        mine, theirs = self.one.skills, self.other.skills
        nodes = sum(a != b for a, b in zip(mine, theirs, strict=False)) + abs(len(mine) - len(theirs))
        pairs = self.links[0].keys() | self.links[1].keys()
        return nodes + sum(self.links[0].get(pair) != self.links[1].get(pair) for pair in pairs)
