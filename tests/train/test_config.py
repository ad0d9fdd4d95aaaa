"""Configuration: nearest key on a misspelling, types, files, overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from builderbrain.config import load_config, overrides_of
from builderbrain.errors import ConfigError
from builderbrain.train.config import TrainConfig


def test_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("steps: 7\nconstraints:\n  kl_budget:\n    target: 0.2\nbudget:\n  steps: [0.1, 1.0]\n")
    config = load_config(TrainConfig, path, ["steps=9", "rail.width=40", "constraints.cfs_energy.enabled=false"])
    assert (config.steps, config.rail.width) == (9, 40)
    assert config.constraints.kl_budget.target == 0.2
    assert config.constraints.kl_budget.eta == TrainConfig().constraints.kl_budget.eta
    assert not config.constraints.cfs_energy.enabled
    assert config.budget.steps == (0.1, 1.0)


def test_a_configuration_prints_as_overrides_that_give_it_back() -> None:
    config = load_config(TrainConfig, None, ["steps=9", "learning_rate=2e-5", "rail.width=40", "budget.steps=[0.1, 1.0]"])
    assert "rail.width=40" in overrides_of(config)
    assert load_config(TrainConfig, None, overrides_of(config)) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning_rat=1", "did you mean learning_rate"),
        ("constraints.kl_budgt.target=1", r"did you mean constraints\.kl_budget"),
        ("steps=many", "steps: .*integer.*'many'"),
        ("steps=0", "steps at least 1, got 0"),
        ("rail=3", "rail to be a section"),
        ("steps", "key=value"),
        ("quantization=int3", "quantization"),
        ("base_text_rows=0", "base_text_rows >= 1 while"),
        ("muon_learning_rate=-1", r"muon_learning_rate in \[0, 1\], got -1"),
        ("learning_rate=.nan", "learning_rate in .* got nan"),
        ("policy_weight=.inf", "policy_weight to be finite"),
        ("router_temperature=[0, 0]", "router_temperature in"),
        ("seed=99999999999999999999", "seed in"),
        ("micro_batches=0", "micro_batches in"),
        ("rail.reduction=0", "rail: expected reduction in"),
        ("rail.mlp_ratio=.nan", "rail: expected mlp_ratio in"),
        ("constraints.kl_budget.target=-1", r"constraints\.kl_budget: expected target finite"),
        ("budget.improvement=-5", "budget: expected improvement in"),
        ("tensorboard=maybe", "tensorboard"),
    ],
)
def test_mistakes_name_the_key_and_the_fix(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(TrainConfig, None, [override])
    assert caught.value.field


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    for text, message in (("- a\n- b\n", "mapping"), ("a: [1", "not YAML")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_config(TrainConfig, tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="readable YAML file"):
        load_config(TrainConfig, tmp_path / "absent.yaml")
