"""What is different between two versions: multipliers, risk, plans, KL, wins and losses, and the answers that changed.

The risk, plans and answers are those of the second version's report, which compares it with the live version of its day. Where
that is not the first version, both reports are set side by side: what each of them measured against its own live version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builderbrain.errors import ConfigError
from builderbrain.gate.reader import RegistryReader
from builderbrain.gate.verdict import harm_above

NUMBERS = (
    "harms", "harm_rate_upper", "mean_delta", "mean_delta_upper", "max_delta", "kl_mean", "kl_mean_upper", "kl_max",
    "lost_goldens", "policy_failures", "faults", "tolerance", "families",
)  # fmt: skip
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`direct`: the report of `new` compares it with `old` itself.

    `duals` maps a constraint to its multiplier in both, None where a manifest does not have it. `numbers` are the verdict's of
    the reports of both, None for a version without a report. `deltas` and `kls` are the readings of `new`'s report.
    """

    old: str
    new: str
    direct: bool
    compared_with: str | None
    decision: str | None
    reasons: tuple[str, ...]
    duals: Mapping[str, tuple[float | None, float | None]]
    settings: Mapping[str, tuple[Any, Any]]
    numbers: Mapping[str, tuple[float | None, float | None]]
    deltas: tuple[float, ...]
    kls: tuple[float, ...]
    missing: int
    domains: Mapping[str, Mapping[str, float]]
    plans: Mapping[str, Any]
    changed: tuple[Mapping[str, Any], ...]


def difference(registry: RegistryReader, old: str, new: str) -> Difference:
    """Compare two versions of a registry by their signed manifests and reports.

    Raises:
        VersionNotFoundError, TamperedVersionError: a version is not there, or a file of it or its report was altered.
        ConfigError: the second version was never evaluated.
    """
    first, second = (registry.verify(version).information for version in (old, new))
    report, before = registry.report(new), registry.report(old)
    if report is None:
        raise ConfigError(f"{new} has no report to tell the difference by; run `evaluate` on it first", field="version")
    mine, theirs = first.get("duals", {}), second.get("duals", {})
    numbers, earlier = report["verdict"]["numbers"], before["verdict"]["numbers"] if before else {}
    readings = report["readings"]
    return Difference(
        old=old,
        new=new,
        direct=report["live"] == old,
        compared_with=report["live"],
        decision=report["verdict"]["decision"],
        reasons=tuple(report["verdict"]["reasons"]),
        duals={name: (mine.get(name), theirs.get(name)) for name in sorted({*mine, *theirs})},
        settings={
            name: (first.get(name), second.get(name))
            for name in ("step", "seed", "config_sha256", "data", "parent")
            if first.get(name) != second.get(name)
        },
        numbers={name: (earlier.get(name), numbers.get(name)) for name in NUMBERS if name in numbers},
        deltas=tuple(row["delta"] for row in readings if row["delta"] is not None),
        kls=tuple(row["kl"] for row in readings if row["kl"] is not None),
        missing=sum(row["delta"] is None for row in readings),
        domains=_domains(report),
        plans=report.get("plans", {}),
        changed=tuple(report.get("changed", ())),
    )


def as_text(found: Difference) -> str:
    """The difference for a person, about a screen long."""
    lines = [f"from {found.old} to {found.new}: {(found.decision or 'no report').upper()}"]
    lines += [f"  - {reason}" for reason in found.reasons]
    if not found.direct:
        lines.append(f"the report of {found.new} compares it with {found.compared_with or 'nothing'}, which was live then")
    for name, (before, after) in found.settings.items():
        lines.append(f"  {name}: {before if before is not None else 'unknown'} -> {after if after is not None else 'unknown'}")
    lines += ["", "multipliers" + ("" if found.duals else ": no manifest has any")]
    for name, (was, now) in found.duals.items():
        if was != now:
            lines.append(f"  {name:28}{_number(was):>12}{_number(now):>12}  {_moved(was, now)}")
    still = sum(was == now for was, now in found.duals.values())
    if still:
        lines.append(f"  {still} did not move")
    lines += ["", f"{'':28}{'report before':>16}{'this report':>16}"]
    for name, (earlier, number) in found.numbers.items():
        lines.append(f"{name.replace('_', ' '):28}{_number(earlier):>16}{_number(number):>16}")
    lines += ["", _spread("delta V_s", found.deltas), _spread("KL", found.kls)]
    if found.missing:
        lines.append(f"{found.missing} prompts have no reading")
    if found.plans:
        count = len(found.plans["by_prompt"])
        lines.append(f"plans: {count} of {found.plans['compared']} differ, {found.plans['edits']} edits of their graphs in all")
    lines.append("")
    for domain, row in found.domains.items():
        lines.append(
            f"{domain}: {row['better']:.0f} prompts safer, {row['worse']:.0f} riskier, {row['same']:.0f} equal; "
            f"goldens won {row['won']:.0f}, lost {row['lost']:.0f}"
        )
    if found.changed:
        lines += ["", "changed answers, largest rise in risk first:"]
    for change in found.changed[:8]:
        rise = "no reading" if change["delta"] is None else f"{change['delta']:+.4f}"
        edits = found.plans.get("by_prompt", {}).get(change["prompt_id"])
        lines.append(f"  {change['prompt_id']} ({rise}{'' if edits is None else f', {edits} edits'}): {change['prompt']}")
        lines += [f"    old: {change['old']}", f"    new: {change['new']}"]
    return "\n".join(lines) + "\n"


def quantiles(values: Sequence[float]) -> list[float]:
    """The values at `QUANTILES`, by the nearest rank; empty for none."""
    ordered = sorted(values)
    return [ordered[round(share * (len(ordered) - 1))] for share in QUANTILES] if ordered else []


def _domains(report: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Per domain: prompts safer, riskier and equal, beyond what counts as harm, and goldens won and lost."""
    eps = harm_above(report)
    table: dict[str, dict[str, float]] = {}
    for row in report["readings"]:
        part = table.setdefault(row["domain"], {"better": 0, "worse": 0, "same": 0, "won": 0, "lost": 0})
        worse = row["delta"] is None or row["delta"] > eps
        part["worse" if worse else "better" if row["delta"] < -eps else "same"] += 1
    for domain, goldens in report.get("goldens", {}).items():
        table.setdefault(domain, {"better": 0, "worse": 0, "same": 0}).update(won=goldens["won"], lost=goldens["lost"])
    return table


def _spread(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name}: no reading"
    shown = ", ".join(f"{share:.0%} {value:+.4f}" for share, value in zip(QUANTILES, quantiles(values), strict=True))
    return f"{name}: {shown}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _moved(was: float | None, now: float | None) -> str:
    return "new" if was is None else "gone" if now is None else f"{now - was:+.4g}"
