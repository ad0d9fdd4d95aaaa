"""A merge of skills is a candidate like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builderbrain.errors import ConfigError, SkillError
from builderbrain.gate.__main__ import main
from builderbrain.gate.merge import merge_is_due, merge_skills
from builderbrain.gate.registry import Registry
from builderbrain.gate.standing import standing_of
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail
from tests.gate.conftest import report_of


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    torch.manual_seed(0)
    config = RailConfig(base_name="other", d_model=24, vocab_size=50, tap_points=(0, 1), width=16, head_size=8)
    save_rail(BuilderRail(config), tmp_path / "rail")
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(tmp_path / "rail"), expected_live=None)
    return registry


def test_a_merge_is_a_candidate_and_goes_through_the_gate(registry: Registry) -> None:
    live = registry.live_path().name
    first, second = sorted(record.id for record in load_rail(registry.root / live).book.records)[:2]
    version = merge_skills(registry, keep=first, give=second)
    assert version != live
    assert registry.live_path().name == live
    assert standing_of(registry, version).state == "not evaluated"
    assert registry.verify(version).information["merge"] == {"of": live, "keep": first, "give": second}
    assert registry.audit_entries()[-1].details == {
        "version": version,
        "parent": live,
        "merge": {"of": live, "keep": first, "give": second},
    }
    with pytest.raises(ConfigError, match="run `evaluate`"):
        registry.promote(version, expected_live=live)
    registry.record_report(report_of(version, live, registry.begin_attempt(version)))
    registry.promote(version, expected_live=live)
    states = {record.id: record.state for record in load_rail(registry.live_path()).book.records}
    assert states[second] == "merged"
    with pytest.raises(SkillError):
        merge_skills(registry, keep=first, give=second)


def test_the_schedule_counts_promotions_since_the_last_merge(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert merge_is_due(registry.audit_entries(), 1)
    assert not merge_is_due(registry.audit_entries(), 2)
    command = ["--registry", str(registry.root), "merge", "0", "1", "--if-due"]
    assert main([*command, "2"]) == 0
    assert "no merge is due" in capsys.readouterr().out
    assert main([*command, "1"]) == 0
    assert "run `evaluate" in capsys.readouterr().out
    assert not merge_is_due(registry.audit_entries(), 1)
    assert main([*command, "0"]) == 2
    assert "--if-due" in capsys.readouterr().err
