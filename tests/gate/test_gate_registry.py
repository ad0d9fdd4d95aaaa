"""One complete live version at any instant, and nothing accepted that was not written here."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from builderbrain.errors import (
    CheckpointError,
    ConfigError,
    RegistryBusyError,
    TamperedVersionError,
    VersionNotFoundError,
)
from builderbrain.gate.registry import Registry
from builderbrain.storage import exclusive_lock

MakeRail = Callable[[str], Path]
Evaluated = Callable[..., None]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "versions")


@pytest.fixture
def two(registry: Registry, make_rail: MakeRail, evaluated: Evaluated) -> tuple[Registry, str, str]:
    """A registry with `first` live and `second` evaluated well."""
    first, second = registry.add(make_rail("first")), registry.add(make_rail("second"))
    registry.promote(first, expected_live=None)
    evaluated(registry, second)
    return registry, first, second


def test_reading_an_empty_registry_creates_nothing(registry: Registry) -> None:
    assert registry.live() is None
    assert registry.list() == ()
    assert registry.versions() == ()
    assert registry.audit_entries() == ()
    with pytest.raises(VersionNotFoundError, match="promote one first"):
        registry.live_path()
    assert not registry.root.exists()


def test_ids_follow_the_content(registry: Registry, make_rail: MakeRail) -> None:
    first = registry.add(make_rail("first"), information={"data_sha256": "ab"})
    assert registry.add(make_rail("second")) != first
    assert registry.add(registry.root.parent / "rails" / "first") == first
    assert len(registry.versions()) == 2
    manifest = registry.verify(first)
    assert manifest.information == {"seed": 7, "data_sha256": "ab", "parent": None}
    assert stat.S_IMODE((registry.root / ".key").stat().st_mode) == 0o600


def test_promote_rollback_and_list(two: tuple[Registry, str, str]) -> None:
    registry, first, second = two
    assert registry.promote(second, expected_live=first).previous == (first,)
    assert registry.live_path() == registry.root / second
    rows = {row.version: row for row in registry.list()}
    assert rows[second].live
    assert rows[second].verdict == "promote"
    assert not rows[first].live
    back = registry.rollback(expected_live=second)
    assert (back.version, back.previous, back.sequence) == (first, (), 3)
    with pytest.raises(VersionNotFoundError, match="go back"):
        registry.rollback()
    events = [entry.event for entry in registry.audit_entries()]
    assert events == [
        *["added", "added", "promoting", "promoted", "attempt", "evaluated"],
        *["promoting", "promoted", "rolling back", "rolled back"],
    ]
    assert registry.audit_entries()[2].details["bootstrap"] is True
    assert registry.audit_entries()[6].details["bootstrap"] is False
    assert len(registry.audit_entries()[6].details["report_sha256"]) == 64


def test_nothing_is_promoted_without_a_promoting_report(registry: Registry, make_rail: MakeRail, evaluated: Evaluated) -> None:
    first, second = registry.add(make_rail("first")), registry.add(make_rail("second"))
    registry.promote(first, expected_live=None)
    with pytest.raises(ConfigError, match="no report"):
        registry.promote(second, expected_live=first)
    evaluated(registry, second, delta=0.5)
    with pytest.raises(ConfigError, match="is reject"):
        registry.promote(second, expected_live=first)
    assert registry.live_path().name == first


def test_a_report_must_fit_its_readings_its_try_and_live(
    two: tuple[Registry, str, str], make_rail: MakeRail, evaluated: Evaluated
) -> None:
    registry, first, second = two
    report = registry.report(second)
    assert report is not None
    with pytest.raises(ConfigError, match="stored verdict"):
        registry.record_report({**report, "verdict": {**report["verdict"], "decision": "reject"}})
    third = registry.add(make_rail("third"))
    with pytest.raises(ConfigError, match="not announced"):
        registry.record_report({**report, "candidate": third})
    evaluated(registry, third)
    registry.promote(second, expected_live=first)
    with pytest.raises(ConfigError, match="evaluate again"):
        registry.promote(third, expected_live=second)


def test_compare_and_swap(two: tuple[Registry, str, str]) -> None:
    registry, first, second = two
    for wrong in (None, second):
        with pytest.raises(RegistryBusyError, match="read it again"):
            registry.promote(second, expected_live=wrong)
    registry.promote(second, expected_live=first)
    with pytest.raises(RegistryBusyError):
        registry.rollback(expected_live=first)
    with pytest.raises(ConfigError, match="live already"):
        registry.promote(second, expected_live=second)


def test_a_second_promoter_is_told_to_wait(two: tuple[Registry, str, str]) -> None:
    registry, first, second = two
    with exclusive_lock(registry.root / ".lock"):
        for change in (lambda: registry.promote(second, expected_live=first), registry.rollback):
            with pytest.raises(RegistryBusyError, match="another process holds"):
                change()
        assert registry.live_path().name == first
    registry.promote(second, expected_live=first)


@pytest.mark.parametrize("name", ["rail.safetensors", "config.json", "manifest.json", "signature"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "link"])
def test_a_tampered_version_is_refused(two: tuple[Registry, str, str], name: str, damage: str) -> None:
    registry, first, second = two
    path = registry.root / second / name
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "truncate":
        path.write_bytes(content[:-1])
    else:
        path.unlink()
    if damage == "link" and name in ("rail.safetensors", "config.json"):
        path.symlink_to(registry.root / first / name)
    with pytest.raises(TamperedVersionError) as caught:
        registry.promote(second, expected_live=first)
    assert caught.value.field == name
    assert registry.live_path().name == first
    assert isinstance(registry.verify_all()[second], TamperedVersionError)
    assert next(row for row in registry.list() if row.version == second).fault is not None


def test_a_version_of_another_registry_or_under_another_name_is_refused(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    registry, first, second = two
    other = Registry(tmp_path / "other")
    shutil.copytree(registry.root / second, tmp_path / "rails" / "copy")
    assert other.add(tmp_path / "rails" / "copy") == second
    shutil.rmtree(registry.root / second)
    shutil.copytree(other.root / second, registry.root / second)
    with pytest.raises(TamperedVersionError, match="not of this registry"):
        registry.verify(second)
    shutil.copytree(registry.root / first, registry.root / ("0" * 16))
    with pytest.raises(TamperedVersionError, match="holds the files of"):
        registry.verify("0" * 16)


def test_a_forged_pointer_or_report_is_refused(two: tuple[Registry, str, str]) -> None:
    registry, first, second = two
    pointer, report = registry.root / "live", registry.root / "reports" / f"{second}.json"
    good = pointer.read_bytes()
    pointer.write_bytes(good.replace(first.encode(), second.encode()))
    with pytest.raises(TamperedVersionError, match="signature"):
        registry.live_path()
    pointer.write_bytes(report.read_bytes())
    with pytest.raises(TamperedVersionError, match="signature"):
        registry.live()
    pointer.write_bytes(good[:20])
    with pytest.raises(TamperedVersionError, match="torn"):
        registry.live()
    pointer.write_bytes(good)
    stored = json.loads(report.read_bytes())
    stored["value"]["limits"]["harm_rate"] = 0.9
    report.write_text(json.dumps(stored))
    with pytest.raises(TamperedVersionError):
        registry.promote(second, expected_live=first)
    assert registry.live_path().name == first


def test_a_deleted_or_older_pointer_opens_no_back_door(two: tuple[Registry, str, str], make_rail: MakeRail) -> None:
    registry, first, second = two
    pointer = registry.root / "live"
    old = pointer.read_bytes()
    pointer.unlink()
    with pytest.raises(TamperedVersionError, match="restore"):
        registry.promote(second, expected_live=None)
    pointer.write_bytes(old)
    registry.promote(second, expected_live=first)
    pointer.write_bytes(old)
    assert isinstance(registry.verify_all()["live"], TamperedVersionError)
    with pytest.raises(TamperedVersionError, match="at move 1, but the audit log at 2"):
        registry.add(make_rail("third"))


def test_an_older_report_put_back_is_refused(two: tuple[Registry, str, str], evaluated: Evaluated) -> None:
    registry, first, second = two
    path = registry.root / "reports" / f"{second}.json"
    good = path.read_bytes()
    evaluated(registry, second, delta=0.5)
    path.write_bytes(good)
    with pytest.raises(TamperedVersionError, match="not the last one recorded"):
        registry.promote(second, expected_live=first)


def test_a_version_rolled_back_needs_a_new_evaluation(two: tuple[Registry, str, str], evaluated: Evaluated) -> None:
    registry, first, second = two
    registry.promote(second, expected_live=first)
    registry.rollback()
    with pytest.raises(ConfigError, match="evaluate again"):
        registry.promote(second, expected_live=first)
    evaluated(registry, second)
    assert registry.promote(second, expected_live=first).previous == (first,)


def test_rollback_skips_a_damaged_version(registry: Registry, make_rail: MakeRail, evaluated: Evaluated) -> None:
    versions = [registry.add(make_rail(name)) for name in ("a", "b", "c")]
    registry.promote(versions[0], expected_live=None)
    for before, version in pairwise(versions):
        evaluated(registry, version)
        registry.promote(version, expected_live=before)
    (registry.root / versions[1] / "config.json").write_bytes(b"x")
    assert registry.rollback().version == versions[0]
    assert versions[1] in registry.audit_entries()[-1].details["skipped"]


def test_the_last_versions_stay_and_old_candidates_go(registry: Registry, make_rail: MakeRail, evaluated: Evaluated) -> None:
    versions = [registry.add(make_rail(f"v{number}")) for number in range(7)]
    for index, version in enumerate(versions):
        os.utime(registry.root / version, (index, index))
    registry.promote(versions[0], expected_live=None)
    assert set(registry.versions()) == {versions[0], *versions[4:]}
    for before, version in ((versions[0], versions[4]), (versions[4], versions[5])):
        evaluated(registry, version)
        registry.promote(version, expected_live=before)
    live = registry.live()
    assert live is not None
    assert live.previous == (versions[4], versions[0])
    assert registry.verify_all() == dict.fromkeys([*registry.versions(), "live", "audit"])


@pytest.mark.parametrize("bad", ["missing folder", "missing file", "link", "pickle", "torn"])
def test_a_folder_that_is_no_rail_is_refused(registry: Registry, make_rail: MakeRail, tmp_path: Path, bad: str) -> None:
    folder = make_rail("first")
    if bad == "missing folder":
        folder = tmp_path / "nowhere"
    elif bad == "torn":
        (folder / "rail.safetensors").write_bytes(b"short")
    else:
        (folder / "manifest.json").unlink()
        if bad == "missing file":
            (folder / "config.json").unlink()
        elif bad == "link":
            (folder / "extra.json").symlink_to("/etc/hostname")
        else:
            (folder / "weights.pkl").write_bytes(b"")
    with pytest.raises((ConfigError, CheckpointError)) as caught:
        registry.add(folder)
    assert caught.value.field is not None
    assert registry.versions() == ()


@pytest.mark.parametrize("name", ["..", "../versions", "", "0" * 16, "live", "reports"])
def test_unknown_versions_and_path_tricks_are_refused(two: tuple[Registry, str, str], name: str) -> None:
    registry, first, _ = two
    with pytest.raises(VersionNotFoundError, match=first):
        registry.verify(name)


def test_a_lost_or_public_key_is_refused(two: tuple[Registry, str, str]) -> None:
    registry, _, second = two
    key = registry.root / ".key"
    key.chmod(0o644)
    with pytest.raises(TamperedVersionError, match="private"):
        registry.verify(second)
    key.unlink()
    with pytest.raises(TamperedVersionError, match="restore"):
        registry.rollback()
    assert not key.exists()
