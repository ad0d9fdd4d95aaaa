"""What the commands of `builderbrain.eval` do once their options are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from builderbrain.errors import PlanSyntaxError
from builderbrain.eval import toolgraph
from builderbrain.eval.bench import SuiteName, load_bench
from builderbrain.eval.output import progress_bar, write_json, write_report
from builderbrain.eval.plot import Bar
from builderbrain.eval.report import as_json, print_table, summarise
from builderbrain.eval.score import SuiteRun, run_suite
from builderbrain.eval.toolgraph import run_subject
from builderbrain.eval.toolgraph_subjects import SUBJECTS, make_subject, split_label
from builderbrain.eval.toolgraph_task import ToolGraphTask
from builderbrain.eval.workbench import Workbench
from builderbrain.hosts.load import NANO
from builderbrain.plan import load_grammar, parse_text

_SHOWN_ROWS = 12


def measure_bench(
    workbench: Workbench, suite: SuiteName, subjects: Sequence[str], target: Path, *, least: float | None = None
) -> int:
    """Run a bench for each subject and seed; print the table, write JSON and plot. 1 when the first scores below `least`."""
    bench = load_bench(suite)
    runs: list[SuiteRun] = []
    with progress_bar() as progress:
        for subject, seed in workbench.subjects(subjects, bench):
            label = subject.name if seed is None else f"{subject.name} {seed}"
            task = progress.add_task(label, total=len(bench.items))
            runs.append(run_suite(bench, subject, seed=seed, on_item=partial(progress.advance, task)))
    console = Console()
    print_table(bench, runs, console)
    title = f"{bench.name}: share of {len(bench.items)} goals"
    write_report(target, as_json(bench, runs), title=title, bars=summarise(runs), console=console)
    score = summarise(runs)[0].score
    if least is not None and score < least:
        console.print(f"failed: expected at least {least:.1%}, got {score:.1%}", markup=False)
        return 1
    return 0


def measure_syntax(workbench: Workbench, subject: str, target: Path, *, generations: int, temperature: float, seed: int) -> int:
    """Run the syntax suite; 1 when an invalid output was handed out."""
    from builderbrain.eval.models import DOMAIN
    from builderbrain.eval.syntax import run
    from builderbrain.grammar.xgrammar_engine import XGrammarEngine

    model = workbench.token_model(subject)
    engine = XGrammarEngine(model.tokenizer, model.vocab_size)
    try:
        with progress_bar() as progress:
            task = progress.add_task("syntax", total=generations)
            report = run(
                model,
                engine,
                generations,
                temperature,
                plan_grammar=load_grammar(DOMAIN),
                plan_validate=_plan_fault,
                seed=seed,
                progress=lambda done: progress.update(task, completed=done),
            )
    finally:
        engine.close()
    write_json(target, {"suite": "syntax", "subject": subject, **report.to_json()})
    console = Console()
    console.print(
        f"syntax, {subject}, temperature {temperature}: {report.generations} outputs over {report.schemas} schemas and the "
        f"plan grammar: {report.invalid} invalid, {report.valid} valid, {report.length} cut off and saying so, "
        f"{report.refused} refused, {report.retries} retries",
        markup=False,
    )
    for row in [row for row in report.rows if row.invalid][:_SHOWN_ROWS]:
        console.print(f"  {row.name}: {row.invalid} invalid, e.g. {row.example}", markup=False)
    console.print(f"wrote {target}", markup=False)
    return 1 if report.invalid else 0


def measure_toolgraph(
    task: ToolGraphTask, subjects: Sequence[str], target: Path | None, *, model: str = NANO, device: str | None = None
) -> int:
    """Run the toolgraph suite for each subject; print the table, write JSON and plot where a target is named."""
    runs = []
    said: list[str] = []
    with progress_bar() as progress:
        for name in subjects:
            subject = make_subject(name, task, model=model, device=device)
            learned, remarks = _learned(name, task)
            said += remarks
            step = progress.add_task(subject.name, total=len(task.test))
            results = run_subject(task, subject, on_item=partial(progress.advance, step))
            runs.append((toolgraph.summarise(subject.name, results, learned=learned), results))
    console = Console()
    for line in said:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    toolgraph.print_report(task, [summary for summary, _ in runs], console)
    if target is not None:
        bars = [bar for summary, _ in runs for bar in _graph_bars(summary)]
        title = f"toolgraph: {len(task.test)} requests"
        write_report(target, toolgraph.as_json(task, runs), title=title, bars=bars, console=console)
    return 0


def _learned(name: str, task: ToolGraphTask) -> tuple[int | None, list[str]]:
    """How many of the asked requests a subject was trained on, and what to say of it."""
    if name == "nearest":
        return task.in_train(), []
    if name in SUBJECTS:
        return None, []
    from builderbrain.eval.toolgraph_learned import learned_of_asked  # brings torch

    label, folder = split_label(name)
    learned = learned_of_asked(folder, task)
    if learned is None:
        return None, [
            f"{label}: what it was trained on is not recorded, or is none of these files; whether it has seen "
            "the asked requests cannot be told"
        ]
    warning = ", so its scores say what it remembers" if learned else ""
    return learned, [f"{label} was trained on {learned} of the {len(task.test)} asked requests{warning}"]


def _graph_bars(summary: toolgraph.GraphSummary) -> list[Bar]:
    shown = (
        ("node-F1", summary.scores.node_f1, summary.node_f1_interval),
        ("link-F1", summary.scores.link_f1, summary.link_f1_interval),
        ("same tools", summary.scores.same_tools, summary.same_tools_interval),
    )
    return [Bar(subject=f"{summary.subject}, {name}", score=value, goals_interval=interval) for name, value, interval in shown]


def _plan_fault(text: str) -> str | None:
    """Why a text of the plan grammar does not parse. Faults that are not context free are the checker's, not the mask's."""
    try:
        parse_text(text)
    except PlanSyntaxError as error:
        return error.message
    return None
