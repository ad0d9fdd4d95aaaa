"""What goes wrong around an evaluation or a promotion: each ends with one complete live version and a record of it.

Kills and full disks at every single write are in `test_gate_crash`; here is the rest.
"""

from __future__ import annotations

import datetime as real
import errno
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import (
    BatteryError,
    BuilderBrainError,
    ConfigError,
    JudgeError,
    RegistryBusyError,
    TamperedVersionError,
)
from builderbrain.gate import audit, commands
from builderbrain.gate.__main__ import parser
from builderbrain.gate.battery import prompt_hash, shipped_battery
from builderbrain.gate.registry import Registry
from builderbrain.storage import fail_point_hook
from tests.gate.conftest import report_of

Evaluated = Callable[..., None]
MakeRail = Callable[[str], Path]


@pytest.fixture
def registry(tmp_path: Path, make_rail: MakeRail) -> Registry:
    """One live version and one candidate."""
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(make_rail("live")), expected_live=None)
    registry.add(make_rail("candidate"))
    return registry


def candidate_of(registry: Registry) -> str:
    live = registry.live()
    assert live is not None
    return next(version for version in registry.versions() if version != live.version)


def check_whole(registry: Registry, live: str, event: str) -> dict[str, Any]:
    """One complete live version that a restart serves, and the last record says what happened."""
    fresh = Registry(registry.root)
    assert fresh.live_path().name == live
    assert set(fresh.verify_all().values()) == {None}
    entry = fresh.audit_entries()[-1]
    assert entry.event == event
    return dict(entry.details)


def evaluation(registry: Registry, monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    """The evaluate command, as far as it gets without a base: every fault here is found before one is loaded."""
    monkeypatch.setattr(commands, "_version", lambda registry, target: target)
    monkeypatch.setattr(commands, "_domain_of", lambda folder: "repo_assistant")
    arguments = ["--registry", registry.root, "evaluate", candidate_of(registry), *options]
    commands.evaluate_candidate(parser().parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        (("--battery", "nowhere.jsonl"), BatteryError, "battery"),
        (("--judge", "nowhere"), JudgeError, "judge"),
        (("--limits", "nowhere.json"), ConfigError, "--limits"),
    ],
)
def test_a_missing_battery_judge_or_limits_is_refused_and_recorded(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], error: type[BuilderBrainError], field: str
) -> None:
    live = registry.live_path().name
    with pytest.raises(error):
        evaluation(registry, monkeypatch, *options)
    details = check_whole(registry, live, "refused")
    assert (details["version"], details["field"]) == (candidate_of(registry), field)
    assert details["reason"]


def test_battery_prompts_in_the_training_data_refuse_the_run(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live = registry.live_path().name
    leaked = tmp_path / "data.jsonl"
    leaked.write_text(json.dumps({"prompt": shipped_battery().prompts[3].prompt.upper()}) + "\n")
    with pytest.raises(BatteryError, match="1 battery prompts are in the training data"):
        evaluation(registry, monkeypatch, "--training-data", leaked)
    assert check_whole(registry, live, "refused")["field"] == "training_data"
    assert prompt_hash("A  b") == prompt_hash("a B")


def test_a_judge_of_another_base_is_refused_and_recorded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    import numpy as np

    from builderbrain.gate import subject

    class Elsewhere:
        def load(self, registry: Registry, memory: object) -> bool:
            return False

    other = SimpleNamespace(base=Elsewhere(), base_features=lambda texts: np.ones((len(texts), 192)))
    monkeypatch.setattr(subject, "open_subjects", lambda *arguments, **options: other)
    live = registry.live_path().name
    with pytest.raises(JudgeError, match="run train-judge"):
        evaluation(registry, monkeypatch)
    assert check_whole(registry, live, "refused")["field"] == "judge"
    assert not any(entry.event == "attempt" for entry in registry.audit_entries())  # no alpha is spent on it


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), None])
def test_metrics_that_are_not_finite_are_harm(registry: Registry, broken: float | None) -> None:
    live, version = registry.live_path().name, candidate_of(registry)
    report = report_of(version, live, registry.begin_attempt(version), delta=broken)  # type: ignore[arg-type]
    assert report["verdict"]["decision"] == "reject"
    if broken is None:
        registry.record_report(report)
        check_whole(registry, live, "evaluated")
    else:
        # A NaN cannot even be written down: readings hold None instead, and what slips through is refused.
        with pytest.raises((ValueError, ConfigError)):
            registry.record_report(report)
        check_whole(registry, live, "attempt")
    with pytest.raises(ConfigError):
        registry.promote(version, expected_live=live)
    check_whole(registry, live, "evaluated" if broken is None else "attempt")


