"""What the suite `evsi` reports: net utility by policy, differences, a sweep over costs, predicted against realised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from builderbrain.eval.evsi import ALWAYS, GATE, INFORMED, NEVER, ORACLE, POLICY, SCALES, Played, Prediction, SessionResult
from builderbrain.eval.plot import Point
from builderbrain.eval.statistics import Interval, ratio_interval
from builderbrain.world.decision import DECISION_DOMAINS

Results = Mapping[int, Sequence[SessionResult]]
"""Sessions by the seed of the world model, in the same order under every seed."""
_CALIBRATION_BINS = 6
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Utility per request: the mean over seeds, its bootstrap interval over sessions, and each seed's own."""

    mean: float
    interval: Interval
    seeds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """A policy in a domain (or `all`) at a factor of the costs; shares are per request."""

    domain: str
    policy: str
    scale: float
    net: Estimate
    calls: float
    harmful: float


@dataclass(frozen=True, kw_only=True)
class CalibrationRow:
    """A bin of predictions: mean predicted and realised EVSI before cost, in utility."""

    least: float
    most: float
    predicted: float
    realised: float
    interval: Interval
    count: int


def estimate(results: Results, earned: Callable[[SessionResult], float], domain: str = ALL) -> Estimate:
    """Per request, over the sessions of a domain."""
    chosen = {seed: [row for row in rows if domain in (ALL, row.domain)] for seed, rows in results.items()}
    requests = [row.requests for row in next(iter(chosen.values()))]
    sums = [fmean(earned(row) for row in rows) for rows in zip(*chosen.values(), strict=True)]
    seeds = {str(seed): sum(earned(row) for row in rows) / sum(requests) for seed, rows in chosen.items()}
    return Estimate(mean=sum(sums) / sum(requests), interval=ratio_interval(sums, requests), seeds=seeds)


def best_tools(results: Results, scale: float) -> dict[str, str]:
    """By domain, the tool whose constant use earned most on these very sessions: the strongest constant caller in hindsight."""
    return {
        domain.name: max(
            domain.costs, key=lambda tool: estimate(results, lambda row: row.always[tool].net(scale), domain.name).mean
        )
        for domain in DECISION_DOMAINS
    }


def policies(results: Results, scale: float) -> dict[str, Callable[[SessionResult], Played]]:
    """How each policy played a session; `always` uses the best tool of each domain in hindsight."""
    tools = best_tools(results, scale)
    trained = {POLICY: _policy_played} if next(iter(results.values()))[0].policy is not None else {}
    return {
        GATE: lambda row: row.gates[scale],
        **trained,
        ALWAYS: lambda row: row.always[tools[row.domain]],
        NEVER: lambda row: row.never,
        INFORMED: lambda row: row.informed[scale],
    }


def policy_rows(results: Results, scale: float, domain: str = ALL) -> list[PolicyRow]:
    """Every policy, the oracle last."""
    rows = [
        PolicyRow(
            domain=domain,
            policy=name,
            scale=scale,
            net=estimate(results, lambda row, played=played: played(row).net(scale), domain),  # type: ignore[misc]
            calls=estimate(results, lambda row, played=played: played(row).calls, domain).mean,  # type: ignore[misc]
            harmful=estimate(results, lambda row, played=played: played(row).harmful, domain).mean,  # type: ignore[misc]
        )
        for name, played in policies(results, scale).items()
    ]
    oracle = estimate(results, lambda row: row.oracle, domain)
    return [*rows, PolicyRow(domain=domain, policy=ORACLE, scale=scale, net=oracle, calls=0.0, harmful=0.0)]


def differences(results: Results, scale: float, domain: str = ALL, *, of: str = GATE) -> dict[str, Estimate]:
    """What `of` earns more than the gate, the trained policy where there is one, and each constant one, paired by session."""
    played = policies(results, scale)
    mine = played[of]
    return {
        name: estimate(results, lambda row, other=played[name]: mine(row).net(scale) - other(row).net(scale), domain)  # type: ignore[misc]
        for name in (GATE, POLICY, ALWAYS, NEVER)
        if name in played and name != of
    }


def calibration(results: Results) -> list[CalibrationRow]:
    """Predictions of all seeds in bins of equal count, by their predicted EVSI before cost."""
    found = sorted((prediction for rows in results.values() for row in rows for prediction in row.predictions), key=_gross)
    table = []
    for part in np.array_split(np.arange(len(found)), min(_CALIBRATION_BINS, len(found))):
        rows = [found[index] for index in part]
        realised = [row.realised for row in rows]
        table.append(
            CalibrationRow(
                least=rows[0].gross,
                most=rows[-1].gross,
                predicted=fmean(row.gross for row in rows),
                realised=fmean(realised),
                interval=ratio_interval(realised, [1] * len(rows)),
                count=len(rows),
            )
        )
    return table


