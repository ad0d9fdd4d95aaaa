"""The toolgraph suite: plans for requests over a graph of tools, marked as graphs and judged by the graph's planchecker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from builderbrain.data.tool_graph import domain_of
from builderbrain.eval.graph_metrics import GraphComparison, GraphScores, Overlap, PlanGraph, compare, graph_of_plan, score
from builderbrain.eval.statistics import Interval, pooled_f1_interval, wilson_interval
from builderbrain.eval.toolgraph_subjects import GraphSubject, ManyPlans
from builderbrain.eval.toolgraph_task import DOMAIN, GraphRow, ToolGraphTask, describe
from builderbrain.plan import READ_ONLY, Domain, Plan
from builderbrain.plan.graph import check_plan

_EMPTY = PlanGraph(nodes=())


@dataclass(frozen=True, kw_only=True)
class GraphResult:
    """What a subject made of one request. `accepted` is the planchecker's verdict, None without a tool graph."""

    id: str
    request: str
    expected: PlanGraph
    got: PlanGraph
    comparison: GraphComparison
    unseen: bool
    accepted: bool | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class GraphSummary:
    """One column of the table.

    `scores` over all requests, `unseen_scores` over those whose plan no training row has (None when there is none). Intervals
    are of 95 %: bootstrap over requests for pooled F1, Wilson's for shares of requests. `learned`: how many of the requests the
    subject was trained on, None when that cannot be told.
    """

    subject: str
    requests: int
    unseen: int
    scores: GraphScores
    unseen_scores: GraphScores | None
    node_f1_interval: Interval
    link_f1_interval: Interval
    same_tools_interval: Interval
    accepted: float | None
    seconds_per_request: float
    learned: int | None = None


def run_subject(
    task: ToolGraphTask, subject: GraphSubject | ManyPlans, *, on_item: Callable[[], None] = lambda: None
) -> tuple[GraphResult, ...]:
    """Ask the subject about every test request, in order; one that answers many at once is asked once."""
    domain = None if task.tools is None else domain_of(task.tools, DOMAIN)
    unseen = task.unseen()
    if isinstance(subject, ManyPlans):
        started = time.perf_counter()
        plans = subject.plans([row.request for row in task.test], on_item)
        each = (time.perf_counter() - started) / len(task.test)
        return tuple(_judge(row, plan, each, domain, row.id in unseen) for row, plan in zip(task.test, plans, strict=True))
    results = []
    for row in task.test:
        started = time.perf_counter()
        plan = subject.plan(row.request)
        results.append(_judge(row, plan, time.perf_counter() - started, domain, row.id in unseen))
        on_item()
    return tuple(results)


def summarise(subject: str, results: Sequence[GraphResult], *, learned: int | None = None) -> GraphSummary:
    """The scores of one subject."""
    scores = score([result.comparison for result in results])
    unseen = [result.comparison for result in results if result.unseen]
    verdicts = [result.accepted for result in results if result.accepted is not None]
    return GraphSummary(
        subject=subject,
        requests=len(results),
        unseen=len(unseen),
        scores=scores,
        unseen_scores=score(unseen) if unseen else None,
        node_f1_interval=_f1_interval([result.comparison.nodes for result in results]),
        link_f1_interval=_f1_interval([result.comparison.links for result in results]),
        same_tools_interval=wilson_interval(scores.same_tools, len(results)),
        accepted=fmean(verdicts) if verdicts else None,
        seconds_per_request=fmean(result.seconds for result in results),
        learned=learned,
    )


def as_json(task: ToolGraphTask, runs: Sequence[tuple[GraphSummary, Sequence[GraphResult]]]) -> dict[str, Any]:
    """The whole report as JSON values: statistics, summaries, and every item of every subject."""
    return {
        "suite": "toolgraph",
        "train": asdict(describe(task.train, task.tools)),
        "test": asdict(describe(task.test, task.tools)),
        "asked_in_train": task.in_train(),
        "subjects": [asdict(summary) for summary, _ in runs],
        "runs": [{"subject": summary.subject, "items": [_item(result) for result in results]} for summary, results in runs],
    }


