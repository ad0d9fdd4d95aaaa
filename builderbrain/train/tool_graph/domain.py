"""A graph of tools as training knows it: goals from its rows and from walks through it, plans in text form."""

from __future__ import annotations

import random
from collections.abc import Iterator

from builderbrain.data.split import unit_hash
from builderbrain.plan.chain_text import chain_grammar, chain_text
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal
from builderbrain.train.tool_graph.requests import ChainRequest, ChainRequests
from builderbrain.train.tool_graph.section import DOMAIN, ToolGraphSection, read_graph_rows

LONGEST = 6
"""Steps of the longest plan that is decoded; the actions of a rail's policy heads are as many."""
_HELD_OUT_SHARE = 0.02


def tool_graph_domain(section: ToolGraphSection) -> TrainingDomain:
    """The domain of a section's files. One in fifty of its requests is held out, to steer the alpha budget.

    Raises:
        ConfigError, DataError: as `read_graph_rows`.
        PlanSyntaxError: two tools have one spelling in plans.
    """
    rows = read_graph_rows(section)
    chains = [chain for chain in rows.chains.chains if len(chain.tools) <= LONGEST]
    kept = [chain for chain in chains if unit_hash(f"held out {chain.request}") < _HELD_OUT_SHARE]
    shown = [chain for chain in chains if chain not in kept] or chains
    requests = ChainRequests(shown, rows.graph, joined=section.joined, walked=section.walked)
    tools = tuple(rows.graph.tools)

    def goals(seed: int) -> Iterator[Goal]:
        rng = random.Random(seed)
        while True:
            yield _goal(requests.draw(rng, rng.choice(requests.chains)), tools)

    def calls(seed: int) -> Iterator[str]:
        return (goal.plan.split("\n")[0].removeprefix("s1=") for goal in goals(seed))

    def held_out(seed: int, count: int) -> list[Goal]:
        some = random.Random(seed).sample(kept or chains, min(count, len(kept or chains)))
        return [_goal(ChainRequest(text=one.request, tools=one.tools, environment="plain"), tools) for one in some]

    return TrainingDomain(
        name=DOMAIN,
        intents=tuple(str(size) for size in range(1, LONGEST + 1)),
        actions=tools,
        span_slots=("none",),
        token_slots=(),
        choice_slots=(),
        goals=goals,
        calls=calls,
        held_out=held_out,
        grammar=chain_grammar(tools, rows.graph.links, longest=LONGEST),
    )


def _goal(request: ChainRequest, tools: tuple[str, ...]) -> Goal:
    return Goal(
        text=request.text,
        plan=chain_text(request.tools, tools),
        intent=str(len(request.tools)),
        actions=request.tools,
        spans={"none": None},
        pick="none",
        environment=request.environment,
    )