def as_json(results: Results, *, sessions: int, seed: int) -> dict[str, Any]:
    """The whole report as JSON values."""
    names = [ALL, *(domain.name for domain in DECISION_DOMAINS)]
    found = [prediction for rows in results.values() for row in rows for prediction in row.predictions]
    trained = [POLICY] if POLICY in policies(results, 1.0) else []
    return {
        "suite": "evsi",
        "sessions_per_domain": sessions,
        "sessions_seed": seed,
        "requests": sum(row.requests for row in next(iter(results.values()))),
        "world_seeds": list(results),
        "always_tools": best_tools(results, 1.0),
        "policies": [asdict(row) for name in names for row in policy_rows(results, 1.0, name)],
        **{
            f"{of}_minus": {
                name: {other: asdict(value) for other, value in differences(results, 1.0, name, of=of).items()}
                for name in names
            }
            for of in (GATE, *trained)
        },
        "sweep": [
            {
                "scale": scale,
                "always_tools": best_tools(results, scale),
                "policies": [asdict(row) for row in policy_rows(results, scale)],
                "gate_minus": {other: asdict(value) for other, value in differences(results, scale).items()},
            }
            for scale in SCALES
        ],
        "calibration": [asdict(row) for row in calibration(results)],
        "calibration_by_tool": [
            {
                "domain": domain.name,
                "tool": tool,
                **_means([row for row in found if (row.domain, row.tool) == (domain.name, tool)]),
            }
            for domain in DECISION_DOMAINS
            for tool in domain.costs
        ],
    }


def curves(results: Results) -> dict[str, list[Point]]:
    """Net utility per request over the factor of the costs, by policy."""
    rows = [row for scale in SCALES for row in policy_rows(results, scale)]
    names = [*policies(results, SCALES[0]), ORACLE]
    return {
        name: [Point(x=row.scale, y=row.net.mean, interval=row.net.interval) for row in rows if row.policy == name]
        for name in names
    }


def print_report(results: Results, console: Console) -> None:
    """Net utility by domain and policy, the differences, the sweep, and predicted against realised."""
    table = Table(title="net utility per request (95 % over sessions)")
    for heading in ("domain", "policy", "net", "95 %", "calls", "harmful", "gate gains", "95 %"):
        table.add_column(heading, justify="left" if heading in ("domain", "policy") else "right")
    for name in (ALL, *(domain.name for domain in DECISION_DOMAINS)):
        gains = differences(results, 1.0, name)
        for row in policy_rows(results, 1.0, name):
            gain = gains.get(row.policy)
            table.add_row(
                name,
                row.policy,
                f"{row.net.mean:.3f}",
                _interval(row.net.interval),
                f"{row.calls:.2f}",
                f"{row.harmful:.1%}",
                "" if gain is None else f"{gain.mean:+.3f}",
                "" if gain is None else _interval(gain.interval),
            )
        table.add_section()
    console.print(table)
    sweep = Table(title="net utility per request by factor of the costs")
    for heading in ("factor", GATE, ALWAYS, NEVER, INFORMED, "gate - always", "gate - never", "calls of the gate"):
        sweep.add_column(heading, justify="right")
    for scale in SCALES:
        rows = {row.policy: row for row in policy_rows(results, scale)}
        gains = differences(results, scale)
        sweep.add_row(
            f"{scale:g}",
            *(f"{rows[name].net.mean:.3f}" for name in (GATE, ALWAYS, NEVER, INFORMED)),
            *(f"{gains[name].mean:+.3f} ({_interval(gains[name].interval)})" for name in (ALWAYS, NEVER)),
            f"{rows[GATE].calls:.2f}",
        )
    console.print(sweep)
    bins = Table(title="EVSI before cost")
    for heading in ("predicted from", "to", "mean predicted", "mean realised", "95 %", "count"):
        bins.add_column(heading, justify="right")
    for part in calibration(results):
        cells = (part.least, part.most, part.predicted, part.realised)
        bins.add_row(*(f"{cell:.3f}" for cell in cells), _interval(part.interval), str(part.count))
    console.print(bins)


def _policy_played(row: SessionResult) -> Played:
    if row.policy is None:
        raise ValueError("expected every session to be played by the trained policy, or none")
    return row.policy


def _gross(prediction: Prediction) -> float:
    return prediction.gross


def _means(rows: Sequence[Prediction]) -> dict[str, float]:
    return {
        "predicted": fmean(row.gross for row in rows),
        "realised": fmean(row.realised for row in rows),
        "utility_overrated": fmean(row.regret for row in rows),
        "count": len(rows),
    }


def _interval(interval: Interval) -> str:
    return f"{interval.low:.3f} .. {interval.high:.3f}"
