"""The row that an evaluation leaves: everything the verdict needs, and what a person wants to read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builderbrain.errors import PlanSyntaxError
from builderbrain.gate.battery import Battery
from builderbrain.gate.evaluate import Observation, SubjectAnswer, skills_of
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.verdict import Limits, Reading, decide, harm_above
from builderbrain.plan import parse_text
from builderbrain.plan.edit_distance import edit_distance
from builderbrain.plan.skeleton import Skeleton, skeleton_of

FORMAT = "builderbrain-gate-1"
SHOWN = 20
"""Examples of changed answers kept in a report, the largest rise in risk first."""
PACKAGE = Path(__file__).resolve().parents[1]


def build_report(
    observations: Sequence[Observation],
    *,
    candidate: str,
    live: str | None,
    attempt: int,
    limits: Limits,
    seed: int,
    battery: Battery,
    judge: RiskJudge,
    base: str,
    seconds: float,
    base_seconds: float = 0.0,
) -> dict[str, Any]:
    """A JSON object with the verdict in it; `verdict.recompute` gives the same verdict from it.

    Args:
        seconds, base_seconds: of the evaluation, and of the base's layers within it (of the rest, most is the rails').
    """
    readings = [observation.reading for observation in observations]
    differences = [observation.difference for observation in observations if observation.compared]
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "candidate": candidate,
        "live": live,
        "attempt": attempt,
        "limits": asdict(limits),
        "seed": seed,
        "battery": {"parts": list(battery.parts), "sealed": battery.sealed},
        "hashes": {"battery": battery.sha256, "judge": judge.version, "code": code_hash()},
        "base": base,
        "judge": dict(judge.report),
        "seconds": round(seconds, 3),
        "base_seconds": round(base_seconds, 3),
        "readings": [_row(reading) for reading in readings],
        "differences": differences,
        "verdict": decide(readings, differences, limits=limits, attempt=attempt).to_json(),
        "goldens": _goldens(observations),
        "plans": _plan_distances(observations),
        "changed": _changed(observations),
    }


def code_hash() -> str:
    """sha256 over the names and contents of the package's Python files."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def as_text(report: Mapping[str, Any]) -> str:
    """The report for a person, about a screen long."""
    numbers, limits, hashes = report["verdict"]["numbers"], report["limits"], report["hashes"]
    versus = f"candidate {report['candidate']} against {report['live'] or 'nothing'}"
    harmed = f"{numbers['harms']} of {numbers['families']}"
    lines = [
        f"{versus}, try {report['attempt']} at alpha {numbers['alpha']:.4g}",
        "",
        f"verdict: {report['verdict']['decision'].upper()}",
        *(f"  - {reason}" for reason in report["verdict"]["reasons"]),
        "",
        f"{'':24}{'measured':>12}{'could be':>12}{'limit':>12}",
        _line("families harmed", harmed, numbers["harm_rate_upper"], limits["harm_rate"]),
        _line("mean rise in risk", numbers["mean_delta"], numbers["mean_delta_upper"], limits["mean_margin"]),
        _line("KL, nats per token", numbers["kl_mean"], numbers["kl_mean_upper"], limits["kl_mean"]),
        _line("KL, worst prompt", numbers["kl_max"], None, limits["kl_prompt"]),
        _line("A/A tolerance", "none" if numbers["tolerance"] < 0 else numbers["tolerance"], None, limits["tolerance"]),
        _line("hard rules broken", numbers["policy_failures"], None, 0),
        "",
        f"harm is a rise in risk above {harm_above(report):.4g}, a golden lost, or no reading",
        *(_golden_line(domain, row) for domain, row in report["goldens"].items()),
        f"prompts: {numbers['prompts']}, missing readings: {numbers['faults']}, largest rise: {numbers['max_delta']:+.4f}",
        f"battery {hashes['battery'][:12]}, judge {hashes['judge']}, base {report['base']}, {report['seconds']:.1f} s, "
        f"{report.get('base_seconds', 0.0):.1f} s of it in the base",
    ]
    if "battery" in report:
        sealed = "asked, as it is due" if report["battery"]["sealed"] else "not due"
        lines.append(f"asked: {', '.join(report['battery']['parts']) or 'prompts without a file'}; the sealed part: {sealed}")
    if report["changed"]:
        lines += ["", "changed answers, largest rise in risk first:"]
    for change in report["changed"][:5]:
        rise = "no reading" if change["delta"] is None else f"{change['delta']:+.4f}"
        lines.append(f"  {change['prompt_id']} ({rise}): {change['prompt']}")
        lines += [f"    old: {change['old']}", f"    new: {change['new']}"]
    return "\n".join(lines) + "\n"


def _line(name: str, measured: float | str, bound: float | None, limit: float) -> str:
    shown = measured if isinstance(measured, str) else f"{measured:.4g}"
    return f"{name:24}{shown:>12}{'' if bound is None else f'{bound:.4g}':>12}{limit:>12.4g}"


def _golden_line(domain: str, row: Mapping[str, int]) -> str:
    right = f"{row['new']} of {row['all']} right, {row['old']} before"
    return f"goldens of {domain}: {right} ({row['won']} won, {row['lost']} lost)"


def _row(reading: Reading) -> dict[str, Any]:
    return {**asdict(reading), "policy_failures": list(reading.policy_failures)}


def _goldens(observations: Sequence[Observation]) -> dict[str, dict[str, int]]:
    """Per domain: how many goldens there are, each version's right ones, and wins and losses."""
    table: dict[str, dict[str, int]] = {}
    for observation in observations:
        expected, domain = observation.prompt.expected_skills, observation.prompt.domain
        if expected is None:
            continue
        row = table.setdefault(domain, {"all": 0, "old": 0, "new": 0, "won": 0, "lost": 0})
        old, new = skills_of(observation.old, domain) == expected, skills_of(observation.new, domain) == expected
        for name, value in (("all", True), ("old", old), ("new", new), ("won", new and not old), ("lost", old and not new)):
            row[name] += int(value)
    return table


def _plan_distances(observations: Sequence[Observation]) -> dict[str, Any]:
    """Edits between the graphs of live's plan and the candidate's: in all, and per prompt whose plans both parse and differ."""
    found: dict[str, int] = {}
    compared = 0
    for observation in observations:
        graphs = [_graph_of(answer, observation.prompt.domain) for answer in (observation.old, observation.new)]
        if graphs[0] is None or graphs[1] is None:
            continue
        compared += 1
        distance = edit_distance(graphs[0], graphs[1]).upper
        if distance:
            found[observation.prompt.id] = distance
    return {"compared": compared, "edits": sum(found.values()), "by_prompt": found}


def _graph_of(answer: SubjectAnswer | None, domain: str) -> Skeleton | None:
    try:
        return None if answer is None else skeleton_of(parse_text(answer.plan_text, domain=domain))
    except PlanSyntaxError:
        return None


def _changed(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    different = [observation for observation in observations if observation.old != observation.new]
    different.sort(key=lambda observation: -(1.0 if observation.reading.delta is None else observation.reading.delta))
    return [
        {
            "prompt_id": observation.prompt.id,
            "prompt": observation.prompt.prompt,
            "delta": observation.reading.delta,
            "old": _shown(observation.old),
            "new": _shown(observation.new) if observation.new else observation.reading.fault,
        }
        for observation in different[:SHOWN]
    ]


def _shown(answer: SubjectAnswer | None) -> str:
    return "no answer" if answer is None else answer.plan_text.replace("\n", " / ")[:300]
