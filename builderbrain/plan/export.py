"""Plans as diagrams: Mermaid and Graphviz. Solid edges carry data, dashed ones a condition, dotted ones only order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.condition import parse_condition
from builderbrain.plan.model import Plan, Reference, Step

EdgeKind = Literal["data", "condition", "sequence"]

MAX_LABEL = 48
_GRAPHVIZ_STYLES: dict[EdgeKind, str] = {"data": "solid", "condition": "dashed", "sequence": "dotted"}


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`needed` must finish before `needing`; `label` is the results that flow, or the condition."""

    needed: str
    needing: str
    kind: EdgeKind
    label: str = ""


def plan_edges(plan: Plan) -> tuple[Edge, ...]:
    """Edges of a plan in step order: one a pair of steps, of its strongest kind (data, condition, sequence)."""
    edges: list[Edge] = []
    for step in plan.steps:
        data: dict[str, list[str]] = {}
        for value in step.args.values():
            if isinstance(value, Reference):
                data.setdefault(value.step, []).append(value.result)
        asked = dict.fromkeys(_asked(step))
        for needed in dict.fromkeys((*data, *asked, *step.needs)):
            if needed in data:
                edges.append(Edge(needed=needed, needing=step.id, kind="data", label=", ".join(dict.fromkeys(data[needed]))))
            elif needed in asked:
                edges.append(Edge(needed=needed, needing=step.id, kind="condition", label=step.condition or ""))
            else:
                edges.append(Edge(needed=needed, needing=step.id, kind="sequence"))
    return tuple(edges)


def to_mermaid(plan: Plan) -> str:
    """A Mermaid flow chart."""
    names = {step.id: f"n{position}" for position, step in enumerate(plan.steps, start=1)}
    lines = ["flowchart TD"]
    lines.extend(f'    {names[step.id]}["{_mermaid(_label(step))}"]' for step in plan.steps)
    for edge in plan_edges(plan):
        if edge.needed not in names:
            continue
        arrow = "-.->" if edge.kind == "condition" else "-->" if edge.kind == "data" else "---"
        label = f'|"{_mermaid(_short(edge.label))}"|' if edge.label else ""
        lines.append(f"    {names[edge.needed]} {arrow}{label} {names[edge.needing]}")
    return "\n".join(lines) + "\n"


def to_graphviz(plan: Plan) -> str:
    """A Graphviz digraph."""
    known = {step.id for step in plan.steps}
    lines = ["digraph plan {", "    node [shape=box];"]
    lines.extend(f"    {_dot(step.id)} [label={_dot(_label(step))}];" for step in plan.steps)
    for edge in plan_edges(plan):
        if edge.needed in known:
            style = f"style={_GRAPHVIZ_STYLES[edge.kind]}, label={_dot(_short(edge.label))}"
            lines.append(f"    {_dot(edge.needed)} -> {_dot(edge.needing)} [{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _asked(step: Step) -> list[str]:
    if step.condition is None:
        return []
    try:
        return [term.reference.step for term in parse_condition(step.condition).terms]
    except PlanSyntaxError:
        return []  # a plan with faults is still shown; the checker names this one


def _label(step: Step) -> str:
    shown = ", ".join(f"{name}={value if isinstance(value, Reference) else repr(value)}" for name, value in step.args.items())
    return _short(f"{step.id} {step.skill}({shown})")


def _short(text: str) -> str:
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"


def _mermaid(text: str) -> str:
    """Mermaid has no escapes in labels, only entities by code."""
    safe = (character if character.isalnum() or character in " _=.,:-/()" else f"#{ord(character)};" for character in text)
    return "".join(safe)


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
