"""The plot of a report: bars or lines, as an SVG written by hand, so that evaluation needs no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from xml.sax.saxutils import escape

from builderbrain.eval.statistics import Interval

_WIDTH, _LABEL, _BAR, _GAP, _TOP = 640, 150, 22, 14, 48
_SCALE = _WIDTH - _LABEL - 80


class Charted(Protocol):
    """What a bar shows: a name, a share in [0, 1], and its interval. A summary of a suite is one."""

    @property
    def subject(self) -> str:
        """What stands beside the bar."""
        ...

    @property
    def score(self) -> float:
        """Length of the bar."""
        ...

    @property
    def goals_interval(self) -> Interval:
        """The whisker."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar that is no suite's summary."""

    subject: str
    score: float
    goals_interval: Interval


def bar_chart(title: str, summaries: Sequence[Charted]) -> str:
    """An SVG with one bar per subject: its score, and Wilson's interval over the goals as a whisker."""
    height = _TOP + len(summaries) * (_BAR + _GAP) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LABEL}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LABEL + share * _SCALE
        parts.append(f'<line x1="{x}" y1="{_TOP - 10}" x2="{x}" y2="{height - 22}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{height - 6}" text-anchor="middle" fill="#666">{share:.0%}</text>')
    for row, summary in enumerate(summaries):
        y = _TOP + row * (_BAR + _GAP)
        middle = y + _BAR / 2
        low, high = (_LABEL + bound * _SCALE for bound in (summary.goals_interval.low, summary.goals_interval.high))
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(summary.subject)}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{summary.score * _SCALE:.1f}" height="{_BAR}" fill="#4878a8"/>',
            f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="black" stroke-width="2"/>',
            f'<text x="{_LABEL + _SCALE + 10}" y="{middle + 4}">{summary.score:.1%}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value at `x` with its interval."""

    x: float
    y: float
    interval: Interval


_COLOURS = ("#4878a8", "#c44e52", "#8c8c8c", "#55a868", "#8172b2")
_PLOT_HEIGHT = 300


def line_chart(title: str, lines: Mapping[str, Sequence[Point]], *, across: str, up: str) -> str:
    """An SVG with one line per name, its intervals as whiskers; `across` and `up` say what the axes are."""
    points = [point for line in lines.values() for point in line]
    left, right = min(point.x for point in points), max(point.x for point in points)
    bottom, top = min(point.interval.low for point in points), max(point.interval.high for point in points)
    span, rise = (right - left) or 1.0, (top - bottom) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return 70 + (x - left) / span * (_WIDTH - 200), _TOP + (top - y) / rise * _PLOT_HEIGHT

    height = _TOP + _PLOT_HEIGHT + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="70" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="70" y="{height - 6}" fill="#666">{escape(across)}</text>',
        f'<text x="14" y="{_TOP + _PLOT_HEIGHT / 2}" fill="#666" transform="rotate(-90 14 {_TOP + _PLOT_HEIGHT / 2})" '
        f'text-anchor="middle">{escape(up)}</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(left + share * span, bottom + share * rise)
        parts.append(f'<line x1="70" y1="{y:.1f}" x2="{_WIDTH - 130}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="64" y="{y + 4:.1f}" text-anchor="end" fill="#666">{bottom + share * rise:.2f}</text>')
        parts.append(
            f'<text x="{x:.1f}" y="{_TOP + _PLOT_HEIGHT + 18}" text-anchor="middle" fill="#666">{left + share * span:g}</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(point.x, point.y)) for point in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in line:
            (x, low), (_, high) = place(point.x, point.interval.low), place(point.x, point.interval.high)
            parts.append(f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
        parts.append(f'<text x="{_WIDTH - 122}" y="{_TOP + 20 * number}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
