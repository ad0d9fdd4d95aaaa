"""Goal to graph: the plan DAG that produced a trace is recoverable from the builder's states.

A soft overlap of the predicted and the reference graph, nodes and typed edges counted together:

    reading = mean over rows of 1 - 2 (sum_i p_i[y_i] + sum_ij e_ij q_ij[y_ij]) / (n + E + sum_i p_i + sum_ij e_ij q_ij)

with p_i the probability that node i is any skill, p_i[y] that it is skill y, e_ij = p_i p_j, q_ij the probability that the edge
is any but none, and n, E the reference's nodes and its edges that are not none. In [0, 1]: 0 where the graphs are equal, 1
where nothing is shared. It is 1 minus the Dice coefficient, the share of two graphs that needs no edit when nodes keep their
places; the edit distance itself (`builderbrain.plan.edit_distance`, places free) is logged beside it, with its bound.

Healthy: falls with the edit distance. Smell: pretty graphs nobody executes (compare `disagreements` of emitted plans). An
empty plan shares nothing and reads 1, and edges that are all "none" leave out what the reference has, which stands in the
denominator whatever is predicted. Predicting everything pays in the other sum.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from builderbrain.plan.edit_distance import EditDistance, edit_distance
from builderbrain.plan.skeleton import EDGES, LINKS, Edge, Skeleton, with_links
from builderbrain.rail.plan_head import PlanScores, decode_plan_graph
from builderbrain.train.constraints.signals import GoalSignals, Reads, Signals, WithoutMemory

_COMPARED = 4
"""Rows of a part whose edit distance is taken."""
_BUDGET = 300
"""Branches of the search for one."""


class GraphToGraph(WithoutMemory):
    """One minus the soft overlap of predicted and reference call graphs."""

    name = "g2g"
    unit = "0..1"
    reads: Reads = "rows"

    def __init__(self) -> None:
        self._distances: list[EditDistance] = []
        self._last: dict[str, float] = {}

    def reading(self, signals: Signals) -> Tensor | None:
        """See the module; None without a plan head or a row whose graph is known."""
        goals = signals.goals
        if goals.plan is None or not self.count(signals):
            return None
        self._compare(goals.plan, goals)
        known = goals.nodes[:, 0] >= 0
        return graph_distance(goals.plan, goals.nodes, goals.edges)[known].mean()

    def count(self, signals: Signals) -> int:
        """Rows whose graph is known."""
        goals = signals.goals
        return 0 if goals.plan is None else int((goals.nodes[:, 0] >= 0).sum())

    def shown(self) -> Any:
        """Bounds of edit distances."""
        distances, self._distances = self._distances, []
        return [[one.lower, one.upper] for one in distances]

    def see(self, shown: Any) -> None:
        """See `Constraint`."""
        self._distances += [EditDistance(lower=lower, upper=upper) for lower, upper in shown]

    def settle(self, *, done: bool) -> None:
        """Sum up the edit distances of the step."""
        distances, self._distances = self._distances, []
        count = max(1, len(distances))
        self._last = {
            "edit_distance": sum(one.upper for one in distances) / count,
            "edit_distance_at_least": sum(one.lower for one in distances) / count,
        }

    def extra(self) -> dict[str, float]:
        """Mean edit distance of some rows, an upper and a lower bound."""
        return self._last

    def _compare(self, scores: PlanScores, goals: GoalSignals) -> None:
        self._distances += edit_distances(scores, goals.nodes, goals.edges, most=_COMPARED)


def edit_distances(scores: PlanScores, nodes: Tensor, edges: Tensor, *, most: int | None = None) -> list[EditDistance]:
    """From the graph that is read off the scores to the reference, for the first `most` rows whose reference is known."""
    options = tuple(str(option) for option in range(1, scores.nodes.shape[-1]))
    return [
        edit_distance(
            decode_plan_graph(scores, options, row), _reference(nodes[row].tolist(), edges[row].tolist()), budget=_BUDGET
        )
        for row in torch.nonzero(nodes[:, 0] >= 0)[:most, 0].tolist()
    ]


def graph_distance(scores: PlanScores, nodes: Tensor, edges: Tensor) -> Tensor:
    """[R], see the module. `nodes` int64 [R, N] (0 is none), `edges` int64 [R, N, N]; rows of unknown graphs mean nothing."""
    skill = scores.nodes.softmax(-1)
    kind = scores.edges.softmax(-1)
    there = 1.0 - skill[..., 0]
    size = nodes.shape[1]
    upper = torch.ones(size, size, device=nodes.device).triu(1)
    both = there[:, :, None] * there[:, None, :] * upper
    real, linked = nodes > 0, edges > 0
    right = (skill.gather(-1, nodes.clamp(min=0)[..., None])[..., 0] * real).sum(1)
    right = right + (both * kind.gather(-1, edges.clamp(min=0)[..., None])[..., 0] * linked).sum((1, 2))
    predicted = there.sum(1) + (both * (1.0 - kind[..., 0])).sum((1, 2))
    wanted = real.sum(1) + linked.sum((1, 2))
    return 1.0 - 2.0 * right / (wanted + predicted)


def _reference(nodes: list[int], edges: list[list[int]]) -> Skeleton:
    size = sum(option > 0 for option in nodes)
    links: dict[tuple[int, int], Edge] = {
        (i, j): EDGES[edges[i][j]] for j in range(size) for i in range(j) if EDGES[edges[i][j]] in LINKS
    }
    return with_links(tuple(str(option) for option in nodes[:size]), links)
