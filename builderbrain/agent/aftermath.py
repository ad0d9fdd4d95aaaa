"""What an answer adds when a plan did not end as planned: why it stopped, what was done instead, and what was taken back."""

from __future__ import annotations

from builderbrain.agent.report import ExecutionReport, Fallback


def compose_aftermath(report: ExecutionReport) -> str:
    """One line for each fallback and each undo; empty when there was neither."""
    lines = [_fallback(one) for one in report.fallbacks]
    lines += [f"{undo.said[0].upper()}{undo.said[1:]}." for undo in report.undos if undo.status != "nothing"]
    if report.status == "unsettled":
        lines.append(f"Execution {report.execution} needs a person, or another resume.")
    return "\n".join(lines)


def _fallback(one: Fallback) -> str:
    if one.status == "done":
        return f"Since {one.step} failed, {one.skill} was run."
    return f"Since {one.step} failed, {one.skill} was tried and did not succeed: {one.error}."
