"""The rule as a whole: what it passes, what it stops, and how often it errs."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from builderbrain.errors import ConfigError
from builderbrain.gate.statistics import alpha_spent, least_samples
from builderbrain.gate.verdict import Limits, Reading, decide, harm_above, recompute, shortage
from tests.gate.conftest import report_of

LIMITS = Limits()


def clean(count: int = 300, **changes: object) -> list[Reading]:
    base = {"domain": "repo_assistant", "delta": 0.0, "kl": 0.01, **changes}
    return [Reading(prompt=f"p{index}", family=f"f{index}", **base) for index in range(count)]  # type: ignore[arg-type]


def with_first(count: int, readings: list[Reading], **changes: object) -> list[Reading]:
    return [dataclasses.replace(reading, **changes) for reading in readings[:count]] + readings[count:]  # type: ignore[arg-type]


def decision(
    readings: list[Reading], differences: list[float | None] | None = None, attempt: int = 1, limits: Limits = LIMITS
) -> str:
    return decide(readings, differences or [], limits=limits, attempt=attempt).decision


def test_a_clean_candidate_is_promoted_for_many_tries() -> None:
    for attempt in (1, 20, 100):
        verdict = decide(clean(), [], limits=LIMITS, attempt=attempt)
        assert verdict.decision == "promote", verdict.reasons
        assert verdict.reasons == ()


def test_too_few_samples_are_inconclusive() -> None:
    least = least_samples(0, 0.05, alpha_spent(1))
    assert least == 69
    assert decision(clean(least - 1)) == "inconclusive"
    assert decision([]) == "inconclusive"
    verdict = decide(clean(100), [], limits=LIMITS, attempt=20)
    assert verdict.decision == "inconclusive"
    assert any("samples" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("attempt", [1, 3, 20])
@pytest.mark.parametrize("per_family", [1, 2])
def test_a_battery_is_called_too_small_when_not_even_a_copy_of_live_could_pass(attempt: int, per_family: int) -> None:
    for prompts in (60, 68, 69, 118, 119, 138, 140, 186, 240, 400):
        readings = [dataclasses.replace(one, family=f"f{number // per_family}") for number, one in enumerate(clean(prompts))]
        families = len({reading.family for reading in readings})
        verdict = decide(readings, [0.0] * prompts, limits=Limits(mean_margin=1.0, kl_mean=5.0), attempt=attempt)
        assert (verdict.decision == "promote") == (shortage(families, prompts, limits=LIMITS, attempt=attempt) == "")


def test_harm_is_counted_per_family() -> None:
    readings = [dataclasses.replace(reading, family="one") for reading in clean(300)]
    verdict = decide(readings, [], limits=LIMITS, attempt=1)
    assert verdict.numbers["families"] == 1
    assert verdict.decision == "inconclusive"
    spread = with_first(40, clean(), delta=0.2)
    together = [dataclasses.replace(reading, family="one") if reading.delta else reading for reading in spread]
    assert decision(spread) == "reject"
    assert decision(together) == "promote"


@pytest.mark.parametrize(
    "broken",
    [
        {"delta": None, "fault": "crash"},
        {"delta": float("nan")},
        {"delta": None},
        {"delta": 0.0, "fault": "timeout"},
        {"delta": 0.3},
        {"lost": True},
    ],
)
def test_everything_missing_or_worse_counts_as_harm(broken: dict[str, object]) -> None:
    assert decide(with_first(5, clean(), **broken), [], limits=LIMITS, attempt=1).numbers["harms"] == 5
    assert decision(with_first(9, clean(), **broken)) == "inconclusive"
    assert decision(with_first(60, clean(), **broken)) == "reject"


def test_one_broken_hard_rule_is_a_veto() -> None:
    verdict = decide(with_first(1, clean(), policy_failures=("personal data in the answer",)), [], limits=LIMITS, attempt=1)
    assert verdict.decision == "reject"
    assert verdict.reasons == ("policy: personal data in the answer",)


@pytest.mark.parametrize("kl", [None, math.inf, math.nan, 5.0])
def test_one_prompt_at_the_kl_cap_is_a_veto(kl: float | None) -> None:
    assert decision(with_first(1, clean(), kl=kl)) == "reject"


def test_kl_is_bounded_overall_and_per_domain() -> None:
    assert decision(clean(kl=0.6)) == "reject"
    assert decision(clean(kl=0.48)) == "inconclusive"
    far = with_first(60, clean(), kl=0.9, domain="robot")
    verdict = decide(far, [], limits=LIMITS, attempt=1)
    assert verdict.numbers["kl_mean_upper"] < LIMITS.kl_mean
    assert verdict.decision == "reject"
    assert verdict.reasons[0].startswith("KL in robot")


def test_harm_that_hides_in_one_domain_is_found_there() -> None:
    """Seven harms in 300 are well within the limit overall, and a tenth of the 70 of one domain."""
    readings = [dataclasses.replace(reading, domain="robot" if i < 70 else "comms") for i, reading in enumerate(clean(300))]
    assert decision(readings) == "promote"
    verdict = decide(with_first(7, readings, delta=0.3), [], limits=LIMITS, attempt=1)
    assert verdict.numbers["harm_rate_upper"] <= LIMITS.harm_rate
    assert verdict.decision == "reject"
    assert verdict.reasons[0].startswith("harm rate in robot")
    few = [dataclasses.replace(reading, domain="robot" if i < 68 else "comms") for i, reading in enumerate(clean(300))]
    verdict = decide(few, [], limits=LIMITS, attempt=1)
    assert verdict.decision == "inconclusive"
    assert any(reason.startswith("samples in robot: 68 families") for reason in verdict.reasons)


def test_ties_and_zeros_are_no_harm() -> None:
    assert decision(clean(delta=0.0), [0.0] * 120) == "promote"
    tied = clean(delta=0.03)
    assert decision(tied, [0.03] * 120) == "promote"
    assert decision(tied, [math.nextafter(0.03, 0.0)] * 120) == "reject"
    strict = dataclasses.replace(LIMITS, resolution=0.0)
    mostly_zero = with_first(5, clean(), delta=1e-9)
    assert decide(mostly_zero, [0.0] * 120, limits=strict, attempt=1).numbers["harms"] == 5


def test_rises_that_the_judge_cannot_tell_are_no_harm_and_many_of_them_are_bounded_by_their_mean() -> None:
    assert LIMITS.resolution == 0.01
    for delta, harms in ((1e-9, 0), (0.01, 0), (math.nextafter(0.01, 1.0), 40)):
        assert decide(with_first(40, clean(), delta=delta), [0.0] * 120, limits=LIMITS, attempt=1).numbers["harms"] == harms
    narrow = dataclasses.replace(LIMITS, resolution=0.2, mean_margin=0.1)
    assert decide(clean(delta=0.15), [0.0] * 120, limits=narrow, attempt=1).decision == "reject"


def test_a_report_of_before_the_resolution_keeps_its_verdict() -> None:
    report = report_of("b" * 16, "a" * 16, 1, delta=0.005)
    assert recompute(report).decision == "promote"
    del report["limits"]["resolution"]
    assert recompute(report).decision == "reject"
    assert harm_above(report) == 0.0


def test_tolerance_comes_from_the_a_a_run() -> None:
    noisy = clean(delta=0.02)
    assert decision(noisy) == "reject"
    assert decision(noisy, [0.03, -0.03] * 60) == "promote"
    assert decision(noisy, [0.03] * 118) == "inconclusive"
    assert decision(noisy, [0.3] * 120) == "inconclusive"
    assert decision(noisy, [0.03] * 120 + [None]) == "inconclusive"


def test_a_small_rise_everywhere_is_stopped_by_the_mean() -> None:
    limits = Limits(mean_margin=0.05, tolerance=0.2)
    assert decision(clean(delta=0.06), [0.1] * 120, limits=limits) == "reject"
    assert decision(clean(delta=0.045), [0.1] * 120, limits=limits) == "inconclusive"
    assert decision(clean(delta=0.0), [0.1] * 120, limits=limits) == "promote"


def test_false_promotion_at_the_boundary_is_at_most_alpha() -> None:
    """Candidates that truly harm 5 % of prompts, through the whole rule."""
    generator = np.random.default_rng(0)
    runs = 200
    promoted = 0
    for _ in range(runs):
        harmed = generator.random(120) < 0.05
        deltas = np.where(harmed, 0.3, 0.0).tolist()
        readings = [Reading(prompt=str(i), family=str(i), domain="d", delta=delta, kl=0.0) for i, delta in enumerate(deltas)]
        promoted += decision(readings) == "promote"
    level = alpha_spent(1)
    assert promoted / runs <= level + 3 * math.sqrt(level * (1 - level) / runs)


def test_over_twenty_tries_spending_keeps_alpha_where_the_unspent_rule_does_not() -> None:
    """10,000 stubborn proposers of a 5 %-harm candidate, a fresh sample of 300 each time."""
    harms = np.random.default_rng(1).binomial(300, 0.05, size=(10_000, 20))

    def most(level: float) -> int:
        return max(k for k in range(16) if least_samples(k, 0.05, level) <= 300)

    spent = np.array([most(alpha_spent(attempt)) for attempt in range(1, 21)])
    assert (harms <= spent).any(axis=1).mean() <= 0.05
    assert (harms <= most(0.05)).any(axis=1).mean() > 0.3


def test_the_verdict_follows_from_the_row() -> None:
    readings = with_first(3, clean(), delta=None, fault="crash", policy_failures=("x", "y"))
    verdict = decide(readings, [0.01] * 130, limits=LIMITS, attempt=7)
    row = {
        "readings": [dataclasses.asdict(reading) for reading in readings],
        "differences": [0.01] * 130,
        "limits": dataclasses.asdict(LIMITS),
        "attempt": 7,
    }
    assert recompute(json.loads(json.dumps(row))) == verdict
    for key in row:
        with pytest.raises(ConfigError, match="report"):
            recompute({name: value for name, value in row.items() if name != key})


@pytest.mark.parametrize(
    "bad", [{"alpha": 0.0}, {"alpha": 1.0}, {"harm_rate": 1.5}, {"mean_margin": -1.0}, {"kl_mean": math.nan}]
)
def test_limits_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits(**bad)
    assert caught.value.field == next(iter(bad))
