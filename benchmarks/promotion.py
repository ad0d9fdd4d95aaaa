"""How often the gate errs, and how soon it finds a regression.

    python -m benchmarks.promotion [--quick] [--out FILE]

- **at the limit**: candidates whose harm rate is exactly the limit (all in one domain's stream, and in all requests), watched
  after every request; how many ever pass. And the same candidates through the battery's rule, once each.
- **A/A**: live watched against itself as a canary would be, with a tolerance estimated from a run of its own; how many are
  ever rolled back.
- **planted**: six kinds of worse candidates and a better one, through the whole rule, with V_s as the judge gives it.
- **samples**: requests until a regression is found, against Mann-Whitney at a fixed horizon of the same level and power.

Deterministic for a seed. The quick form takes a stand-in for the base and fewer streams; it is what the tests run.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.promotion_candidates import KINDS, Pool, battery_readings, pools
from builderbrain.gate.canary import DEFAULT_LIMITS, Metric, stream_weights
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.sequential import Direction, log_e_table
from builderbrain.gate.signals import FAMILIES, Family
from builderbrain.gate.statistics import alpha_spent, harm_rate_upper, tolerance
from builderbrain.gate.verdict import Limits, decide

NEVER = 10**9
CHUNK = 500


def stream_evidence(harms: np.ndarray, domains: np.ndarray, table: np.ndarray, domain: int | None) -> np.ndarray:
    """log E of one stream after each request, [S, n], from harms [S, n] and the domain of each request [S, n]."""
    counted = np.ones_like(harms) if domain is None else domains == domain
    return table[np.cumsum(counted, axis=1), np.cumsum(harms & counted, axis=1)]


def rollback_times(harms: Mapping[Metric, np.ndarray], domains: np.ndarray, count: int, alpha: float = 0.01) -> np.ndarray:
    """Request (from 1) at which `Canary` rolls each of S streams back, or NEVER. The canary's rule, all streams at once."""
    weights = iter(stream_weights(len(harms), count))
    total = np.full(domains.shape, -np.inf)
    for domain in (None, *range(count)):
        for metric, outcomes in harms.items():
            table = _table(outcomes.shape[1], metric, "harmful")
            total = np.logaddexp(total, stream_evidence(outcomes, domains, table, domain) + math.log(next(weights)))
    return _first(total >= math.log(1.0 / alpha))


def passing_times(harms: Mapping[Metric, np.ndarray], domains: np.ndarray, count: int, alpha: float = 0.05) -> np.ndarray:
    """Request (from 1) at which `Canary` has passed each of S streams, or NEVER."""
    latest = np.zeros(domains.shape[0], dtype=np.int64)
    for domain in (None, *range(count)):
        for metric, outcomes in harms.items():
            evidence = stream_evidence(outcomes, domains, _table(outcomes.shape[1], metric, "safe"), domain)
            latest = np.maximum(latest, _first(evidence >= math.log(1.0 / alpha)))
    return latest


_TABLES: dict[tuple[int, Metric, Direction], np.ndarray] = {}


def _table(most: int, metric: Metric, direction: Direction) -> np.ndarray:
    key = (most, metric, direction)
    if key not in _TABLES:
        _TABLES[key] = log_e_table(most, DEFAULT_LIMITS[metric], direction)
    return _TABLES[key]


def _first(crossed: np.ndarray) -> np.ndarray:
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, NEVER)