def print_report(task: ToolGraphTask, summaries: Sequence[GraphSummary], console: Console) -> None:
    """Print what the data looks like, and one column per subject."""
    train, test = describe(task.train, task.tools), describe(task.test, task.tools)
    for name, one in (("train", train), ("test", test)):
        foreign = "" if one.foreign_links is None else f", {one.foreign_links} with a link outside the graph"
        sizes = ", ".join(f"{count} of {size}" for size, count in one.sizes.items())
        console.print(
            f"{name}: {one.rows} requests, {one.plans} plans over {one.tools} tools and {one.links} links, "
            f"{one.mean_steps:.2f} steps ({sizes}), {one.chains} chains, "
            f"{one.repeated_tools} with a tool twice{foreign}",
            markup=False,
            highlight=False,
        )
    console.print(f"{task.in_train()} of {test.rows} asked requests stand in --train", markup=False, highlight=False)
    table = Table(title=f"toolgraph: {test.rows} requests, {summaries[0].unseen} with a plan that no training row has")
    table.add_column("")
    for summary in summaries:
        table.add_column(summary.subject, justify="right")

    def add_row(heading: str, cell: Callable[[GraphSummary], str]) -> None:
        table.add_row(heading, *(cell(summary) for summary in summaries))

    add_row("node-F1", lambda one: f"{one.scores.node_f1:.3f}")
    add_row("  95 % over requests", lambda one: _shown(one.node_f1_interval))
    add_row("link-F1", lambda one: f"{one.scores.link_f1:.3f}")
    add_row("  95 % over requests", lambda one: _shown(one.link_f1_interval))
    add_row("exact: same tools", lambda one: f"{one.scores.same_tools:.3f}")
    add_row("  95 % over requests", lambda one: _shown(one.same_tools_interval))
    add_row("exact: tools and links", lambda one: f"{one.scores.same_plan:.3f}")
    table.add_section()
    add_row("node-F1 per request", lambda one: f"{one.scores.node_f1_per_request:.3f}")
    add_row("link-F1 per request", lambda one: f"{one.scores.link_f1_per_request:.3f}")
    table.add_section()
    add_row("unseen: node-F1", lambda one: _of_unseen(one, "node_f1"))
    add_row("unseen: link-F1", lambda one: _of_unseen(one, "link_f1"))
    add_row("unseen: same tools", lambda one: _of_unseen(one, "same_tools"))
    add_row("unseen: tools and links", lambda one: _of_unseen(one, "same_plan"))
    table.add_section()
    add_row("accepted by checker", lambda one: "-" if one.accepted is None else f"{one.accepted:.1%}")
    add_row("seconds per request", lambda one: f"{one.seconds_per_request:.4f}")
    console.print(table)


def _judge(row: GraphRow, plan: Plan | None, seconds: float, domain: Domain | None, unseen: bool) -> GraphResult:
    got = _EMPTY if plan is None else graph_of_plan(plan)
    return GraphResult(
        id=row.id,
        request=row.request,
        expected=row.graph,
        got=got,
        comparison=compare(row.graph, got),
        unseen=unseen,
        accepted=None if domain is None else plan is not None and _accepted(plan, domain),
        seconds=seconds,
    )


def _accepted(plan: Plan, domain: Domain) -> bool:
    return not check_plan(replace(plan, domain=domain.name, version=domain.version), domain, READ_ONLY)


def _f1_interval(overlaps: Sequence[Overlap]) -> Interval:
    return pooled_f1_interval([(one.right, one.given, one.wanted) for one in overlaps])


def _item(result: GraphResult) -> dict[str, Any]:
    def listed(graph: PlanGraph) -> dict[str, Any]:
        return {"nodes": list(graph.nodes), "links": sorted(map(list, graph.links))}

    return asdict(result) | {"expected": listed(result.expected), "got": listed(result.got)}


def _shown(interval: Interval) -> str:
    return f"{interval.low:.3f} .. {interval.high:.3f}"


def _of_unseen(summary: GraphSummary, name: str) -> str:
    return "-" if summary.unseen_scores is None else f"{getattr(summary.unseen_scores, name):.3f}"
