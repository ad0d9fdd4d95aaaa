"""Candidates come at a bounded rate, whatever the clock does."""

from __future__ import annotations

from pathlib import Path

import pytest

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.ledger import DAY_SECONDS, CandidateLedger
from tests.learn.test_defences import honest

LIMITS = LearnConfig(least_rows=10, interval_seconds=100, per_day=3)


class Clock:
    def __init__(self) -> None:
        self.wall, self.monotonic = 1e9, 0.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def ledger(self, path: Path) -> CandidateLedger:
        return CandidateLedger(path, LIMITS, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


def test_rows_interval_and_day_are_all_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    ledger = clock.ledger(tmp_path / "c.json")
    assert ledger.waits_for(honest(9)) == "9 new examples of 10"
    for round_ in range(1, 4):
        examples = honest(10 * round_)
        assert ledger.waits_for(examples) is None
        ledger.begin(examples)
        assert ledger.waits_for(examples) == "0 new examples of 10"
        if round_ < 3:
            assert "the last candidate" in str(ledger.waits_for(honest(10 * round_ + 10)))
        clock.pass_by(101)
    assert ledger.waits_for(honest(50)) == "3 candidates within a day, of 3"
    clock.pass_by(DAY_SECONDS)
    assert ledger.waits_for(honest(50)) is None


def test_a_restart_or_a_clock_that_jumps_back_frees_nothing(tmp_path: Path) -> None:
    clock = Clock()
    for count in (10, 20, 30):
        clock.ledger(tmp_path / "c.json").begin(honest(count))
    again = clock.ledger(tmp_path / "c.json")
    assert again.waits_for(honest(30)) == "0 new examples of 10"
    assert again.waits_for(honest(60)) == "3 candidates within a day, of 3"
    clock.wall -= 10 * DAY_SECONDS
    assert again.waits_for(honest(60)) == "3 candidates within a day, of 3"


def test_what_a_version_that_was_taken_back_was_made_of_is_never_learned_again(tmp_path: Path) -> None:
    clock = Clock()
    ledger = clock.ledger(tmp_path / "c.json")
    ledger.condemn("v1", ["t1", "t3"])
    for each in (ledger, clock.ledger(tmp_path / "c.json")):
        assert (each.heard_of("v1"), each.heard_of("v2")) == (True, False)
        assert [example.id for example in each.allowed(honest(5))] == ["t0", "t2", "t4"]


def test_a_torn_ledger_and_a_wrong_limit_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"begun"')
    with pytest.raises(CheckpointError, match="torn"):
        CandidateLedger(tmp_path / "c.json", LIMITS)
    with pytest.raises(ConfigError, match="live_share"):
        LearnConfig(live_share=1.5)