def at_the_limit(streams: int, length: int, seed: int = 0) -> dict[str, float]:
    """False promotions of candidates at the harm limit of 5 %."""
    limit = DEFAULT_LIMITS["risk"]
    passed_everywhere = passed_domain = 0
    for part in range(0, streams, CHUNK):
        generator = np.random.default_rng([seed, part])
        size = (min(CHUNK, streams - part), length)
        domains = generator.integers(0, 3, size)
        uniform = generator.random(size)
        everywhere: dict[Metric, np.ndarray] = {"risk": uniform < limit}
        passed_everywhere += int((passing_times(everywhere, domains, 0) < NEVER).sum())
        # Harm only in one of three domains: a third of the limit overall, the limit where it happens.
        hidden: dict[Metric, np.ndarray] = {"risk": (uniform < limit) & (domains == 0)}
        passed_domain += int((passing_times(hidden, domains, 3) < NEVER).sum())
    harms = np.random.default_rng([seed, 1]).binomial(300, limit, streams)
    level = alpha_spent(1)
    once = sum(harm_rate_upper(int(k), 300, level) <= limit for k in harms)
    tries = np.random.default_rng([seed, 2]).binomial(300, limit, (streams, 20))
    # The bound rises with the harms, so one count per try decides.
    most = np.array([max(k for k in range(15) if harm_rate_upper(k, 300, alpha_spent(t)) <= limit) for t in range(1, 21)])
    ever = (tries <= most).any(axis=1)
    return {
        "candidates": streams,
        "requests": length,
        "watched: passed": passed_everywhere / streams,
        "watched, harm in one domain: passed": passed_domain / streams,
        "battery of 300, one try: promoted": float(once) / streams,
        "battery of 300, twenty tries: promoted": float(ever.mean()),
        "alpha": 0.05,
    }


def against_itself(drawn: Mapping[Family, Pool], streams: int, length: int, seed: int = 0) -> dict[str, float]:
    """False rollbacks of A/A canaries; each has a tolerance of its own, from 150 differences of live against itself."""
    rolled = 0
    differences = [pool.again - pool.live for pool in drawn.values()]
    all_differences = np.concatenate(differences)
    for part in range(0, streams, CHUNK):
        generator = np.random.default_rng([seed, 3, part])
        size = (min(CHUNK, streams - part), length)
        domains = generator.integers(0, len(differences), size)
        bounds = [tolerance(np.abs(row).tolist()) for row in generator.choice(all_differences, (size[0], 150))]
        delta = np.choose(domains, [generator.choice(values, size) for values in differences])
        # A coin says which of the two runs is called new; violations and deferrals are live's own.
        delta = np.where(generator.random(size) < 0.5, delta, -delta)
        harms: dict[Metric, np.ndarray] = {
            "risk": delta > np.array(bounds)[:, None],
            "violation": generator.random(size) < 0.005,
            "deferral": generator.random(size) < 0.15,
        }
        rolled += int((rollback_times(harms, domains, len(differences)) < NEVER).sum())
    return {"streams": streams, "requests": length, "rolled back": rolled / streams, "alpha": 0.01}


