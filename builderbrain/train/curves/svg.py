"""One panel as an SVG: lines over steps, a grid, a legend. Written by hand, so that a page needs no library and no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from builderbrain.train.curves.log import Series

WIDTH, HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 34, 30
_COLOURS = ("#2e6da4", "#c0504d", "#4f8f3a", "#8064a2", "#d98b2b", "#2aa198", "#8c564b", "#666666", "#b5338a", "#7f9a1f")
_LEGEND_LINES = 8


def panel_svg(title: str, unit: str, series: Series, *, logarithmic: bool = False) -> str:
    """The panel; `series` holds at least one point. A logarithmic axis leaves out values that are not above 0."""
    shown = {name: [(s, v) for s, v in points if v > 0 or not logarithmic] for name, points in series.items()}
    values = [value for points in shown.values() for _, value in points]
    steps = [step for points in series.values() for step, _ in points]
    logarithmic = logarithmic and bool(values)
    low, high = _range(values or [0.0], logarithmic=logarithmic)
    first, last = min(steps), max(max(steps), min(steps) + 1)
    legend = list(series)[:_LEGEND_LINES]
    height = HEIGHT + 15 * ((len(legend) + 1) // 2)

    def x_of(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        share = (_scaled(value, logarithmic) - low) / (high - low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<text x="{_LEFT}" y="16" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="29" fill="#666">{escape(unit)}{", logarithmic" if logarithmic else ""}</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        scaled = low + share * (high - low)
        y = HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        label = 10**scaled if logarithmic else scaled
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{label:.3g}</text>')
        step = first + share * (last - first)
        parts.append(f'<text x="{x_of(step):.1f}" y="{HEIGHT - 14}" text-anchor="middle" fill="#666">{step:.0f}</text>')
    for name, colour in zip(shown, _colours(len(shown)), strict=True):
        parts.append(_line([(x_of(step), y_of(value)) for step, value in shown[name]], colour, name))
    parts += _legend(legend, len(series), shown)
    return "\n".join([*parts, "</svg>"])


def _line(points: Sequence[tuple[float, float]], colour: str, name: str) -> str:
    if len(points) == 1:
        ((x, y),) = points
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"><title>{escape(name)}</title></circle>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"><title>{escape(name)}</title></polyline>'
    )


def _legend(names: Sequence[str], total: int, series: Mapping[str, Sequence[tuple[int, float]]]) -> list[str]:
    """Two columns below the axis: name and last value."""
    parts = []
    for place, (name, colour) in enumerate(zip(names, _colours(total), strict=False)):
        x, y = _LEFT + (place % 2) * (WIDTH - _LEFT) / 2, HEIGHT + 4 + 15 * (place // 2)
        last = f" {series[name][-1][1]:.3g}" if series[name] else ""
        more = f" and {total - len(names)} more" if place + 1 == len(names) < total else ""
        parts.append(f'<rect x="{x}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        parts.append(f'<text x="{x + 13}" y="{y}">{escape(name)}{last}{more}</text>')
    return parts


def _colours(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _range(values: Sequence[float], *, logarithmic: bool) -> tuple[float, float]:
    """Of the axis, never empty; a share is shown from 0."""
    low, high = _scaled(min(values), logarithmic), _scaled(max(values), logarithmic)
    if not logarithmic and low >= 0.0:
        low = 0.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)
