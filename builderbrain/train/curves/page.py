"""The page: all panels of a run's log in one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from builderbrain.train.curves.log import Line, Series, series_of, smooth
from builderbrain.train.curves.panels import PANELS, Panel
from builderbrain.train.curves.svg import panel_svg

_POINTS = 400
_STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 1460px; padding: 0 1em; color: #222; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 1.2em; }
figure { margin: 0; padding: .6em; border: 1px solid #ddd; border-radius: 4px; }
figure svg { width: 100%; height: auto; }
"""


def curves_page(logs: Sequence[Sequence[Line]], *, title: str) -> str:
    """The HTML of the page.

    Args:
        logs: lines of logs (`read_log`), at least one each. A panel shows the first log that has anything for it, so that a
            world model's log adds what the run's lacks.
        title: what the page says it shows.
    """
    lines = logs[0]
    steps = [int(line["step"]) for line in lines]
    found = [(panel, _first(panel, logs)) for panel in PANELS]
    figures = [_figure(panel, series) for panel, series in found if series]
    missing = [_missing(panel) for panel, series in found if not series]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>Steps {min(steps)} to {max(steps)}. {_grain(len(lines))}{_alarms(lines)}</p>",
            '<div class="panels">',
            *figures,
            "</div>",
            *(["<h2>Not in this log</h2><ul>", *missing, "</ul>"] if missing else []),
            "</body></html>",
            "",
        ]
    )


def _first(panel: Panel, logs: Sequence[Sequence[Line]]) -> Series:
    return next((series for lines in logs if (series := series_of(lines, panel.read))), {})


def _figure(panel: Panel, series: Series) -> str:
    smoothed = {name: smooth(points, -(-len(points) // _POINTS)) for name, points in series.items()}
    return f"<figure>{panel_svg(panel.title, panel.unit, smoothed, logarithmic=panel.logarithmic)}</figure>"


def _missing(panel: Panel) -> str:
    reason = f": logged with {panel.missing}" if panel.missing else ""
    return f"<li>{escape(panel.title + reason)}</li>"


def _grain(steps: int) -> str:
    window = -(-steps // _POINTS)
    return "" if window == 1 else f"Every point is the mean of {window} values. "


def _alarm(alarm: Any) -> str:
    """What an alarm is called; a line of another version, or by another hand, may leave out either name."""
    told = alarm if isinstance(alarm, Mapping) else {}
    name = str(told.get("name", "unnamed"))
    return f"{name} ({told['subject']})" if "subject" in told else name


def _alarms(lines: Sequence[Line]) -> str:
    """Which alarms were rung, and when first."""
    first: dict[str, int] = {}
    for line in lines:
        for alarm in line.get("alarms", []):
            first.setdefault(_alarm(alarm), int(line["step"]))
    if not first:
        return "No alarm was rung."
    return "Alarms: " + escape("; ".join(f"{name} at step {step}" for name, step in first.items())) + "."