def planted(drawn: Mapping[Family, Pool], candidates: int, families: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Verdicts on planted candidates through the whole rule, on their first try."""
    limits = Limits(tolerance=0.2)
    found: dict[str, dict[str, float]] = {}
    for index, kind in enumerate((*KINDS, None)):
        generator = np.random.default_rng([seed, 4, index])
        counts = {"promote": 0, "reject": 0, "inconclusive": 0}
        for _ in range(candidates):
            readings, differences = battery_readings(drawn, kind, generator, families=families)
            counts[decide(readings, differences, limits=limits, attempt=1).decision] += 1
        found[kind or "better"] = {name: count / candidates for name, count in counts.items()}
    return found


def samples(streams: int, seed: int = 0, power: float = 0.8) -> list[dict[str, float]]:
    """Mean requests until a regression from 5 % is found, and what Mann-Whitney needs per arm for the same level and power.

    The canary's streams end at the request by which a share `power` of them is rolled back, so that both have the same power;
    the rest are counted with all of those requests.
    """
    rows = []
    for rate in (0.1, 0.15, 0.2, 0.4):
        generator = np.random.default_rng([seed, 5, int(100 * rate)])
        length = {0.1: 1200, 0.15: 500, 0.2: 300, 0.4: 120}[rate]
        horizon = _mann_whitney_horizon(rate, power, generator)
        outcomes = generator.random((streams, length)) < rate
        row: dict[str, float] = {"harm rate": rate, "power": power, "Mann-Whitney, per arm": horizon}
        nothing = np.zeros((streams, length), dtype=bool)
        for name, harms in (
            ("one metric", {"risk": outcomes}),
            ("three metrics", {"risk": outcomes, "violation": nothing, "deferral": nothing}),
        ):
            times = rollback_times(harms, np.zeros((streams, length), dtype=np.int64), 0)  # type: ignore[arg-type]
            end = float(np.quantile(times, power, method="higher"))
            if end >= NEVER:
                raise RuntimeError(f"{length} requests are too few for a power of {power} at {rate}; lengthen the streams")
            row[f"canary, {name}"] = float(np.minimum(times, end).mean())
            row[f"saved, {name}"] = 1.0 - row[f"canary, {name}"] / horizon
        rows.append(row)
    return rows


def _mann_whitney_horizon(rate: float, power: float, generator: np.random.Generator, runs: int = 1000) -> int:
    """Least n per arm at which Mann-Whitney at level 0.01 finds the shift from 5 % with that power (normal form, ties).

    On 0/1 outcomes the statistic depends on the two counts alone, so whole runs are computed at once.
    """
    bar = float(stats.norm.isf(0.01))

    def found(n: int) -> float:
        old, new = generator.binomial(n, 0.05, runs), generator.binomial(n, rate, runs)
        ones = old + new
        statistic = new * (n - old) + 0.5 * (new * old + (n - new) * (n - old))
        ties = (ones**3 - ones) + ((2 * n - ones) ** 3 - (2 * n - ones))
        variance = n * n / 12.0 * ((2 * n + 1) - ties / (2.0 * n * (2 * n - 1)))
        score = (statistic - n * n / 2.0 - 0.5) / np.sqrt(np.maximum(variance, 1e-12))
        return float((score > bar).mean())

    low, high = 5, 10
    while found(high) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def run(judge: RiskJudge, base_features: Any, *, scale: float, prompts: int) -> dict[str, Any]:
    """All four parts; `scale` 1 is the full size."""
    drawn = pools(judge, base_features, prompts=prompts)
    return {
        "at the limit": at_the_limit(int(10_000 * scale), 1000),
        "A/A": against_itself(drawn, int(10_000 * scale), 1000),
        "planted": planted(drawn, int(500 * scale) or 1, families=min(160, prompts)),
        "samples": samples(max(500, int(4000 * scale))),
    }


def as_tables(result: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| errors | share | stated |", "|---|---|---|"]
    limit, same = result["at the limit"], result["A/A"]
    for name, value in limit.items():
        if "passed" in name or "promoted" in name:
            lines.append(f"| {limit['candidates']:,} candidates at the limit; {name} | {value:.2%} | {limit['alpha']:.0%} |")
    lines.append(
        f"| {same['streams']:,} A/A canaries of {same['requests']:,} requests; rolled back | {same['rolled back']:.2%} | 1% |"
    )
    lines += ["", "| candidate | promoted | rejected | inconclusive |", "|---|---|---|---|"]
    for kind, row in result["planted"].items():
        lines.append(f"| {kind} | {row['promote']:.1%} | {row['reject']:.1%} | {row['inconclusive']:.1%} |")
    lines += [
        "",
        "| harm rate, limit 5 % | Mann-Whitney, per arm | canary, one metric | canary, three metrics |",
        "|---|---|---|---|",
    ]
    for row in result["samples"]:
        one, three = (f"{row[f'canary, {n}']:.0f} ({row[f'saved, {n}']:.0%} fewer)" for n in ("one metric", "three metrics"))
        lines.append(f"| {row['harm rate']:.0%} | {row['Mann-Whitney, per arm']} | {one} | {three} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promotion", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the streams")
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    from builderbrain.gate.shipped import JUDGE
    from builderbrain.gate.subject import base_features_of
    from builderbrain.hosts.load import NANO, load_host

    scale = 0.05 if options.quick else 1.0
    judge = RiskJudge.load(JUDGE)
    result = run(judge, base_features_of(load_host(NANO)), scale=scale, prompts=200)
    result["judge"] = judge.version
    result["families"] = list(FAMILIES)
    print(as_tables(result))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
