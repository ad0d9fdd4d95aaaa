"""Rows of a tool graph as chains: the request, the tools in order, and what each step is to do, in words without tool names.

Only rows whose plan is a chain along links of the graph become one; `read_chains` says how many do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from builderbrain.data.read_trace import read_rows
from builderbrain.data.split import SplitConfig, request_key, split_of_key
from builderbrain.data.tool_graph import ToolGraph, graph_row_to_trace
from builderbrain.errors import DataError
from builderbrain.plan.model import Plan

_NUMBER = re.compile(r"^Step \d+:?\s*", re.IGNORECASE)
_CALL = re.compile(r"^call\s+\S+(?:\s+tool\b)?(?:\s+(?:to|for|and|by)\b)?\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ToolChain:
    """`tools` in order. `steps`: per tool what it is to do, without the tool's name; empty when the row does not say."""

    request: str
    tools: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ToolChains:
    """The chains of a file, in its order, and how many of its rows are none along the graph's links."""

    chains: tuple[ToolChain, ...]
    others: int


def read_chains(path: Path, graph: ToolGraph, domain: str) -> ToolChains:
    """The chains of a file of rows.

    Raises:
        DataError: a row is malformed or names a tool that the graph lacks, with file and line, or no row is a chain.
    """
    rows = list(read_rows(path, partial(_chain, graph=graph, domain=domain)))
    chains = tuple(row for row in rows if row is not None)
    if not chains:
        raise DataError(
            f"expected plans in {path} that are chains along the graph's links, got {len(rows)} rows and none of them is one; "
            "name the folder that the rows belong to",
            field=str(path),
        )
    return ToolChains(chains=chains, others=len(rows) - len(chains))


def is_cut_off(request: str, *, share: float, seed: int) -> bool:
    """Whether a request belongs to the validation cut: a share of all requests, by their hash.

    Raises:
        ConfigError: `share` is outside [0, 1].
    """
    return split_of_key(request_key(request), SplitConfig(validation=share, test=0.0, seed=seed)) == "validation"


def chain_of_plan(plan: Plan, graph: ToolGraph) -> tuple[str, ...] | None:
    """The tools in order; None when the plan is no chain along the graph's links."""
    tools = tuple(step.skill for step in plan.steps)
    chained = all(step.needs == ((plan.steps[at - 1].id,) if at else ()) for at, step in enumerate(plan.steps))
    return tools if chained and all(pair in graph.links for pair in pairwise(tools)) else None


def step_words(text: str, tool: str) -> str:
    """What a step is to do: its text without number, without "Call TOOL to", and without the tool's name."""
    return _CALL.sub("", _NUMBER.sub("", text.strip())).replace(tool, "").strip()


def _chain(row: Mapping[str, Any], *, graph: ToolGraph, domain: str) -> ToolChain | None:
    trace = graph_row_to_trace(row, domain, graph)
    tools = None if trace.plan is None else chain_of_plan(trace.plan, graph)
    if tools is None:
        return None
    named = [node["task"] for node in row["task_nodes"]]  # steps are told in this order
    said = row["task_steps"]
    steps = tuple(map(step_words, said, tools)) if len(said) == len(tools) and named == list(tools) else ()
    return ToolChain(request=trace.request, tools=tools, steps=steps if all(steps) else ())
