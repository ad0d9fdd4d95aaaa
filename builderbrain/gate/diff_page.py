"""A difference as one page: tables and plots in a single HTML file that loads nothing, runs nothing, and prints well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from builderbrain.gate.diff import Difference

BINS = 41
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2730; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr + tr { border-top: 1px solid #dde3e8; }
.promote { color: #146c43; } .reject { color: #a4262c; } .inconclusive { color: #8a6100; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #55626d; }
"""


def as_page(found: Difference) -> str:
    """The whole page."""
    decision = found.decision or "no report"
    title = f"{found.old} to {found.new}"
    parts = [
        f"<h1>{escape(title)}: <span class='{escape(decision)}'>{escape(decision)}</span></h1>",
        _list(found.reasons),
    ]
    if not found.direct:
        live = escape(found.compared_with or "nothing")
        parts.append(f"<p>The report of {escape(found.new)} compares it with {live}, which was live then.</p>")
    if found.settings:
        rows = [(name, str(before), str(after)) for name, (before, after) in found.settings.items()]
        parts += ["<h2>Training</h2>", _table(("", "before", "after"), rows)]
    parts.append("<h2>Multipliers</h2>")
    parts.append(duals_plot(found) if found.duals else "<p>No manifest has any.</p>")
    parts += ["<h2>Change of risk</h2>", histogram("delta V_s, new - old", found.deltas, symmetric=True)]
    parts.append(f"<p>{found.missing} prompts have no reading.</p>" if found.missing else "")
    parts += ["<h2>KL (new || old), nats per token</h2>", histogram("mean KL of a prompt", found.kls)]
    numbers = [(name.replace("_", " "), _number(was), _number(now)) for name, (was, now) in found.numbers.items()]
    parts += ["<h2>Numbers of the rule</h2>", _table(("", "report before", "this report"), numbers, numeric=True)]
    domains = [
        (name, *(f"{row.get(key, 0):.0f}" for key in ("better", "worse", "same", "won", "lost")))
        for name, row in found.domains.items()
    ]
    heads = ("domain", "prompts safer", "riskier", "equal", "goldens won", "lost")
    parts += ["<h2>Domains</h2>", _table(heads, domains, numeric=True)]
    if found.plans:
        count, edits = len(found.plans["by_prompt"]), found.plans["edits"]
        parts.append(f"<p>{count} of {found.plans['compared']} plans differ, {edits} edits of their graphs in all.</p>")
    if found.changed:
        parts.append("<h2>Changed answers</h2>")
        by_prompt = found.plans.get("by_prompt", {})
        changed = [
            (
                str(change["prompt"]),
                "none" if change["delta"] is None else f"{change['delta']:+.4f}",
                str(by_prompt.get(change["prompt_id"], "")),
                str(change["old"]),
                str(change["new"]),
            )
            for change in found.changed
        ]
        parts.append(_table(("prompt", "rise", "edits", "old", "new"), changed))
    body = "\n".join(part for part in parts if part)
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html>\n<html lang='en'><head>{head}</head>\n<body>\n{body}\n</body></html>\n"


def histogram(title: str, values: Sequence[float], *, symmetric: bool = False) -> str:
    """An SVG histogram; counts above one are drawn by their logarithm, so that a few bad prompts among hundreds show."""
    if not values:
        return "<p>No reading.</p>"
    reach = max(abs(value) for value in values) or 1.0
    low, high = (-reach, reach) if symmetric else (min(0.0, *values), max(values) or 1.0)
    width = (high - low) / BINS or 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / width))] += 1
    tallest = max(math.log1p(count) for count in counts)
    bars = []
    for index, count in enumerate(counts):
        height = 150 * math.log1p(count) / tallest
        middle = low + (index + 0.5) * width
        colour = (
            "#a4262c" if symmetric and middle > width / 2 else "#146c43" if symmetric and middle < -width / 2 else "#3d6a97"
        )
        hint = f"<title>{count} at about {middle:.4g}</title>"
        bars.append(
            f"<rect x='{20 + 15 * index}' y='{170 - height:.1f}' width='13' height='{height:.1f}' fill='{colour}'>{hint}</rect>"
        )
    axis = "".join(
        f"<text x='{20 + 15 * BINS * share}' y='188' text-anchor='{anchor}'>{low + share * (high - low):.3g}</text>"
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    label = f"<text x='20' y='14'>{escape(title)}; {len(values)} prompts, tallest bar {max(counts)}</text>"
    return f"<svg viewBox='0 0 660 196' width='660' role='img'>{label}{''.join(bars)}{axis}</svg>"


def duals_plot(found: Difference) -> str:
    """Both multipliers of every constraint as a pair of bars, the largest move first."""
    rows = sorted(found.duals.items(), key=lambda row: -abs((row[1][1] or 0.0) - (row[1][0] or 0.0)))
    largest = max((abs(value) for pair in found.duals.values() for value in pair if value is not None), default=0.0) or 1.0
    shapes = []
    for index, (name, pair) in enumerate(rows):
        top = 24 + 34 * index
        shapes.append(f"<text x='0' y='{top + 14}'>{escape(name)}</text>")
        for place, (value, colour) in enumerate(zip(pair, ("#9db4c8", "#3d6a97"), strict=True)):
            length = 380 * abs(value or 0.0) / largest
            y = top + 13 * place
            shapes.append(f"<rect x='200' y='{y}' width='{length:.1f}' height='11' fill='{colour}'/>")
            shapes.append(f"<text x='{206 + length:.1f}' y='{y + 10}'>{_number(value)}</text>")
    height = 30 + 34 * len(rows)
    legend = "<text x='0' y='12'>light: before, dark: after</text>"
    return f"<svg viewBox='0 0 660 {height}' width='660' role='img'>{legend}{''.join(shapes)}</svg>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: bool = False) -> str:
    def cells(values: Sequence[str], tag: str) -> str:
        kind = [" class='n'" if numeric and place else "" for place in range(len(values))]
        return "".join(f"<{tag}{kind[place]}>{escape(value)}</{tag}>" for place, value in enumerate(values))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(heads, 'th')}</tr>{body}</table>"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
