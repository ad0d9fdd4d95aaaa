"""Configuration: nearest key on a misspelling, types, files, overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from builderbrain.config import load_config, overrides_of
from builderbrain.errors import ConfigError
from builderbrain.train.config import TrainConfig
from builderbrain.train.world.config import WorldTrainConfig


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
        ("steps=many", "steps: expected a whole number, got 'many'"),
        ("steps=", "steps: expected a whole number, got nothing; write steps=VALUE"),
        ("steps=1e3", "steps: expected a whole number, got '1e3'; write 1000"),
        ("steps=1.5", "steps: expected a whole number, got 1.5; leave the fraction out"),
        ("steps=yes", "steps: expected a whole number, got True"),
        ("output=2026", "output: expected a text, got 2026; write it in quotes"),
        ("budget.steps=0.5", r"budget\.steps: expected a list of numbers, got 0\.5; write \[0\.5\]"),
        ("router_temperature=1", r"router_temperature: expected a list of 2 numbers, got 1"),
        ("batch_size=2", "batch_size >= micro_batches=3, .* got 2"),
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
        ("tensorboard=maybe", "tensorboard: expected one of auto, always, never, got 'maybe'"),
    ],
)
def test_mistakes_name_the_key_and_the_fix(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(TrainConfig, None, [override])
    assert caught.value.field


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    for text, message in (
        (b"- a\n- b\n", "mapping"),
        (b"a: [1", "not YAML"),
        (b"# nothing\n", "got an empty file"),
        (b"output: caf\xe9\n", "expected UTF-8 in .*bad.yaml, got byte 0xe9"),
        (b"steps: 1\nsteps: 2\n", "the key 'steps' is there twice; keep one"),
        (b"rail:\n  width: 1\n  width: 2\n", "the key 'width' is there twice"),
        (b"rail.width: 1\nrail: {width: 2}\n", r"rail: .*|width is there twice"),
        (b"steps: 3\nsteps.more: 1\n", "expected steps to be a section for steps.more"),
    ):
        bad.write_bytes(text)
        with pytest.raises(ConfigError, match=message):
            load_config(TrainConfig, bad)
    with pytest.raises(ConfigError, match="readable YAML file"):
        load_config(TrainConfig, tmp_path / "absent.yaml")


def test_keys_of_a_file_may_be_dotted_as_overrides_are(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("constraints.kl_budget.target: 0.1\nconstraints:\n  kl_budget: {eta: 0.5}\nrail: {}\n")
    target = load_config(TrainConfig, path, ["rail.width=40"]).constraints.kl_budget
    assert (target.target, target.eta) == (0.1, 0.5)


def test_a_key_without_a_default_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"expected data=VALUE and output=VALUE, got nothing") as caught:
        load_config(WorldTrainConfig)
    assert caught.value.field == "data"
