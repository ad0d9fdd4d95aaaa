"""The gate's stated error rates on thousands of simulated candidates and canaries; `benchmarks.promotion` in small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.promotion import NEVER, against_itself, as_tables, at_the_limit, passing_times, planted, rollback_times, samples
from benchmarks.promotion_candidates import KINDS, Pool, pools
from builderbrain.gate.canary import Canary, Metric, Outcome
from builderbrain.gate.signals import Family
from builderbrain.gate.train_judge import train_judge
from tests.gate.test_gate_risk import toy_base

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "2026-11-30-promotion.json"


@pytest.fixture(scope="module")
def drawn() -> dict[Family, Pool]:
    return pools(train_judge(toy_base, base_name="toy", examples=400), toy_base, prompts=160)


def test_of_candidates_at_the_limit_at_most_alpha_is_promoted() -> None:
    found = at_the_limit(1000, 400)
    allowed = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert all(value <= allowed for name, value in found.items() if "passed" in name or "promoted" in name)


def test_of_a_a_canaries_at_most_one_percent_is_rolled_back(drawn: dict[Family, Pool]) -> None:
    assert against_itself(drawn, 1000, 400)["rolled back"] <= 0.01


def test_planted_candidates_get_their_verdict(drawn: dict[Family, Pool]) -> None:
    verdicts = planted(drawn, 25, 150)
    assert set(verdicts) == {*KINDS, "better"}
    for kind in KINDS:
        assert verdicts[kind]["promote"] == 0.0
        assert verdicts[kind]["reject"] >= 0.95
    assert verdicts["better"]["promote"] >= 0.9


def test_a_regression_is_found_with_thirty_percent_fewer_samples() -> None:
    for row in samples(500):
        assert row["saved, one metric"] >= 0.3
        assert row["saved, three metrics"] >= 0.3


def test_the_whole_streams_say_what_the_canary_says() -> None:
    """Request by request, with three metrics and two domains, over several rates of harm."""
    generator = np.random.default_rng(0)
    streams, length, domains = 8, 150, ("a", "b")
    rates = np.linspace(0.0, 0.4, streams)[:, None]
    where = generator.integers(0, 2, (streams, length))
    harms: dict[Metric, np.ndarray] = {
        "risk": generator.random((streams, length)) < rates,
        "violation": generator.random((streams, length)) < 0.02,
        "deferral": generator.random((streams, length)) < 0.2,
    }
    rolled, passed = rollback_times(harms, where, 2), passing_times(harms, where, 2)
    for row in range(streams):
        canary = Canary(version="v", domains=domains)
        first = {"roll back": NEVER, "passed": NEVER}
        for i in range(length):
            outcome = Outcome(
                domain=domains[where[row, i]],
                delta=1.0 if harms["risk"][row, i] else 0.0,
                violation=bool(harms["violation"][row, i]),
                deferred=bool(harms["deferral"][row, i]),
            )
            phase = canary.observe(outcome)
            if phase != "watching":
                first[phase] = min(first[phase], i + 1)
        assert first["roll back"] == rolled[row]
        assert first["passed"] == passed[row] or rolled[row] < passed[row]
    assert (rolled < NEVER).any()


def test_the_committed_result_keeps_what_is_stated() -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    limit = result["at the limit"]
    assert limit["candidates"] == result["A/A"]["streams"] == 10_000
    assert all(value <= 0.05 for name, value in limit.items() if "passed" in name or "promoted" in name)
    assert result["A/A"]["rolled back"] <= 0.01
    assert all(result["planted"][kind]["reject"] >= 0.99 for kind in KINDS)
    assert result["planted"]["better"]["promote"] >= 0.9
    assert all(row["saved, three metrics"] >= 0.3 for row in result["samples"])
    table = as_tables(result).splitlines()
    documented = (RESULT.parents[2] / "docs" / "promotion.md").read_text(encoding="utf-8")
    assert [line for line in table if line and line not in documented] == []