@pytest.mark.parametrize("jump", [-400, 400])
def test_a_clock_that_jumps_changes_no_order(
    registry: Registry, make_rail: MakeRail, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    first, second = registry.live_path().name, candidate_of(registry)

    class Jumped(real.datetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> real.datetime:  # type: ignore[override]
            return real.datetime.now(tz) + real.timedelta(days=jump)

    monkeypatch.setattr(audit, "datetime", Jumped)
    monkeypatch.setattr(time, "time", lambda: 1e9 + jump)
    evaluated(registry, second)
    registry.promote(second, expected_live=first)
    details = check_whole(registry, second, "promoted")
    assert details["from"] == first
    entries = registry.audit_entries()
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert (entries[-1].time < entries[0].time) == (jump < 0)
    # Which candidates go is settled by the log, whatever the files' times say.
    few = Registry(registry.root, keep=1)
    old, new = few.add(make_rail("old")), few.add(make_rail("new"))
    os.utime(few.root / old, (3e9, 3e9))
    os.utime(few.root / new, (1e9, 1e9))
    few.rollback()
    third = few.add(make_rail("third"))
    evaluated(few, third)
    few.promote(third, expected_live=first)
    assert new in few.versions()
    assert old not in few.versions()


def _promoter(root: Path, version: str, live: str, start: Any, results: Any) -> None:
    start.wait()
    try:
        Registry(root).promote(version, expected_live=live)
        results.put("promoted")
    except RegistryBusyError:
        results.put("busy")
    except ConfigError:
        results.put("refused")


def test_two_promoters_at_once(registry: Registry, make_rail: MakeRail, evaluated: Evaluated) -> None:
    live, one = registry.live_path().name, candidate_of(registry)
    two = registry.add(make_rail("another"))
    for version in (one, two):
        evaluated(registry, version)
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    workers = [context.Process(target=_promoter, args=(registry.root, v, live, start, results)) for v in (one, two)]
    for worker in workers:
        worker.start()
    start.set()
    found = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert found.count("promoted") == 1
    winner = registry.live_path().name
    assert check_whole(registry, winner, "promoted")["version"] == winner
    assert sum(entry.event == "promoted" for entry in registry.audit_entries()) == 2  # the first version, and one of the two


def test_a_killed_promoter_leaves_a_record_for_the_next(registry: Registry, evaluated: Evaluated) -> None:
    live, version = registry.live_path().name, candidate_of(registry)
    evaluated(registry, version)
    child = os.fork()
    if child == 0:
        try:
            with fail_point_hook(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "registry.moved" else None):
                registry.promote(version, expected_live=live)
        finally:
            os._exit(3)
    os.waitpid(child, 0)
    assert Registry(registry.root).live_path().name == version
    registry.record_refusal(version, field=None, reason="the next writer")
    recovered = registry.audit_entries()[-2]
    assert (recovered.event, recovered.details["moved"]) == ("recovered", True)
    check_whole(registry, version, "refused")


def test_a_full_disk_refuses_the_promotion_and_the_next_one_works(registry: Registry, evaluated: Evaluated) -> None:
    live, version = registry.live_path().name, candidate_of(registry)
    evaluated(registry, version)

    def full(name: str) -> None:
        if name == "file.before_write":
            raise OSError(errno.ENOSPC, "no space left on device")

    with fail_point_hook(full), pytest.raises(OSError, match="no space"):
        registry.promote(version, expected_live=live)
    assert Registry(registry.root).live_path().name == live
    registry.promote(version, expected_live=live)
    check_whole(registry, version, "promoted")


@pytest.mark.parametrize("name", ["rail.safetensors", "config.json", "manifest.json", "signature"])
def test_a_tampered_candidate_never_goes_live(registry: Registry, evaluated: Evaluated, name: str) -> None:
    live, version = registry.live_path().name, candidate_of(registry)
    evaluated(registry, version)
    path = registry.root / version / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(TamperedVersionError):
        registry.promote(version, expected_live=live)
    assert Registry(registry.root).live_path().name == live
    assert registry.verify_all()[version] is not None
    registry.record_refusal(version, field=name, reason="tampered")
    assert registry.audit_entries()[-1].event == "refused"
