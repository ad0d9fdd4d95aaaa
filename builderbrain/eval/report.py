"""A suite's report: the same numbers as a table for people, as JSON for machines, as a plot for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from builderbrain.eval.bench import Bench
from builderbrain.eval.score import SuiteRun
from builderbrain.eval.statistics import Interval, seed_interval, wilson_interval

_SHOWN_MISSES = 10


@dataclass(frozen=True, kw_only=True)
class SubjectSummary:
    """One row of the table: a subject over all its seeds.

    `score`, `marks` and `kinds` are means over the runs. `goals_interval` is Wilson's interval over the goals,
    `seeds_interval` Student's over the seeds, None for fewer than two.
    """

    subject: str
    seeds: tuple[int | None, ...]
    right: float
    total: int
    score: float
    goals_interval: Interval
    seeds_interval: Interval | None
    marks: dict[str, float]
    kinds: dict[str, float]
    seconds_per_goal: float


def summarise(runs: Sequence[SuiteRun]) -> list[SubjectSummary]:
    """One summary per subject, in the order in which the subjects first appear."""
    return [
        _summarise_subject([run for run in runs if run.subject == subject])
        for subject in dict.fromkeys(run.subject for run in runs)
    ]


def _summarise_subject(runs: Sequence[SuiteRun]) -> SubjectSummary:
    scores = [run.score for run in runs]
    score = fmean(scores)
    total = len(runs[0].results)
    kind_rates = [run.kind_rates() for run in runs]
    return SubjectSummary(
        subject=runs[0].subject,
        seeds=tuple(run.seed for run in runs),
        right=score * total,
        total=total,
        score=score,
        goals_interval=wilson_interval(score, total),
        seeds_interval=seed_interval(scores),
        marks={mark: fmean(run.mark_rate(mark) for run in runs) for mark in runs[0].results[0].marks},
        kinds={kind: fmean(rates[kind] for rates in kind_rates) for kind in kind_rates[0]},
        seconds_per_goal=fmean(result.seconds for run in runs for result in run.results),
    )


def as_json(bench: Bench, runs: Sequence[SuiteRun]) -> dict[str, Any]:
    """The whole report as JSON values: summaries, and every item of every run."""
    return {
        "suite": bench.name,
        "goals": len(bench.items),
        "goals_sha256": bench.sha256,
        "subjects": [asdict(summary) for summary in summarise(runs)],
        "runs": [
            {
                "subject": run.subject,
                "seed": run.seed,
                "score": run.score,
                "items": [asdict(result) for result in run.results],
            }
            for run in runs
        ],
    }


def print_table(bench: Bench, runs: Sequence[SuiteRun], console: Console) -> None:
    """Print one column per subject, then every wrong item of a lone run that misses at most ten."""
    summaries = summarise(runs)
    table = Table(title=f"{bench.name}: {len(bench.items)} goals")
    table.add_column("")
    for summary in summaries:
        table.add_column(summary.subject, justify="right")

    def add_row(heading: str, cell: Callable[[SubjectSummary], str]) -> None:
        table.add_row(heading, *(cell(summary) for summary in summaries))

    add_row("right", lambda summary: f"{round(summary.right, 1):g}/{summary.total}")
    add_row("score", lambda summary: f"{summary.score:.1%}")
    add_row("95 % over goals", lambda summary: _interval(summary.goals_interval))
    add_row("95 % over seeds", lambda summary: _interval(summary.seeds_interval))
    add_row("seeds", lambda summary: str(len(summary.seeds)))
    table.add_section()
    for mark in summaries[0].marks:
        if mark != "plan":  # the plan's mark is the verdict
            add_row(mark.replace("_", " "), lambda summary, mark=mark: f"{summary.marks[mark]:.1%}")  # type: ignore[misc]
    table.add_section()
    for kind in summaries[0].kinds if len(summaries[0].kinds) > 1 else ():
        add_row(f"on {kind.replace('_', ' ')}", lambda summary, kind=kind: f"{summary.kinds[kind]:.1%}")  # type: ignore[misc]
    table.add_section()
    add_row("seconds per goal", lambda summary: f"{summary.seconds_per_goal:.3f}")
    console.print(table)
    _print_misses(runs, console)


def _print_misses(runs: Sequence[SuiteRun], console: Console) -> None:
    if len(runs) != 1:
        return
    wrong = [result for result in runs[0].results if not result.right]
    for result in wrong if len(wrong) <= _SHOWN_MISSES else ():
        faults = [name for name, right in result.marks.items() if not right]
        console.print(f"{result.id} {result.goal!r}: wrong {', '.join(faults)}", markup=False)
        console.print(f"  expected {result.expected}\n  got      {result.got}", markup=False)


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.low:.1%} .. {interval.high:.1%}"
