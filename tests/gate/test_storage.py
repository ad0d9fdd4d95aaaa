"""Files are whole or absent, whatever fails in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import CheckpointError, RegistryBusyError, TamperedVersionError
from builderbrain.storage import (
    canonical_json,
    declare_fail_points,
    exclusive_lock,
    fail_point,
    fail_point_hook,
    fail_points,
    read_verified_directory,
    remove_stale,
    write_atomic,
    write_directory_atomic,
)

FILES = {"weights.bin": bytes(range(256)) * 8, "state.json": b"{}", "log.txt": lambda path: path.write_text("hello") and None}


class Crash(BaseException):
    """Stands for the death of the process: nothing may catch it."""


def test_round_trip_and_information(tmp_path: Path) -> None:
    written = write_directory_atomic(tmp_path / "a", FILES, information={"step": 3})
    read = read_verified_directory(tmp_path / "a")
    assert read == written
    assert read.information["step"] == 3
    assert set(read.files) == set(FILES)
    assert read.content_hash() == write_directory_atomic(tmp_path / "b", FILES).content_hash()


def test_every_single_byte_flip_and_truncation_is_detected(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_directory_atomic(target, FILES, information={"step": 3})
    for path in sorted(target.iterdir()):
        original = path.read_bytes()
        for position in range(0, len(original), max(1, len(original) // 20)):
            broken = bytearray(original)
            broken[position] ^= 1
            path.write_bytes(broken)
            with pytest.raises(TamperedVersionError) as caught:
                read_verified_directory(target, error=TamperedVersionError)
            assert caught.value.field is not None
            path.write_bytes(original[:position])
            with pytest.raises(CheckpointError):
                read_verified_directory(target)
        path.write_bytes(original)
    read_verified_directory(target)


def test_missing_extra_and_linked_files_are_named(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_directory_atomic(target, FILES)
    (target / "extra").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        read_verified_directory(target)
    assert caught.value.field == "extra"
    read_verified_directory(target, ignore=frozenset({"extra"}))
    (target / "extra").unlink()
    (target / "state.json").rename(tmp_path / "state.json")
    with pytest.raises(CheckpointError, match="missing"):
        read_verified_directory(target)
    (target / "state.json").symlink_to(tmp_path / "state.json")
    with pytest.raises(CheckpointError, match="regular"):
        read_verified_directory(target)


def test_what_is_there_in_place_of_a_written_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "file").touch()
    for name, message in {"none": "there is no", "photos": "holds something else", "file": "holds something else"}.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            read_verified_directory(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message
        assert caught.value.field == "manifest.json"


def test_a_written_directory_is_never_changed_and_names_are_plain(tmp_path: Path) -> None:
    write_directory_atomic(tmp_path / "a", FILES)
    with pytest.raises(FileExistsError):
        write_directory_atomic(tmp_path / "a", {"x": b"1"})
    for name in ("../x", "x/y", "", "..", "manifest.json"):
        with pytest.raises(ValueError, match="plain file name"):
            write_directory_atomic(tmp_path / "b", {name: b"1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), Crash()])
def test_each_fail_point_leaves_old_or_new_never_half(tmp_path: Path, failure: BaseException) -> None:
    pointer = tmp_path / "pointer"
    hit: set[str] = set()
    for attempt in range(100):
        target = tmp_path / f"target{attempt}"
        write_atomic(pointer, b"old")
        passed = 0

        def hook(name: str, attempt: int = attempt) -> None:
            nonlocal passed
            if passed == attempt:
                hit.add(name)
                passed += 1
                raise failure
            passed += 1

        try:
            with fail_point_hook(hook):
                write_directory_atomic(target, FILES)
                write_atomic(pointer, b"new")
        except type(failure):
            assert pointer.read_bytes() in (b"old", b"new")
            if target.exists():
                read_verified_directory(target)
            assert not list(tmp_path.glob(".*.tmp"))
            continue
        assert pointer.read_bytes() == b"new"
        break
    else:
        pytest.fail("no run passed clean")
    assert hit == {name for name in fail_points() if name.startswith(("file.", "directory."))}


def test_content_is_on_disk_before_the_rename_and_the_rename_before_returning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = {"fsync": os.fsync, "replace": os.replace, "rename": os.rename}

    def fsync(descriptor: int) -> None:
        order.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name.lstrip('.').split('.')[0]}")
        real["fsync"](descriptor)

    def move(name: str) -> Callable[[Path, Path], None]:
        def record(source: Path, target: Path) -> None:
            order.append("rename")
            real[name](source, target)

        return record

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", move("replace"))
    monkeypatch.setattr(os, "rename", move("rename"))
    folder = tmp_path / "folder"
    folder.mkdir()
    write_atomic(folder / "pointer", b"1")
    assert order == ["fsync pointer", "rename", "fsync folder"]
    order.clear()
    write_directory_atomic(folder / "target", {"weights": b"1"})
    assert order == ["fsync weights", "fsync manifest", "fsync target", "rename", "fsync folder"]


def test_an_undeclared_fail_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="not declared"):
        fail_point("nowhere")
    declare_fail_points("test.somewhere")
    fail_point("test.somewhere")
    assert "test.somewhere" in fail_points()


def test_stale_temporaries_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".a.1.ff.tmp").mkdir()
    (tmp_path / ".a.1.ff.tmp" / "half").write_bytes(b"1")
    (tmp_path / ".b.1.ff.tmp").write_bytes(b"1")
    (tmp_path / "kept").write_bytes(b"1")
    assert len(remove_stale(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["kept"]


def test_the_lock_is_exclusive_and_released(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        exclusive_lock(lock),
        pytest.raises(RegistryBusyError, match="try again"),
        exclusive_lock(lock),
    ):
        pytest.fail("two holders")
    with exclusive_lock(lock):
        pass


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})
