"""What the command `domain-bench` does once its options are read: held-out goals of a domain, and what its grammar leaves open.

A plan is **valid** when the checker accepts it with every level granted. All subjects decode under the grammar of the domain,
so what is not valid breaks a rule that no grammar can hold: a fact that a step requires, the order of a resource, a budget, a
reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from builderbrain.eval.bench import Bench
from builderbrain.eval.compare import verdict_of
from builderbrain.eval.output import progress_bar, write_report
from builderbrain.eval.report import as_json, print_table, summarise
from builderbrain.eval.score import SuiteRun, run_suite
from builderbrain.eval.statistics import wilson_interval
from builderbrain.eval.workbench import Workbench

NO_PLAN = "cut_off"
"""Stands for a fault where there is no whole plan."""


def measure_domain(
    workbench: Workbench, bench: Bench, subjects: Sequence[str], target: Path, *, least: float | None = None
) -> int:
    """Run the bench of a domain, print, write JSON and plot. 1 when the first subject scores below `least`."""
    runs: list[SuiteRun] = []
    with progress_bar() as progress:
        for subject, seed in workbench.subjects(subjects, bench):
            label = subject.name if seed is None else f"{subject.name} {seed}"
            task = progress.add_task(label, total=len(bench.items))
            runs.append(run_suite(bench, subject, seed=seed, on_item=partial(progress.advance, task)))
    console = Console()
    print_table(bench, runs, console)
    validity = [validity_of(run, bench.domain, bench.version) for run in runs]
    for found in validity:
        faults = ", ".join(f"{code} {count}" for code, count in found["faults"].items()) or "none"
        share = f"{found['valid']:.1%} ({found['low']:.1%} .. {found['high']:.1%})"
        console.print(f"{found['subject']}: valid {share}; plans with the fault: {faults}", markup=False, highlight=False)
    bars = summarise(runs)
    report = as_json(bench, runs) | {"temperature": workbench.temperature, "validity": validity}
    write_report(target, report, title=f"{bench.name}: share of {len(bench.items)} goals", bars=bars, console=console)
    if least is not None and bars[0].score < least:
        console.print(f"failed: expected at least {least:.1%}, got {bars[0].score:.1%}", markup=False)
        return 1
    return 0


def validity_of(run: SuiteRun, domain: str, version: int | None = None) -> dict[str, Any]:
    """Share of valid plans with Wilson's interval (95 %), and how many plans have which fault, the most frequent first."""
    faults: Counter[str] = Counter()
    for result in run.results:
        verdict = verdict_of(result.got["plan"] or "", domain, version)
        faults.update({NO_PLAN} if verdict is None else {fault.code for fault in verdict.faults})
    valid = run.mark_rate("accepted")
    interval = wilson_interval(valid, len(run.results))
    return {
        "subject": run.subject,
        "seed": run.seed,
        "valid": valid,
        "low": interval.low,
        "high": interval.high,
        "faults": dict(faults.most_common()),
    }
