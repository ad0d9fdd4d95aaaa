"""What the commands of `builderbrain.eval` share: a progress bar, and a report on disk with its plot beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from builderbrain.eval.plot import Charted, bar_chart


def write_json(target: Path, value: dict[str, Any]) -> None:
    """Write a report; a value that is not finite raises ValueError, so that no report holds one."""
    target.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_derived(target: Path, text: str) -> None:
    """Write a file that is derived, not edited."""
    target.write_text(text, encoding="utf-8")


def write_report(target: Path, value: dict[str, Any], *, title: str, bars: Sequence[Charted], console: Console) -> None:
    """Write a report and its plot of bars, and say where they are."""
    write_with_plot(target, value, plot=bar_chart(title, bars), console=console)


def write_with_plot(target: Path, value: dict[str, Any], *, plot: str, console: Console) -> None:
    """Write a report and an SVG beside it, and say where they are."""
    write_json(target, value)
    beside = target.with_suffix(".svg")
    beside.write_text(plot, encoding="utf-8")
    console.print(f"wrote {target} and {beside}", markup=False)


def make_folder(folder: Path) -> Path:
    """Make a folder where there is none yet; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove what is needed no more; a folder that is not there is no fault."""
    shutil.rmtree(folder, ignore_errors=True)


def progress_bar() -> Progress:
    """A bar on standard error that is gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
