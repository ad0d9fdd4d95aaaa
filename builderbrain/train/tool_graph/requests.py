"""Requests to train on: those of the rows, and two kinds made of what the rows say of their steps.

A few thousand rows over hundreds of tools say little about plans that none of them has. What each step is to do stands in
the rows in words of its own, so a row's steps, joined, are another request for the same plan ("joined"), and steps of any
rows along a legal walk through the graph are a request for a plan that may be in no row ("walked"). Nothing but the training
rows and the graph is used.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from builderbrain.data.tool_chains import ToolChain
from builderbrain.data.tool_graph import ToolGraph

_LEADS = ("please help me ", "please ", "i need to ", "i want to ", "help me ", "", "could you ", "i would like to ")
_JOINS = (", ", ", then ", " and ", ". ", ", and then ", "; ", " and also ")
_SIZES = (2, 2, 2, 3, 3, 4)


@dataclass(frozen=True, kw_only=True)
class ChainRequest:
    """A request, the tools it asks for in order, and where it is from: `plain`, `joined` or `walked`."""

    text: str
    tools: tuple[str, ...]
    environment: str


class ChainRequests:
    """Draws requests from training rows; a share `joined` and a share `walked` of them are made up."""

    def __init__(self, chains: Sequence[ToolChain], graph: ToolGraph, *, joined: float, walked: float) -> None:
        self.chains = tuple(chains)
        self._joined, self._walked = joined, walked
        self._steps: defaultdict[str, list[str]] = defaultdict(list)
        for chain in chains:
            for tool, step in zip(chain.tools, chain.steps, strict=False):
                self._steps[tool].append(step)
        self._next: defaultdict[str, list[str]] = defaultdict(list)
        for source, target in sorted(graph.links):
            if source in self._steps and target in self._steps:
                self._next[source].append(target)
        self._starts = [chain for chain in chains if any(self._next[tool] for tool in chain.tools)]

    def draw(self, rng: random.Random, chain: ToolChain) -> ChainRequest:
        """A chain's own request, or with the given shares one that is made up in its place."""
        share = rng.random()
        if share < self._walked and self._starts:
            return self._walk(rng)
        if share < self._walked + self._joined and chain.steps:
            return ChainRequest(text=_join(chain.steps, rng), tools=chain.tools, environment="joined")
        return ChainRequest(text=chain.request, tools=chain.tools, environment="plain")

    def _walk(self, rng: random.Random) -> ChainRequest:
        """A walk of two to four tools, none twice, from a tool as often as the rows have it."""
        start = rng.choice(self._starts)
        tools = [rng.choice([tool for tool in start.tools if self._next[tool]])]
        size = rng.choice(_SIZES)
        while len(tools) < size:
            onward = [tool for tool in self._next[tools[-1]] if tool not in tools]
            if not onward:
                break
            tools.append(rng.choice(onward))
        said = [rng.choice(self._steps[tool]) for tool in tools]
        return ChainRequest(text=_join(said, rng), tools=tuple(tools), environment="walked")


def _join(steps: Sequence[str], rng: random.Random) -> str:
    text = rng.choice(_LEADS)
    for at, step in enumerate(steps):
        text += (rng.choice(_JOINS) if at else "") + step.rstrip(". ")
    return text
