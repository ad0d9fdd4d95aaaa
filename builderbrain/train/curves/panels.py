"""Which curves a page shows: one panel per thing that a run is watched by, and where the log has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builderbrain.train.curves.log import Line, Reader


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`read` finds the values of a line by the name of their curve; `missing` says how a run comes to log any."""

    title: str
    unit: str
    read: Reader
    missing: str = ""
    logarithmic: bool = False


def _keys(**names: str) -> Reader:
    """Values at the top of a line: curve=key."""

    def read(line: Line) -> Mapping[str, Any]:
        return {curve.replace("_", " "): line[key] for curve, key in names.items() if key in line}

    return read


def _constraints(part: str) -> Reader:
    def read(line: Line) -> Mapping[str, Any]:
        return {name: entry[part] for name, entry in line.get("constraints", {}).items() if part in entry}

    return read


def _within(key: str, *, only: str = "") -> Reader:
    """The entries of an object or a list; those of a list are numbered from 0."""

    def read(line: Line) -> Mapping[str, Any]:
        value = line.get(key, {})
        if isinstance(value, list):
            value = {str(number): item for number, item in enumerate(value)}
        if only:
            value = value.get(only, {})
        return value if isinstance(value, Mapping) else {}

    return read


def _alpha(line: Line) -> Mapping[str, Any]:
    return {"cap": line.get("alpha_budget")} | {f"tap {number}": mean for number, mean in enumerate(line.get("alpha_mean", []))}


def _edit_distance(line: Line) -> Mapping[str, Any]:
    entry = line.get("constraints", {}).get("g2g", {})
    return {"training": entry.get("edit_distance"), "held out": line.get("held_out_edit_distance")}


def _evsi(line: Line) -> Mapping[str, Any]:
    entry = line.get("held_out_evsi", {})
    return {name: entry[name] for name in ("predicted", "realised") if name in entry}


def _imagined(line: Line) -> Mapping[str, Any]:
    entry = line.get("held_out_imagined", {})
    named = {f"{name}, held out": entry[name] for name in ("policy", "behaviour") if name in entry}
    return named | ({"policy": line["imagined"]} if "imagined" in line else {})


def _skills(line: Line) -> Mapping[str, Any]:
    entry = line.get("skills", {})
    return {name: entry[name] for name in ("live", "born", "ended") if name in entry}


def _alarms(line: Line) -> Mapping[str, Any]:
    return {"rung": len(line.get("alarms", []))}


PANELS = (
    Panel(
        title="Task loss",
        unit="nats/token",
        read=_keys(training="plan", held_out="held_out_plan"),
        logarithmic=True,
    ),
    Panel(
        title="Other losses",
        unit="nats",
        read=_keys(policy="policy", copy="copy", labels="labels", pins="pins"),
        logarithmic=True,
    ),
    Panel(
        title="Held-out goals",
        unit="share right",
        read=_keys(plans="held_out_exact", tokens="held_out_tokens_right"),
        missing="steps beyond evaluation_every",
    ),
    Panel(title="Duals", unit="price", read=_constraints("dual"), missing="a constraint that is enabled"),
    Panel(
        title="Constraints, raw",
        unit="each in its own",
        read=_constraints("reading"),
        missing="a constraint that is enabled",
        logarithmic=True,
    ),
    Panel(
        title="Constraints, normalised",
        unit="each in its own",
        read=_constraints("normalised"),
        missing="a constraint that is enabled",
    ),
    Panel(title="Scored items", unit="count per step", read=_constraints("count"), missing="a constraint that is enabled"),
    Panel(title="Alpha", unit="cap, and mean per tap", read=_alpha),
    Panel(
        title="Gradient cosines",
        unit="-1 to 1",
        read=_within("conflict", only="cosines"),
        missing="conflict.method=pcgrad or cagrad",
    ),
    Panel(title="Gradient norm", unit="before clipping", read=_keys(norm="gradient_norm"), logarithmic=True),
    Panel(
        title="Grammar violations",
        unit="share of held-out plan tokens",
        read=_keys(without_a_mask="held_out_illegal"),
        missing="steps beyond evaluation_every",
    ),
    Panel(title="Graph edit distance", unit="edits per plan", read=_edit_distance, missing="rail.plan_nodes=16"),
    Panel(
        title="Deferrals",
        unit="share of held-out decisions",
        read=_keys(less_sure_than_90_percent="held_out_deferred"),
        missing="steps beyond evaluation_every",
    ),
    Panel(
        title="Debts",
        unit="nats/token; probability",
        read=_keys(divergence_on_text="held_out_divergence", calibration_error="held_out_calibration_error"),
        missing="steps beyond evaluation_every",
    ),
    Panel(
        title="Change of risk",
        unit="V_s, against the base under the same grammar",
        read=_keys(mean="held_out_risk_change"),
        missing="a promotion: `python -m builderbrain.gate evaluate` reports it",
    ),
    Panel(
        title="Value of asking (EVSI)",
        unit="utility",
        read=_evsi,
        missing="`train world`: name its folder as well",
    ),
    Panel(
        title="Imagined requests",
        unit="net utility a request",
        read=_imagined,
        missing="`train policy`: name its folder as well",
    ),
    Panel(
        title="Asking in imagination",
        unit="share of requests; calls a request",
        read=_keys(asked="asked", calls="calls", asked_held_out="held_out_asked", calls_held_out="held_out_calls"),
        missing="`train policy`: name its folder as well",
    ),
    Panel(
        title="Concept vectors",
        unit="mean cosine of held-out goals",
        read=_keys(pairs="held_out_concept_cosine"),
        missing="steps beyond evaluation_every",
    ),
    Panel(title="Skill usage", unit="nats; skills", read=_keys(entropy="skill_entropy", used="skills_used")),
    Panel(
        title="Skills: births and deaths",
        unit="count",
        read=_skills,
        missing="skills.births=true",
    ),
    Panel(title="Ease", unit="each in its own", read=_within("ease"), logarithmic=True),
    Panel(title="Covariance of duals with ease", unit="correlation", read=_within("ease_covariance"), missing="more steps"),
    Panel(title="Alarms", unit="count per step", read=_alarms),
)
"""In the order of the page."""
