"""Which of several probable chains to answer with: that which agrees best with all of them, each by its probability.

The most probable chain is the best answer to "is all of it right?". Plans are marked by how many of their tools and links are
right as well, and there a chain can be better that shares much with several others: minimum Bayes risk (Kumar and Byrne 2004)
with the sum of node-F1 and link-F1 as the gain, over the candidates alone:

    argmax_c  sum_r p(r) [ F1(tools of c, tools of r) + F1(links of c, links of r) ],   p normalised over the candidates r

Where something else is known of the tools, p(r) is the probability times exp of the sum of the bonuses of r's tools.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class Chain:
    """`tools` in order and the natural log of the chain's probability among the legal ones."""

    tools: tuple[str, ...]
    logprob: float


def most_agreeable(candidates: Sequence[Chain], bonus: Mapping[str, float] | None = None) -> Chain:
    """The candidate of the highest expected gain; of equal ones the first. At least one is given.

    `bonus` is of tools, 0 for those that it does not name.
    """
    logs = [chain.logprob + sum((bonus or {}).get(tool, 0.0) for tool in chain.tools) for chain in candidates]
    best = max(logs)
    weights = [math.exp(log - best) for log in logs]

    def gain(chain: Chain) -> float:
        return sum(weight * _agreement(chain, other) for weight, other in zip(weights, candidates, strict=True))

    return max(candidates, key=gain)


def _agreement(one: Chain, other: Chain) -> float:
    nodes = _f1(set(one.tools), set(other.tools))
    return nodes + _f1(set(pairwise(one.tools)), set(pairwise(other.tools)))


def _f1(one: Set[object], other: Set[object]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
