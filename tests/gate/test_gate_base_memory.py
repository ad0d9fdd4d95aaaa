"""The base of an evaluation runs no position twice, and says what it always said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from builderbrain.gate.base_memory import SIGNED_FILE, STATES_FILE, FeatureMemory, RememberingHost
from builderbrain.gate.battery import shipped_battery
from builderbrain.gate.evaluate import evaluate
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.subject import OpenedSubjects, base_features_of, open_subjects
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.bundled import BUNDLED_RAIL


@pytest.fixture(scope="module")
def host() -> Host:
    return load_host(NANO)


def ids(*tokens: int) -> torch.Tensor:
    return torch.tensor([tokens], dtype=torch.int64)


def test_steps_rows_and_forks_agree_with_the_base(host: Host) -> None:
    base = RememberingHost(host)
    whole = host.forward(ids(5, 6, 7, 8, 9)).taps
    cache = base.new_cache()
    parts = [base.forward(ids(5, 6), cache=cache), base.forward(ids(7), cache=cache), base.forward(ids(8, 9), cache=cache)]
    for layer, expected in enumerate(whole):
        assert torch.allclose(torch.cat([part.taps[layer] for part in parts], dim=1), expected, atol=1e-4)
    assert (base.hits, base.misses) == (0, 5)
    again = base.new_cache()
    repeated = [base.forward(ids(5, 6), cache=again), base.forward(ids(7), cache=again)]
    assert (base.hits, base.misses) == (3, 5)
    assert again.run == 0
    assert all(torch.equal(a.taps[-1], b.taps[-1]) for a, b in zip(parts, repeated, strict=False))
    # Leaving the known path: the base reads all of it, and goes on from there.
    left = base.forward(ids(30, 31), cache=again)
    assert again.run == again.get_seq_length() == 5
    assert torch.allclose(left.taps[-1], host.forward(ids(5, 6, 7, 30, 31)).taps[-1][:, 3:], atol=1e-4)
    assert torch.equal(base.forward(ids(5, 6, 7, 30, 31)).taps[-1][:, 3:], left.taps[-1])


def test_what_is_full_is_run_and_not_kept(host: Host) -> None:
    base = RememberingHost(host, max_bytes=2 * 8 * 192 * 4)
    for _ in range(2):
        assert torch.allclose(base.forward(ids(5, 6, 7)).taps[-1], host.forward(ids(5, 6, 7)).taps[-1], atol=1e-4)
    assert base.misses == 6


def test_features_are_made_once_per_text(host: Host) -> None:
    asked: list[str] = []
    plain = base_features_of(host)

    def counted(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return plain(texts)

    memory = FeatureMemory(counted)  # type: ignore[arg-type]
    first = memory(["one", "two", "one"])
    assert asked == ["one", "two"]
    assert np.array_equal(memory(["two", "one"]), first[[1, 0]])
    assert len(asked) == 2


def test_a_second_evaluation_runs_the_base_for_nothing(tmp_path: Path) -> None:
    """The same live version and candidate once more, in a new process's memory: every state comes from the file."""
    registry = Registry(tmp_path / "versions")
    version = registry.add(BUNDLED_RAIL)
    battery = shipped_battery()
    few = dataclasses.replace(battery, prompts=battery.prompts[:3])

    def run(opened: OpenedSubjects) -> list[float | None]:
        observations = evaluate(
            opened.candidate,
            opened.live,
            few,
            judge=RiskJudge.load(JUDGE),
            base_features=opened.base_features,
            timeout_seconds=600,
        )
        return [observation.reading.delta for observation in observations]

    def opened() -> OpenedSubjects:
        return open_subjects(registry.root, candidate=version, live=version, base=None, max_tokens=12)

    first = opened()
    assert not first.base.load(registry, first.base_features)
    deltas = run(first)
    assert first.base.hits > first.base.misses  # candidate and live say the same: the base ran for one of them
    first.base.save(registry, first.base_features)
    second = opened()
    assert second.base.load(registry, second.base_features)
    assert run(second) == deltas
    assert (second.base.misses, second.base.base_seconds) == (0, 0.0)
    content = (registry.root / STATES_FILE).read_bytes()
    (registry.root / STATES_FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not opened().base.load(registry, FeatureMemory(lambda texts: np.zeros((len(texts), 1))))
    (registry.root / SIGNED_FILE).write_text("{}")
    assert not second.base.load(registry, second.base_features)
