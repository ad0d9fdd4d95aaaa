"""Requests with plans over a graph of tools, in TaskBench's layout (Shen et al., arXiv 2311.18760), as GNN4TaskPlan gives it.

A folder holds `graph_desc.json` (tools and the links that may stand between them), `tool_desc.json` (tools and what they take)
and rows, one a line: `user_request`, `task_steps` (the plan in words), `task_nodes` (`{"task": tool, "arguments": [...]}`) and
`task_links` (`{"source": tool, "target": tool}`). Links name tools, not steps: where a tool stands twice in a plan,
`plan_of_row` says which step is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from builderbrain.data.read_trace import fault, items, mapping, text
from builderbrain.data.trace import Message, Trace
from builderbrain.errors import DataError
from builderbrain.plan.domain import OK_RESULT, Argument, Domain, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.faults import unknown_argument as unknown_argument_fault
from builderbrain.plan.model import Plan, Step
from builderbrain.plan.scope import Scope

GRAPH_FILE, TOOL_FILE = "graph_desc.json", "tool_desc.json"
READ_KEYS = ("id", "user_request", "task_steps", "task_nodes", "task_links", "type", "n_tools")
VERSION = 1
MAX_STEPS = 64
_OUTPUT_OF = re.compile(r"<node-([0-9]{1,3})>")


@dataclass(frozen=True, kw_only=True)
class ToolGraph:
    """`tools`: description by name. `arguments`: names of parameters, for tools that declare any. `links`: the legal ones."""

    tools: Mapping[str, str]
    arguments: Mapping[str, tuple[str, ...]]
    links: frozenset[tuple[str, str]]


def load_tool_graph(folder: Path) -> ToolGraph:
    """The tools and links of a folder.

    Raises:
        DataError: a file is missing or is not of this layout.
    """
    tools: dict[str, str] = {}
    arguments: dict[str, tuple[str, ...]] = {}
    for index, node in enumerate(items(_read(folder / TOOL_FILE), "nodes", TOOL_FILE)):
        where = f"{TOOL_FILE}.nodes[{index}]"
        name = text(mapping(node, where), "id", where)
        if name in tools:
            raise DataError(
                f"{where}.id: expected every tool once, got {name!r} twice; drop or rename one", field=f"{where}.id"
            )
        tools[name] = text(node, "desc", where, empty=True) if "desc" in node else ""
        declared = items(node, "parameters", where)
        if declared:
            arguments[name] = tuple(text(mapping(one, where), "name", where) for one in declared)
    links = set()
    for index, link in enumerate(items(_read(folder / GRAPH_FILE), "links", GRAPH_FILE)):
        where = f"{GRAPH_FILE}.links[{index}]"
        ends = text(mapping(link, where), "source", where), text(link, "target", where)
        for end in ends:
            if end not in tools:
                raise fault(where, f"tools of {TOOL_FILE}", end)
        links.add(ends)
    return ToolGraph(tools=tools, arguments=arguments, links=frozenset(links))


def domain_of(graph: ToolGraph, name: str) -> Domain:
    """The planchecker's tables for a tool graph: its tools are the skills, its links the legal edges.

    Use with `builderbrain.plan.graph.check_plan`. The layout knows no types and no safety levels: arguments are checked by name
    where a tool declares any, and every tool counts as `read_only`, for judging plans and not for running them.
    """
    into: dict[str, set[str]] = {tool: set() for tool in graph.tools}
    for source, target in graph.links:
        into[target].add(source)
    edges = {tool: frozenset(sources) for tool, sources in into.items()}
    skills = {
        tool: Skill(
            name=tool,
            summary=summary,
            safety="read_only",
            timeout_seconds=10.0,
            arguments={argument: Argument(type="any") for argument in graph.arguments.get(tool, ())},
            results={OK_RESULT: "boolean"},
            check=_check_argument_names,
        )
        for tool, summary in graph.tools.items()
    }
    return Domain(
        name=name,
        version=VERSION,
        schema_sha256="",
        max_steps=MAX_STEPS,
        max_depth=MAX_STEPS,
        max_width=MAX_STEPS,
        skills=skills,
        data_edges=edges,
        condition_edges=dict.fromkeys(graph.tools, frozenset()),
        sequence_edges=edges,
    )


def graph_row_to_trace(row: Mapping[str, Any], domain: str, graph: ToolGraph | None = None) -> Trace:
    """The trace of a row: the request, the steps in words as the assistant's answer, and the plan.

    Raises:
        DataError: a key is missing or malformed, a link names no node, the links have a cycle, or `graph` lacks a tool.
    """
    request = text(row, "user_request", "").strip()
    if not request:
        raise fault("user_request", "a non-empty string", request)
    steps = items(row, "task_steps", "")
    for index, step in enumerate(steps):
        if not isinstance(step, str):
            raise fault(f"task_steps[{index}]", "a string", step)
    messages = [Message(role="user", content=request)]
    if steps:
        messages.append(Message(role="assistant", content="\n".join(steps)))
    plan = plan_of_row(row, domain)
    for index, planned in enumerate(plan.steps):
        if graph is not None and planned.skill not in graph.tools:
            raise fault(f"task_nodes[{index}].task", f"a tool of {TOOL_FILE}", planned.skill)
    name = row.get("id")
    return Trace(
        id=str(name) if isinstance(name, str | int) else "",
        domain=domain,
        messages=tuple(messages),
        plan=plan,
        plan_source="given",
    )


def plan_of_row(row: Mapping[str, Any], domain: str) -> Plan:
    """The plan of a row; steps in the order of `task_nodes` as far as the links allow.

    A link whose tools stand in the plan once is that edge. Where a tool stands more often, a link takes the first pair, of
    those not linked yet, whose source comes before its target, and neighbours before others.

    Raises:
        DataError: see `graph_row_to_trace`.
    """
    nodes = [mapping(node, f"task_nodes[{index}]") for index, node in enumerate(items(row, "task_nodes", ""))]
    tools = [text(node, "task", f"task_nodes[{index}]") for index, node in enumerate(nodes)]
    if not 1 <= len(tools) <= MAX_STEPS:
        raise DataError(f"task_nodes: expected 1 to {MAX_STEPS} nodes, got {len(tools)}", field="task_nodes")
    edges: dict[tuple[int, int], None] = {}
    args = []
    for index, node in enumerate(nodes):
        values, sources = _arguments(node, index, len(nodes))
        args.append(values)
        edges |= {(source, index): None for source in sources if source != index}
    named: set[tuple[int, int]] = set()
    for index, link in enumerate(items(row, "task_links", "")):
        where = f"task_links[{index}]"
        source, target = text(mapping(link, where), "source", where), text(link, "target", where)
        edge = _edge(tools, source, target, named)
        if edge is None:
            raise DataError(f"{where}: {source} -> {target} links no two of the nodes {', '.join(tools)}", field=where)
        named.add(edge)
        edges[edge] = None
    order = _order(len(tools), edges)
    place = {node: f"s{position}" for position, node in enumerate(order, start=1)}
    needs = {node: sorted((s for s, t in edges if t == node), key=order.index) for node in order}
    return Plan(
        domain,
        VERSION,
        tuple(Step(place[node], tools[node], args[node], tuple(place[need] for need in needs[node])) for node in order),
    )


def _edge(tools: Sequence[str], source: str, target: str, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
    pairs = [
        (first, second)
        for first, one in enumerate(tools)
        for second, other in enumerate(tools)
        if first != second and one == source and other == target and (first, second) not in taken
    ]
    return min(pairs, key=lambda pair: (pair[0] > pair[1], abs(pair[1] - pair[0]), pair), default=None)


def _order(count: int, edges: Mapping[tuple[int, int], None]) -> list[int]:
    """Nodes so that each comes after those it needs, otherwise as they stood."""
    sorter: TopologicalSorter[int] = TopologicalSorter({node: {s for s, t in edges if t == node} for node in range(count)})
    try:
        sorter.prepare()
    except CycleError as error:
        raise DataError(
            "task_links: expected links without a cycle; drop one of those that close it", field="task_links"
        ) from error
    order: list[int] = []
    ready: list[int] = []
    while sorter.is_active():
        ready = sorted({*ready, *sorter.get_ready()})
        node = ready.pop(0)
        order.append(node)
        sorter.done(node)
    return order


def _arguments(node: Mapping[str, Any], index: int, count: int) -> tuple[dict[str, Any], list[int]]:
    """Arguments by name, and the nodes whose output they are: `{"name", "value"}` objects, or texts without names."""
    values: dict[str, Any] = {}
    sources: list[int] = []
    for number, argument in enumerate(items(node, "arguments", f"task_nodes[{index}]"), start=1):
        where = f"task_nodes[{index}].arguments[{number - 1}]"
        if isinstance(argument, Mapping):
            name, value = text(argument, "name", where), argument.get("value")
        else:
            name, value = f"argument_{number}", argument
        values[name] = tuple(value) if isinstance(value, list) else value
        for found in _OUTPUT_OF.findall(value) if isinstance(value, str) else ():
            if int(found) >= count:
                raise fault(where, f"<node-0> to <node-{count - 1}>", value)
            sources.append(int(found))
    return values, sources


def _check_argument_names(step: Step, scope: Scope, faults: list[Fault]) -> None:
    legal = scope.domain.skills[step.skill].arguments
    faults.extend(unknown_argument_fault(step.id, step.skill, name, legal) for name in step.args if legal and name not in legal)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(path.read_bytes()), path.name)
    except OSError as error:
        raise DataError(f"expected {path.name} in {path.parent}, got: {error.strerror}", field=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}", field=str(path)) from error
