"""An evaluation on a pretended CUDA device: subjects in their threads, divergences and the judge's states."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from builderbrain.gate.battery import shipped_battery
from builderbrain.gate.evaluate import evaluate
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.subject import open_subjects
from builderbrain.rail.bundled import BUNDLED_RAIL
from tests.simulated_device import CUDA

pytestmark = pytest.mark.usefixtures("pretended_cuda")


def test_two_versions_are_observed_on_the_device(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "versions")
    version = registry.add(BUNDLED_RAIL)
    opened = open_subjects(registry.root, candidate=version, live=version, base=None, max_tokens=16)
    assert opened.live._model.pair.host.device == CUDA
    battery = shipped_battery()
    one = dataclasses.replace(battery, prompts=battery.prompts[:1])
    observations = evaluate(
        opened.candidate, opened.live, one, judge=RiskJudge.load(JUDGE), base_features=opened.base_features, timeout_seconds=600
    )
    (observation,) = observations
    assert observation.reading.fault is None
    assert observation.reading.kl == 0.0
    assert observation.reading.delta == 0.0
    assert observation.difference is not None
    assert math.isfinite(observation.difference)
