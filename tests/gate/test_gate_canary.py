"""The canary on live traffic: low traffic is no success, a regression is rolled back by itself, and it stays rolled back."""

from __future__ import annotations

import errno
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import ConfigError
from builderbrain.gate.canary import Canary, Outcome
from builderbrain.gate.canary_keeper import CanaryKeeper
from builderbrain.gate.registry import Registry
from builderbrain.storage import exclusive_lock, fail_point_hook

GOOD, BAD = Outcome(domain="a", delta=0.0), Outcome(domain="a", delta=0.5)


def fed(canary: Canary, outcome: Outcome, count: int) -> list[str]:
    return [canary.observe(outcome) for _ in range(count)]


def test_no_data_is_no_success() -> None:
    canary = Canary(version="v")
    assert canary.phase == "watching"
    assert fed(canary, GOOD, 50)[-1] == "watching"
    assert any(line.startswith("risk: 0 of 50") for line in canary.missing())
    assert fed(canary, GOOD, 400)[-1] == "passed"
    assert canary.missing() == ()


def test_every_declared_domain_needs_its_own_requests() -> None:
    canary = Canary(version="v", domains=("a", "b"))
    assert fed(canary, GOOD, 1000)[-1] == "watching"
    assert {line.split(":")[0] for line in canary.missing()} == {"risk/b", "violation/b", "deferral/b"}
    fed(canary, Outcome(domain="elsewhere", delta=0.0), 1000)
    assert canary.phase == "watching"
    assert fed(canary, Outcome(domain="b", delta=0.0), 400)[-1] == "passed"


def test_a_harm_that_is_known_late_ends_where_one_known_at_once_does() -> None:
    late, at_once = Canary(version="v", domains=("a",)), Canary(version="v", domains=("a",))
    fed(late, GOOD, 12)
    fed(at_once, GOOD, 8)
    fed(at_once, BAD, 3)
    fed(at_once, GOOD, 1)
    for _ in range(3):
        assert late.log_evidence() <= at_once.log_evidence()
        late.revise("a")
    assert late.log_evidence() == pytest.approx(at_once.log_evidence())
    late.revise("b")  # a domain without a stream of its own counts in all requests
    assert (late.harmful["risk/"].harms, late.harmful["risk/a"].harms, late.observed) == (4, 3, 12)


def test_revisions_alone_roll_back_and_never_count_more_harms_than_requests() -> None:
    canary = Canary(version="v")
    fed(canary, GOOD, 10)
    phases = [canary.revise("a") for _ in range(20)]
    assert phases[0] == "watching"
    assert phases[-1] == "roll back"
    assert canary.harmful["risk/"].harms == canary.observed == 10


@pytest.mark.parametrize(
    "bad",
    [
        Outcome(domain="a", delta=0.5),
        Outcome(domain="a", delta=None),
        Outcome(domain="a", delta=math.nan),
        Outcome(domain="a", delta=0.0, violation=True),
        Outcome(domain="a", delta=0.0, deferred=True),
    ],
)
def test_each_kind_of_harm_rolls_back_and_latches(bad: Outcome) -> None:
    canary = Canary(version="v", tolerance=0.1, domains=("a", "b"))
    fed(canary, GOOD, 30)
    phases = fed(canary, bad, 60)
    assert phases[-1] == "roll back"
    assert phases == sorted(phases, key=["watching", "passed", "roll back"].index)
    assert set(fed(canary, GOOD, 500)) == {"roll back"}
    assert canary.reason is not None
    assert "limit" in canary.reason


def test_a_regress_of_one_domain_is_found_among_many_requests() -> None:
    canary = Canary(version="v", domains=("a", "b"))
    for index in range(4000):
        harmed = index % 40 == 0  # all requests: 2.5 %, of b: half
        if canary.observe(Outcome(domain="b" if index % 20 == 0 else "a", delta=0.5 if harmed else 0.0)) == "roll back":
            break
    assert canary.latched
    assert canary.reason is not None
    assert "risk in b" in canary.reason


def test_ties_at_the_tolerance_are_no_harm() -> None:
    assert not Outcome(domain="a", delta=0.1).harms(0.1)["risk"]
    assert Outcome(domain="a", delta=0.1).harms(math.nextafter(0.1, 0))["risk"]
    assert not Outcome(domain="a", delta=0.0).harms(0.0)["risk"]


def test_a_restart_changes_nothing() -> None:
    whole, parted = (Canary(version="v", domains=("b", "a")) for _ in range(2))
    for index in range(300):
        outcome = BAD if index % 8 == 0 else Outcome(domain="b", delta=0.0)
        parted = Canary.restore(json.loads(json.dumps(parted.state(), sort_keys=True)))
        assert whole.observe(outcome) == parted.observe(outcome)
        assert whole.log_evidence() == pytest.approx(parted.log_evidence(), abs=1e-9)
    with pytest.raises(ConfigError, match="cannot be read"):
        Canary.restore({"version": "v"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"alpha": 1.0}, "alpha"), ({"alpha_pass": 0.0}, "alpha_pass"), ({"tolerance": math.inf}, "tolerance"),
     ({"limits": {}}, "limits"), ({"limits": {"speed": 0.1}}, "limits"), ({"limits": {"risk": 0.0}}, "limit")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Canary(version="v", **changes)
    assert caught.value.field == field


