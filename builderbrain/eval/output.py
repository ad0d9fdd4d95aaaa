"""What the commands of `builderbrain.eval` share in talking to a person: a progress bar, and a report on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def write_json(target: Path, value: dict[str, Any]) -> None:
    """Write a report; a value that is not finite raises ValueError, so that no report holds one."""
    target.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def progress_bar() -> Progress:
    """A bar on standard error that is gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
