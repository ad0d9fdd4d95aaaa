"""A run's log as series: one list of (step, value) per name, in the order in which the names first occur."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from builderbrain.errors import DataError

LOG_FILE = "log.jsonl"
Line = Mapping[str, Any]
Series = dict[str, list[tuple[int, float]]]
Reader = Callable[[Line], Mapping[str, Any]]


def read_log(path: Path) -> list[Line]:
    """The lines of a log; a torn last line, as a killed run leaves it, is left out.

    Args:
        path: a log, or the output folder of a run.

    Raises:
        DataError: there is no log, it has no step, or a line before the last is no line of a log; names the line.
    """
    file = path / LOG_FILE if path.is_dir() else path
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected the log of a run at {file}, got: {error}; name its output folder", field="log") from error
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            int(line["step"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(texts):
                break
            raise DataError(f"{file}:{number}: expected an object with a step, got {text[:60]!r}", field="log") from error
        lines.append(line)
    if not lines:
        raise DataError(f"expected at least one step in {file}, got none; let the run take a step first", field="log")
    return lines


def series_of(lines: Iterable[Line], read: Reader) -> Series:
    """What a reader finds in every line; values that are no finite numbers are left out."""
    found: Series = {}
    for line in lines:
        for name, value in read(line).items():
            if isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((int(line["step"]), float(value)))
    return found


def smooth(points: list[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """Means over `window` points, so that a curve of thousands of steps can be read; the last window may be shorter."""
    if window <= 1:
        return points
    parts = [points[first : first + window] for first in range(0, len(points), window)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
