"""An ingest killed, and a disk filled, at every fail point: the same command then gives the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from builderbrain.data import staging
from builderbrain.data.ingest import IngestConfig, ingest
from builderbrain.errors import DataError, RegistryBusyError
from builderbrain.signing import SigningKey
from builderbrain.storage import exclusive_lock, fail_point_hook, fail_points

OURS = ("file.", "directory.", "ingest.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, and no forcing to disk: a killed process loses nothing it has written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("builderbrain.data.ingest.PART_LINES", 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two files, of 6 and 3 lines, with a repeated row and a bad one; the groups are persons."""
    SigningKey(tmp_path / "key").create()
    folder = tmp_path / "source"
    folder.mkdir()
    texts = [f"request {number} of a{number}@x.org" for number in range(7)]
    rows = [
        {"id": str(number), "domain": "d", "group": f"a{number}@x.org", "messages": [{"role": "user", "content": text}]}
        for number, text in enumerate(texts)
    ]
    lines = [json.dumps(row) for row in rows]
    (folder / "a.jsonl").write_text("\n".join([*lines[:4], lines[0], "{torn"]) + "\n")
    (folder / "b.jsonl").write_text("\n".join(lines[4:]))
    return folder


def run(source: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    ingest(IngestConfig(inputs=(source,), output=folder / "out", key=source.parent / "key"))


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def calm(source: Path, tmp_path: Path) -> dict[str, bytes]:
    run(source, tmp_path / "calm")
    return content(tmp_path / "calm")


def points_hit(source: Path, folder: Path) -> list[str]:
    hit: list[str] = []
    with fail_point_hook(hit.append):
        run(source, folder)
    return hit


def killed(source: Path, folder: Path, at: int) -> None:
    """Run in a child that kills itself with SIGKILL at a fail point, by the number of those passed before."""
    child = os.fork()
    if child == 0:
        passed = -1

        def hook(name: str) -> None:
            nonlocal passed
            passed += 1
            if passed == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with fail_point_hook(hook):
                run(source, folder)
        finally:
            # Whatever happened, a forked child must never return into the test runner.
            os._exit(3)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_anywhere_the_same_command_gives_the_same_bytes(source: Path, tmp_path: Path, calm: dict[str, bytes]) -> None:
    hit = points_hit(source, tmp_path / "counted")
    assert set(hit) == {name for name in fail_points() if name.startswith(OURS)}
    for index in range(len(hit)):
        folder = tmp_path / f"trial{index}"
        killed(source, folder, index)
        unfinished = not (folder / "out").exists()
        assert unfinished or content(folder / "out") == {name[4:]: b for name, b in calm.items() if name.startswith("out/")}
        run(source, folder)
        assert content(folder) == calm, f"killed at {hit[index]} ({index})"
        shutil.rmtree(folder)


def test_killed_again_and_again_it_still_finishes(source: Path, tmp_path: Path, calm: dict[str, bytes]) -> None:
    folder = tmp_path / "trial"
    for _ in range(3):
        killed(source, folder, 5)
    run(source, folder)
    assert content(folder) == calm


@pytest.mark.usefixtures("calm")
def test_finished_parts_are_not_converted_again(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "trial"
    parts = [index for index, name in enumerate(points_hit(source, tmp_path / "counted")) if name == "ingest.part"]
    assert len(parts) == 3
    killed(source, folder, parts[1])
    written: list[tuple[int, int]] = []
    original = staging.Staging.write

    def write(self: staging.Staging, file: int, part: int, records: list) -> None:
        written.append((file, part))
        original(self, file, part, records)

    monkeypatch.setattr(staging.Staging, "write", write)
    run(source, folder)
    assert written == [(1, 0)]


def test_parts_of_other_inputs_are_thrown_away(source: Path, tmp_path: Path, calm: dict[str, bytes]) -> None:
    folder = tmp_path / "trial"
    original = (source / "a.jsonl").read_bytes()
    (source / "a.jsonl").write_bytes(original.replace(b"request", b"wish"))
    killed(source, folder, 14)
    assert list((folder / ".out.ingest").glob("*.part"))
    (source / "a.jsonl").write_bytes(original)
    run(source, folder)
    assert content(folder) == calm


def test_a_full_disk_is_named_and_loses_nothing(source: Path, tmp_path: Path, calm: dict[str, bytes]) -> None:
    for index in range(len(points_hit(source, tmp_path / "counted"))):
        folder = tmp_path / f"trial{index}"
        passed = -1

        def hook(name: str, index: int = index) -> None:
            nonlocal passed
            passed += 1
            if passed == index:
                raise OSError(errno.ENOSPC, "No space left on device")

        with fail_point_hook(hook), pytest.raises(DataError, match=r"No space left on device; what was finished is kept"):
            run(source, folder)
        run(source, folder)
        assert content(folder) == calm
        shutil.rmtree(folder)


def test_two_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / ".ingest.lock"), pytest.raises(RegistryBusyError, match="try again"):
        ingest(IngestConfig(inputs=(source,), output=tmp_path / "out"))