# --- beside a registry ----------------------------------------------------------------------------------------------


@pytest.fixture
def promoted(tmp_path: Path, make_rail: Callable[[str], Path], evaluated: Callable[..., None]) -> tuple[Registry, str, str]:
    registry = Registry(tmp_path / "versions")
    first = registry.add(make_rail("first"))
    registry.promote(first, expected_live=None)
    second = registry.add(make_rail("second"))
    evaluated(registry, second)
    registry.promote(second, expected_live=first)
    return registry, first, second


def test_a_bad_version_is_rolled_back_with_a_record(promoted: tuple[Registry, str, str]) -> None:
    registry, first, second = promoted
    keeper = CanaryKeeper(registry)
    assert keeper.observe(first, BAD) == "not live"
    results = [keeper.observe(second, BAD) for _ in range(20)]
    assert "rolled back" in results
    assert results[-1] == "not live"
    live = registry.live()
    assert live is not None
    assert live.version == first
    entry = registry.audit_entries()[-1]
    assert entry.event == "rolled back"
    assert entry.details["canary"].startswith("risk in all requests")
    assert registry.verify_all() == dict.fromkeys(registry.verify_all())


def test_evidence_survives_a_kill(promoted: tuple[Registry, str, str]) -> None:
    registry, _, second = promoted
    keeper = CanaryKeeper(registry, every=1)
    for _ in range(2):
        assert keeper.observe(second, BAD) == "watching"
    again = CanaryKeeper(Registry(registry.root), every=1)
    assert again.report()["observed"] == 2
    while again.observe(second, BAD) == "watching":
        pass
    assert again.report()["observed"] < 8


def test_a_rollback_that_must_wait_is_done_later(promoted: tuple[Registry, str, str]) -> None:
    registry, first, second = promoted
    keeper = CanaryKeeper(registry)
    with exclusive_lock(registry.root / ".lock"):
        results = {keeper.observe(second, BAD) for _ in range(10)}
    assert results == {"watching", "waiting to roll back"}
    restarted = CanaryKeeper(Registry(registry.root))
    assert restarted.settle() == "rolled back"
    assert registry.live_path().name == first
    assert restarted.settle() == "not live"


def test_a_full_disk_delays_the_rollback_and_loses_nothing(promoted: tuple[Registry, str, str]) -> None:
    registry, first, second = promoted
    keeper = CanaryKeeper(registry)

    def full(name: str) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with fail_point_hook(full):
        results = {keeper.observe(second, BAD) for _ in range(10)}
    assert "waiting to roll back" in results
    assert registry.live_path().name == second
    assert keeper.observe(second, GOOD) == "rolled back"
    assert registry.live_path().name == first


def test_without_a_former_version_it_says_so(tmp_path: Path, make_rail: Callable[[str], Path]) -> None:
    registry = Registry(tmp_path / "versions")
    only = registry.add(make_rail("only"))
    registry.promote(only, expected_live=None)
    keeper = CanaryKeeper(registry)
    assert [keeper.observe(only, BAD) for _ in range(10)][-1] == "no way back"
    assert registry.live_path().name == only
    assert keeper.report()["phase"] == "roll back"


def test_a_new_live_version_gets_a_canary_of_its_own(promoted: tuple[Registry, str, str]) -> None:
    registry, first, second = promoted
    keeper = CanaryKeeper(registry)
    keeper.observe(second, BAD)
    registry.rollback()
    keeper.observe(first, GOOD)
    assert keeper.report() | {"log_evidence": 0, "bar": 0, "missing": []} == {
        "version": first, "phase": "watching", "observed": 1, "log_evidence": 0, "bar": 0, "missing": [], "reason": None,
    }  # fmt: skip


def test_a_forged_state_is_not_believed(promoted: tuple[Registry, str, str]) -> None:
    registry, _, second = promoted
    keeper = CanaryKeeper(registry, every=1)
    keeper.observe(second, BAD)
    stored = json.loads(keeper.path.read_bytes())
    stored["value"]["harmful"]["risk/"]["harms"] = 0
    keeper.path.write_text(json.dumps(stored))
    assert CanaryKeeper(registry).report()["version"] is None


def test_no_clock_matters(promoted: tuple[Registry, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    registry, _, second = promoted
    keeper = CanaryKeeper(registry)
    for day in (2e9, 1e9, 3e9):
        monkeypatch.setattr(time, "time", lambda day=day: day)
        monkeypatch.setattr(time, "monotonic", lambda day=day: day)
        assert keeper.observe(second, GOOD) == "watching"
    assert keeper.report()["observed"] == 3
