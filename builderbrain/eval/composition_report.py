"""The composition suite's report: a table of splits by subjects, JSON with every wrong command, and a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from builderbrain.eval.composition import CompositionRun
from builderbrain.eval.plot import Bar
from builderbrain.eval.statistics import Interval, seed_interval, wilson_interval

_SHOWN_FAULTS = 3


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A subject on a split over its seeds: `mean` and `least` share of right commands, and the commonest `faults`.

    `goals_interval` is Wilson's over the commands at the mean, `seeds_interval` Student's over the seeds.
    """

    subject: str
    split: str
    seeds: tuple[int | None, ...]
    commands: int
    mean: float
    least: float
    goals_interval: Interval
    seeds_interval: Interval | None
    faults: dict[str, int]


def cells_of(runs: Sequence[CompositionRun]) -> list[Cell]:
    """One cell per subject and split, in the order in which they first appear."""
    cells = []
    for subject, split in dict.fromkeys((run.subject, run.split) for run in runs):
        mine = [run for run in runs if (run.subject, run.split) == (subject, split)]
        scores = [run.score for run in mine]
        faults = sum((run.faults() for run in mine), Counter[str]())
        cells.append(
            Cell(
                subject=subject,
                split=split,
                seeds=tuple(run.seed for run in mine),
                commands=mine[0].total,
                mean=fmean(scores),
                least=min(scores),
                goals_interval=wilson_interval(fmean(scores), mine[0].total),
                seeds_interval=seed_interval(scores),
                faults=dict(faults.most_common()),
            )
        )
    return cells


def as_json(runs: Sequence[CompositionRun]) -> dict[str, Any]:
    """The whole report as JSON values."""
    return {
        "suite": "composition",
        "cells": [asdict(cell) for cell in cells_of(runs)],
        "runs": [asdict(run) | {"score": run.score} for run in runs],
    }


def print_report(runs: Sequence[CompositionRun], console: Console) -> None:
    """Print the least score over the seeds, subjects by splits, and what went wrong where something did."""
    cells = cells_of(runs)
    splits = list(dict.fromkeys(cell.split for cell in cells))
    seeds = max(len(cell.seeds) for cell in cells)
    table = Table(title=f"composition: right commands, the least of at most {seeds} seeds (mean)")
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    found = {(cell.subject, cell.split): cell for cell in cells}
    for subject in dict.fromkeys(cell.subject for cell in cells):
        table.add_row(subject, *(_shown(found.get((subject, split))) for split in splits))
    console.print(table)
    for cell in cells:
        if cell.faults:
            faults = ", ".join(f"{fault} {count}" for fault, count in list(cell.faults.items())[:_SHOWN_FAULTS])
            asked = cell.commands * len(cell.seeds)
            console.print(f"{cell.subject}, {cell.split}: of {asked} answers wrong in {faults}", markup=False, highlight=False)


def bars_of(runs: Sequence[CompositionRun]) -> list[Bar]:
    """One bar per cell: the mean, with Wilson's interval over the commands."""
    return [
        Bar(subject=f"{cell.split}: {cell.subject}", score=cell.mean, goals_interval=cell.goals_interval)
        for cell in cells_of(runs)
    ]


def _shown(cell: Cell | None) -> str:
    return "-" if cell is None else f"{cell.least:.1%} ({cell.mean:.1%})"
