"""Processes killed, and disks filled, at every fail point of a promotion."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.gate.registry import Registry
from builderbrain.storage import fail_point_hook, fail_points

MakeRail = Callable[[str], Path]
Evaluated = Callable[..., None]
OURS = ("file.", "directory.", "audit.", "registry.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing it has written, so forcing to disk only costs time here; test_storage has its order."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def promotion(root: Path, rail: Path) -> None:
    """Add another candidate and promote the evaluated one, which also prunes: every kind of write the registry knows."""
    registry = Registry(root, keep=1)
    registry.add(rail)
    evaluated = next(version for version in registry.versions() if registry.report(version))
    registry.promote(evaluated, expected_live=registry.live_path().name)


def points_hit(action: Callable[[], None]) -> list[str]:
    hit: list[str] = []
    with fail_point_hook(hit.append):
        action()
    return hit


def killed_at(point: int | str, action: Callable[[], None]) -> int:
    """Run the action in a child that kills itself with SIGKILL at a fail point; its wait status.

    Args:
        point: a name, or the number of fail points passed before (from 0).
    """
    child = os.fork()
    if child == 0:
        passed = -1

        def hook(name: str) -> None:
            nonlocal passed
            passed += 1
            if point in (passed, name):
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with fail_point_hook(hook):
                action()
        finally:
            # Whatever happened, a forked child must never return into the test runner.
            os._exit(3)
    return os.waitpid(child, 0)[1]


@pytest.fixture
def template(tmp_path: Path, make_rail: MakeRail, evaluated: Evaluated) -> Path:
    """A registry with one live version, one evaluated well, and enough candidates for the next promotion to prune."""
    registry = Registry(tmp_path / "template", keep=1)
    first = registry.add(make_rail("first"))
    registry.promote(first, expected_live=None)
    evaluated(registry, registry.add(make_rail("second")))
    registry.add(make_rail("older"))
    return registry.root


def check(root: Path, allowed: set[str]) -> Registry:
    """A restart serves one complete version, and the next writer works."""
    registry = Registry(root, keep=1)
    assert registry.live_path().name in allowed
    assert set(registry.verify_all().values()) == {None}
    return registry


def test_kill_at_every_step_of_a_promotion(template: Path, tmp_path: Path, make_rail: MakeRail) -> None:
    rail = make_rail("third")
    root = tmp_path / "trial"
    shutil.copytree(template, root)
    hit = points_hit(lambda: promotion(root, rail))
    assert set(hit) == {name for name in fail_points() if name.startswith(OURS)}
    first = Registry(template).live_path().name
    second = Registry(root).live_path().name
    moved = 0
    for index in range(len(hit)):
        shutil.rmtree(root)
        shutil.copytree(template, root)
        status = killed_at(index, lambda: promotion(root, rail))
        assert os.WIFSIGNALED(status), f"{hit[index]} ({index}) was not reached: exit {os.waitstatus_to_exitcode(status)}"
        assert os.WTERMSIG(status) == signal.SIGKILL
        registry = check(root, {first, second})
        moved += registry.live_path().name == second
        if index % 5 == 0:
            live = registry.live()
            assert live is not None
            if live.version == first:
                promotion(root, rail)
                assert not list(root.glob(".*.tmp"))
            check(root, {first, second})
    assert 0 < moved < len(hit)


def test_disk_full_at_every_step_of_a_promotion(template: Path, tmp_path: Path, make_rail: MakeRail) -> None:
    rail = make_rail("third")
    root = tmp_path / "trial"
    shutil.copytree(template, root)
    total = len(points_hit(lambda: promotion(root, rail)))
    first = Registry(template).live_path().name
    for index in range(total):
        shutil.rmtree(root)
        shutil.copytree(template, root)
        passed = -1

        def hook(name: str, index: int = index) -> None:
            nonlocal passed
            passed += 1
            if passed == index:
                raise OSError(errno.ENOSPC, "No space left on device")

        with fail_point_hook(hook), pytest.raises(OSError, match="No space left"):
            promotion(root, rail)
        registry = Registry(root, keep=1)
        registry.live_path()
        assert set(registry.verify_all().values()) == {None}
        live = registry.live()
        assert live is not None
        assert live.version == first or live.previous == (first,)


def test_kill_before_the_first_version_ever(tmp_path: Path, make_rail: MakeRail) -> None:
    rail = make_rail("first")

    def bootstrap(root: Path) -> None:
        registry = Registry(root)
        registry.promote(registry.add(rail), expected_live=None)

    hit = points_hit(lambda: bootstrap(tmp_path / "calm"))
    version = Registry(tmp_path / "calm").live_path().name
    for index in range(len(hit)):
        root = tmp_path / f"trial{index}"
        status = killed_at(index, lambda root=root: bootstrap(root))  # type: ignore[misc]
        assert os.WIFSIGNALED(status)
        registry = Registry(root)
        if registry.live() is None:
            bootstrap(root)
        assert registry.live_path().name == version
        assert set(registry.verify_all().values()) == {None}


def test_what_a_crash_left_open_is_settled_in_the_log(template: Path, make_rail: MakeRail) -> None:
    rail = make_rail("third")

    def until(name: str) -> None:
        assert os.WIFSIGNALED(killed_at(name, lambda: promotion(template, rail)))

    until("registry.promoting")
    registry = Registry(template, keep=1)
    assert registry.audit_entries()[-1].event == "promoting"
    registry.begin_attempt(registry.versions()[0])
    settled = next(entry for entry in registry.audit_entries() if entry.event == "recovered")
    assert settled.details["moved"] is False
    until("registry.moved")
    registry.begin_attempt(registry.live_path().name)
    settled = [entry for entry in registry.audit_entries() if entry.event == "recovered"][-1]
    assert settled.details["moved"] is True
    assert settled.details["live"] == registry.live_path().name
