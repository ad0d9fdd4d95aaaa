"""At run time: thresholds only get stricter by themselves, follow outcomes within bounds, and stay so over a restart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.deferral import DeferralPolicy, DeferralTable
from builderbrain.deferral.adaptive import AdaptiveLevel
from builderbrain.deferral.offers import RULES, offer_of, said
from builderbrain.deferral.policy import DeferralRecord
from builderbrain.errors import CheckpointError, ConfigError, DataError
from tests.deferral.requests import drawn, table_of


@pytest.fixture
def table() -> DeferralTable:
    made: DeferralTable = table_of(*drawn(np.random.default_rng(0), 300))
    return made


def test_under_the_threshold_something_is_offered(table: DeferralTable) -> None:
    policy = DeferralPolicy(table)
    least = policy.threshold("api_json")
    assert least is not None
    assert least == table.domains[0].threshold.least
    answered = policy.judge("api_json", least, weight_version="v1")
    near = policy.judge("api_json", least - 1e-6, weight_version="v1")
    far = policy.judge("api_json", 0.1, weight_version="v1")
    assert (answered.deferred, near.offer, far.offer) == (False, "information", "escalate")
    assert answered.fitted
    assert "is under the threshold" in (near.reason or "")
    json.dumps(far.to_json())


def test_without_a_fit_the_starting_point_is_used_and_said_to_be_one() -> None:
    policy = DeferralPolicy(None)
    starts = {domain: policy.threshold(domain) for domain in ("chat_social", "phone_flow", "api_json", "robot_cell", "other")}
    assert starts == {"chat_social": 0.6, "phone_flow": 0.7, "api_json": 0.8, "robot_cell": 0.9, "other": 0.9}
    verdict = policy.judge("chat_social", 0.59, weight_version="v1")
    assert (verdict.deferred, verdict.fitted, verdict.offer) == (True, False, "clarify")


def test_other_weights_than_those_of_the_fit_are_not_trusted(table: DeferralTable) -> None:
    verdict = DeferralPolicy(table).judge("api_json", 1.0, weight_version="v2")
    assert (verdict.deferred, verdict.threshold) == (True, None)
    assert "fit them anew after a promotion" in (verdict.reason or "")


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.1])
def test_what_is_no_confidence_is_refused_by_name(table: DeferralTable, confidence: float) -> None:
    with pytest.raises(DataError, match="confidence: expected a probability") as caught:
        DeferralPolicy(table).judge("api_json", confidence, weight_version="v1")
    assert caught.value.field == "confidence"


def test_a_shift_raises_the_threshold_for_good(table: DeferralTable, tmp_path: Path) -> None:
    records: list[DeferralRecord] = []
    file = tmp_path / "state.json"
    policy = DeferralPolicy(table, state_file=file, emit=records.append, seed=0)
    before = policy.threshold("api_json")
    shifted = drawn(np.random.default_rng(1), 60, worse=0.4)[0]
    for value in shifted:
        policy.judge("api_json", float(value), weight_version="v1")
    after = policy.threshold("api_json")
    assert before is not None
    assert after is not None
    assert after >= 1 - (1 - before) / 2
    assert [record.kind for record in records].count("shift") == policy.state("api_json").alarms >= 1  # type: ignore[union-attr]
    assert f"{before:.4g} -> " in records[0].said
    for value in drawn(np.random.default_rng(2), 150)[0]:  # as it was when it was fitted
        verdict = policy.judge("api_json", float(value), weight_version="v1")
        policy.outcome(verdict.id, right=True)
    assert (policy.threshold("api_json") or 2.0) >= after
    again = DeferralPolicy(table, state_file=file)
    assert again.threshold("api_json") == policy.threshold("api_json")
    assert again.state("api_json").tests == policy.state("api_json").tests + 1  # type: ignore[union-attr]
    refitted: DeferralTable = table_of(*drawn(np.random.default_rng(3), 300))
    assert DeferralPolicy(refitted, state_file=file).threshold("api_json") == refitted.domains[0].threshold.least


def test_wrong_outcomes_make_it_stricter_and_right_ones_bring_it_back_to_what_was_fitted(table: DeferralTable) -> None:
    policy, usual = DeferralPolicy(table, seed=0), drawn(np.random.default_rng(7), 2000)[0].tolist()
    fitted = policy.threshold("api_json")
    assert fitted is not None

    def answered(right: bool) -> None:
        """Ask as usual until something is answered, and tell how that turned out."""
        while (verdict := policy.judge("api_json", usual.pop(), weight_version="v1")).deferred:
            pass
        policy.outcome(verdict.id, right=right)

    for _ in range(3):
        answered(right=False)
        assert (policy.threshold("api_json") or 0.0) > fitted
    for _ in range(40):
        answered(right=True)
    assert policy.threshold("api_json") == fitted
    while policy.threshold("api_json") is not None:
        answered(right=False)
    silent = policy.judge("api_json", 1.0, weight_version="v1")
    assert "outcomes were wrong too often" in (silent.reason or "")
    policy.outcome(silent.id, right=False)  # nothing was answered, so it is no error
    state = policy.state("api_json")
    assert state is not None
    assert (state.alarms, state.adaptive.outcomes) == (0, state.adaptive.errors + 41)


def test_an_outcome_is_taken_once(table: DeferralTable) -> None:
    policy = DeferralPolicy(table)
    verdict = policy.judge("api_json", 1.0, weight_version="v1")
    policy.outcome(verdict.id, right=True)
    for identifier in (verdict.id, "dfr_none"):
        with pytest.raises(DataError, match="id: expected that of one of the last"):
            policy.outcome(identifier, right=True)


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.sampled_from([0.02, 0.1, 0.3]), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_the_adaptive_level_keeps_its_promise_on_any_sequence(wrong: list[bool], target: float, outstanding: int) -> None:
    """What is answered is wrong whenever the sequence says so; outcomes come late by `outstanding` requests."""
    adaptive = AdaptiveLevel(target=target, step=0.02)
    waiting: list[bool] = []
    for one in [*wrong, *[False] * outstanding]:
        waiting.append(one and adaptive.present > 0)
        if len(waiting) > outstanding:
            adaptive.update(answered_and_wrong=waiting.pop(0))
            assert adaptive.errors / adaptive.outcomes <= adaptive.promised(outstanding=outstanding) + 1e-12
            assert adaptive.present <= target


def test_an_adversary_who_is_always_wrong_gets_no_more_than_the_level_in_the_long_run() -> None:
    adaptive = AdaptiveLevel(target=0.05)
    for _ in range(20_000):
        adaptive.update(answered_and_wrong=adaptive.present > 0)
    assert 0.045 < adaptive.errors / adaptive.outcomes <= adaptive.promised() < 0.0504
    with pytest.raises(ConfigError, match="step"):
        AdaptiveLevel(target=0.05, step=float("nan"))


def test_a_table_survives_the_disk_and_is_refused_for_others(table: DeferralTable, tmp_path: Path) -> None:
    file = tmp_path / "thresholds.json"
    table.save(file)
    assert DeferralTable.load(file, weight_version="v1", calibration_sha256="0" * 64) == table
    with pytest.raises(CheckpointError, match="fitted for the weights v1, these are v2; fit it anew"):
        DeferralTable.load(file, weight_version="v2")
    with pytest.raises(CheckpointError, match="fitted on the requests 000000000000, expected 1"):
        DeferralTable.load(file, weight_version="v1", calibration_sha256="1" * 64)
    value = json.loads(file.read_text())
    value["domains"][0]["thresholds"][0]["least"] = 0.01
    file.write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match="does not have the digest"):
        DeferralTable.load(file, weight_version="v1")
    with pytest.raises(CheckpointError, match="No such file"):
        DeferralTable.load(tmp_path / "none.json", weight_version="v1")


def test_a_state_that_is_torn_is_refused(table: DeferralTable, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("{")
    with pytest.raises(CheckpointError, match="remove it to begin with the fitted ones"):
        DeferralPolicy(table, state_file=file)


def test_every_domain_says_what_it_offers() -> None:
    for domain, rule in RULES.items():
        assert offer_of(domain, 0.5 * rule.start, rule.start) == rule.near
        assert offer_of(domain, 0.49 * rule.start, rule.start) == offer_of(domain, 1.0, None) == rule.far
    words = {"asked": "find it", "understood": ['search for "it"'], "missing": ["search.pattern"], "alternatives": ["read it"]}
    assert "Do you mean this" in said("clarify", **words)  # type: ignore[arg-type]
    assert "- search.pattern" in said("information", **words)  # type: ignore[arg-type]
    assert "1. read it\n2. none of these" in said("alternatives", **words)  # type: ignore[arg-type]
    assert "a person has to decide" in said("escalate", **words)  # type: ignore[arg-type]
