"""Files that are whole or absent: the one place where checkpoints, versions and pointers are written.

The rule is "new directory, then switch a pointer": everything is written to a temporary name beside its target, forced to
disk, described by a manifest of digests that is written last, and renamed. A reader therefore sees the old state or the
new one; what a crash leaves behind is a temporary name that `remove_stale` sweeps up, and what bit rot or a torn write
leaves is a digest that does not match.

Fail points are named places at which a test may stop the process or raise an error. They do nothing unless a test
installs a hook, and an undeclared name is an error, so that `fail_points()` enumerates all of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builderbrain.errors import BuilderBrainError, CheckpointError, RegistryBusyError

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "signature"
MANIFEST_FORMAT = "builderbrain-directory-1"
TEMPORARY_SUFFIX = ".tmp"
FileSource = bytes | Callable[[Path], None]
"""The content of a file, or a function that writes it to the path it is given (safetensors' `save_file`)."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """Digest (sha256, hexadecimal) and length of one file."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a directory holds: its files, and `information` its writer added (parent, step, seeds, ...)."""

    files: Mapping[str, FileEntry]
    information: Mapping[str, Any] = field(default_factory=dict)

    def content_hash(self) -> str:
        """sha256 over names and digests of the files; equal content gives an equal hash, whatever `information` says."""
        lines = "".join(f"{entry.sha256}  {name}\n" for name, entry in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """Canonical JSON, one byte string per manifest, with a digest over itself."""
        files = {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in self.files.items()}
        body = {"format": MANIFEST_FORMAT, "files": files, "information": dict(self.information)}
        return canonical_json({**body, "digest": hashlib.sha256(canonical_json(body)).hexdigest()})


# --- fail points ---------------------------------------------------------------------------------------------------

_declared: set[str] = set()
_hook: Callable[[str], None] | None = None


def declare_fail_points(*names: str) -> None:
    """Announce fail points; called once at module level by the module that contains them."""
    _declared.update(names)


def fail_points() -> tuple[str, ...]:
    """All declared names of the imported modules, sorted."""
    return tuple(sorted(_declared))


def fail_point(name: str) -> None:
    """A place where a test may intervene; does nothing otherwise.

    Raises:
        ValueError: the name was not declared.
    """
    if name not in _declared:
        raise ValueError(f"fail point {name!r} is not declared; expected one of {fail_points()}")
    if _hook is not None:
        _hook(name)


@contextmanager
def fail_point_hook(hook: Callable[[str], None]) -> Iterator[None]:
    """For tests: call `hook(name)` at every fail point inside the block; it may raise or kill the process."""
    global _hook
    previous, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = previous


declare_fail_points(
    "file.before_write",
    "file.after_write",
    "file.before_rename",
    "file.after_rename",
    "directory.before_file",
    "directory.after_file",
    "directory.before_manifest",
    "directory.before_rename",
    "directory.after_rename",
)


# --- primitives ----------------------------------------------------------------------------------------------------


def canonical_json(value: object) -> bytes:
    """JSON on one line with sorted keys and a final newline; NaN and infinity are refused with ValueError."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256_file(path: Path) -> str:
    """sha256 of a file's bytes, hexadecimal, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fsync_path(path: Path) -> None:
    """Force a file or a directory's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def remove_stale(folder: Path, *, target: str = "*") -> tuple[str, ...]:
    """Delete what crashed writers left in `folder`; call it while holding the folder's lock. Returns the names removed.

    Args:
        target: glob of the names that were being written; says which of a folder's temporary files are the caller's own.
    """
    removed = []
    for path in sorted(folder.glob(f".{target}.*{TEMPORARY_SUFFIX}")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        removed.append(path.name)
    return tuple(removed)


def check_writable(folder: Path) -> None:
    """Make and remove an empty folder where `folder` is, or would be made.

    Raises:
        OSError: nothing can be written there.
    """
    place = folder.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    probe = _temporary_beside(place / "probe")
    probe.mkdir()
    with suppress(FileNotFoundError):  # swept up by another process's `remove_stale`
        probe.rmdir()


def set_aside(path: Path) -> Path:
    """Rename a file or folder to the first free name beside it, so that its own is free; returns the new path.

    Raises:
        OSError: its folder cannot be written.
    """
    number = 1
    while os.path.lexists(target := path.with_name(f"{path.name}.set-aside-{number}")):
        number += 1
    os.rename(path, target)
    return target


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on `path` (created when missing). The kernel drops it when the process dies.

    Raises:
        RegistryBusyError: another process or thread holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RegistryBusyError(
                f"expected {path} to be free, but another process holds it; try again when it is done"
            ) from error
        yield
    finally:
        os.close(descriptor)


# --- whole files and whole directories -----------------------------------------------------------------------------


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `content` in one step, durable when it returns.

    Raises:
        OSError: the write failed (disk full, ...); `path` is as it was and no temporary file is left.
    """
    temporary = _temporary_beside(path)
    try:
        fail_point("file.before_write")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            fail_point("file.after_write")
            os.fsync(file.fileno())
        fail_point("file.before_rename")
        os.replace(temporary, path)
        fail_point("file.after_rename")
        fsync_path(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_directory_atomic(
    target: Path,
    files: Mapping[str, FileSource],
    *,
    information: Mapping[str, Any] | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> Manifest:
    """Create the directory `target` with all `files` and a manifest, in one step, durable when it returns.

    Args:
        target: must not exist yet; its parent must.
        files: plain file names (no folders) to contents.
        information: JSON values for the manifest.
        sign: makes the content of a file `signature` from the manifest's bytes.

    Raises:
        FileExistsError: `target` exists; a written directory is never changed.
        ValueError: a name is not a plain file name, or `information` is not JSON.
        OSError: a write failed; `target` does not exist and nothing is left beside it.
    """
    for name in files:
        if name != Path(name).name or name in {"", ".", "..", MANIFEST_NAME, SIGNATURE_NAME}:
            raise ValueError(f"expected a plain file name other than {MANIFEST_NAME} and {SIGNATURE_NAME}, got {name!r}")
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists; choose a new name, a written directory is never changed")
    temporary = _temporary_beside(target)
    renamed = False
    try:
        temporary.mkdir()
        entries = {}
        for name, source in files.items():
            fail_point("directory.before_file")
            path = temporary / name
            if isinstance(source, bytes):
                path.write_bytes(source)
            else:
                source(path)
            fail_point("directory.after_file")
            fsync_path(path)
            entries[name] = FileEntry(sha256=sha256_file(path), size=path.stat().st_size)
        manifest = Manifest(files=entries, information=dict(information or {}))
        fail_point("directory.before_manifest")
        content = manifest.to_bytes()
        if sign is not None:
            (temporary / SIGNATURE_NAME).write_bytes(sign(content))
            fsync_path(temporary / SIGNATURE_NAME)
        (temporary / MANIFEST_NAME).write_bytes(content)
        fsync_path(temporary / MANIFEST_NAME)
        fsync_path(temporary)
        fail_point("directory.before_rename")
        os.rename(temporary, target)
        renamed = True
        fail_point("directory.after_rename")
        fsync_path(target.parent)
    except BaseException:
        # After the rename the directory is whole; only its durability is unsure, and removing it would be worse.
        if not renamed:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return manifest


def read_manifest(path: Path, *, error: type[BuilderBrainError] = CheckpointError) -> Manifest:
    """The manifest of a directory, without looking at the files.

    Raises:
        error: the manifest is missing, torn, or not in canonical form.
    """
    manifest_path = path / MANIFEST_NAME
    try:
        content = manifest_path.read_bytes()
    except OSError as cause:
        if not path.exists():
            found = f"there is no {path}; mend the name"
        elif isinstance(cause, FileNotFoundError | NotADirectoryError):
            found = f"{path} holds something else; name a folder that was written whole"
        else:
            found = f"it cannot be read: {cause.strerror}"
        raise error(f"expected {manifest_path}, but {found}", field=MANIFEST_NAME) from cause
    try:
        value = json.loads(content)
        if value["format"] != MANIFEST_FORMAT:
            raise ValueError(f"format {value['format']!r} is not {MANIFEST_FORMAT!r}")
        files = {
            str(name): FileEntry(sha256=str(entry["sha256"]), size=int(entry["size"])) for name, entry in value["files"].items()
        }
        manifest = Manifest(files=files, information=dict(value["information"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise error(f"{manifest_path} is torn or foreign ({cause}); use another copy", field=MANIFEST_NAME) from cause
    if manifest.to_bytes() != content:
        raise error(f"{manifest_path} was altered: its digest does not match; use another copy", field=MANIFEST_NAME)
    return manifest


def read_verified_directory(
    path: Path, *, error: type[BuilderBrainError] = CheckpointError, ignore: frozenset[str] = frozenset()
) -> Manifest:
    """Check every file of a directory against its manifest.

    Args:
        path: a directory made by `write_directory_atomic`.
        error: class raised on a mismatch.
        ignore: names that may lie beside the listed files.

    Raises:
        error: a file is missing, torn, altered, a link, or not listed; `field` is its name.
    """
    manifest = read_manifest(path, error=error)
    extra = {entry.name for entry in os.scandir(path)} - set(manifest.files) - {MANIFEST_NAME} - ignore
    if extra:
        name = min(extra)
        raise error(f"{path / name} is not listed in the manifest; expected {sorted(manifest.files)}", field=name)
    for name, entry in manifest.files.items():
        file = path / name
        try:
            status = file.lstat()
        except OSError as cause:
            raise error(f"{file} is missing ({cause.strerror}); use another copy", field=name) from cause
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{file} is not a regular file; use another copy", field=name)
        if status.st_size != entry.size:
            raise error(f"{file} is torn: expected {entry.size} bytes, got {status.st_size}; use another copy", field=name)
        digest = sha256_file(file)
        if digest != entry.sha256:
            raise error(f"{file} was altered: expected sha256 {entry.sha256}, got {digest}; use another copy", field=name)
    return manifest
