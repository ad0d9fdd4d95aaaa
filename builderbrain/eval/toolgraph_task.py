"""The toolgraph suite's data: requests with reference plans over a graph of tools, and what the plans look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from builderbrain.data.read_trace import read_rows
from builderbrain.data.split import request_key
from builderbrain.data.tool_chains import is_cut_off
from builderbrain.data.tool_graph import TOOL_FILE, ToolGraph, graph_row_to_trace, load_tool_graph
from builderbrain.data.trace import Trace
from builderbrain.errors import DataError
from builderbrain.eval.graph_metrics import PlanGraph, graph_of_plan
from builderbrain.plan import Plan

DOMAIN = "toolgraph"


@dataclass(frozen=True, kw_only=True)
class GraphRow:
    """One request with its plan."""

    id: str
    request: str
    plan: Plan

    @property
    def graph(self) -> PlanGraph:
        """The plan as names."""
        return graph_of_plan(self.plan)


@dataclass(frozen=True, kw_only=True)
class ToolGraphTask:
    """What a subject may learn from, what it is asked, and the tools there are; `tools` is None when no graph was given.

    `files` are those that the rows are from, `graph` is the folder of the tools.
    """

    train: tuple[GraphRow, ...]
    test: tuple[GraphRow, ...]
    tools: ToolGraph | None
    files: tuple[Path, ...] = ()
    graph: Path | None = None

    def in_train(self) -> int:
        """How many of the asked requests, but for case and spacing, stand in the training rows too."""
        known = {request_key(row.request) for row in self.train}
        return sum(request_key(row.request) in known for row in self.test)

    def unseen(self) -> frozenset[str]:
        """Ids of the test rows whose plan (tools and links) no training row has."""
        known = {_key(row.graph) for row in self.train}
        return frozenset(row.id for row in self.test if _key(row.graph) not in known)


@dataclass(frozen=True, kw_only=True)
class GraphStatistics:
    """Of a set of rows: `sizes` are numbers of rows by steps; `foreign_links` are rows with a link that the graph lacks."""

    rows: int
    plans: int
    tools: int
    links: int
    mean_steps: float
    sizes: dict[int, int]
    chains: int
    repeated_tools: int
    foreign_links: int | None


def load_task(train: Path, test: Path | None, *, graph: Path | None = None, cut: float = 0.1, seed: int = 0) -> ToolGraphTask:
    """Read the rows.

    Args:
        test: None to cut a share of the training file off for validation, by a hash of the request.
        graph: folder of the tool graph; by default that of `train`, if it holds one.
        cut, seed: of the validation cut.

    Raises:
        DataError: a row is malformed, with file and line, or a side is empty.
        ConfigError: `cut` is outside [0, 1].
    """
    folder = graph or (train.parent if (train.parent / TOOL_FILE).exists() else None)
    tools = None if folder is None else load_tool_graph(folder)
    learned = _rows(train)
    if test is None:
        asked = tuple(row for row in learned if is_cut_off(row.request, share=cut, seed=seed))
        ids = {row.id for row in asked}
        learned = tuple(row for row in learned if row.id not in ids)
    else:
        asked = _rows(test)
    for name, rows in (("--train", learned), ("--test", asked)):
        if not rows:
            raise DataError(f"expected rows for {name}, got none; name a file with more rows or another --cut", field=name[2:])
    files = (train,) if test is None else (train, test)
    return ToolGraphTask(train=learned, test=asked, tools=tools, files=files, graph=folder)


def describe(rows: Sequence[GraphRow], tools: ToolGraph | None) -> GraphStatistics:
    """What plans a set of rows holds."""
    graphs = [row.graph for row in rows]
    return GraphStatistics(
        rows=len(rows),
        plans=len({_key(graph) for graph in graphs}),
        tools=len({node for graph in graphs for node in graph.nodes}),
        links=len({link for graph in graphs for link in graph.links}),
        mean_steps=fmean(len(graph.nodes) for graph in graphs),
        sizes=dict(sorted(Counter(len(graph.nodes) for graph in graphs).items())),
        chains=sum(_is_chain(row.plan) for row in rows),
        repeated_tools=sum(len(set(graph.nodes)) < len(graph.nodes) for graph in graphs),
        foreign_links=None if tools is None else sum(not graph.links <= tools.links for graph in graphs),
    )


def _rows(path: Path) -> tuple[GraphRow, ...]:
    traces: list[Trace] = list(read_rows(path, partial(graph_row_to_trace, domain=DOMAIN)))
    rows = []
    for position, trace in enumerate(traces):
        if trace.plan is None:
            raise DataError(f"{path}: row {position + 1} has no plan", field=str(path))
        rows.append(GraphRow(id=trace.id or f"row {position + 1}", request=trace.request, plan=trace.plan))
    repeated = [name for name, count in Counter(row.id for row in rows).items() if count > 1]
    if repeated:
        raise DataError(f"expected ids to be unique in {path}, got {repeated[0]!r} twice; number the rows anew", field="id")
    return tuple(rows)


def _key(graph: PlanGraph) -> tuple[tuple[str, ...], frozenset[tuple[str, str]]]:
    return tuple(sorted(graph.nodes)), graph.links


def _is_chain(plan: Plan) -> bool:
    return all(step.needs == ((f"s{position}",) if position else ()) for position, step in enumerate(plan.steps))
