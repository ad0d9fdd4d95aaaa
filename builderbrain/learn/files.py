"""Uploaded training files on disk, each a folder that is whole or absent:

    <uploads>/file-ID/rows.jsonl        scrubbed rows
    <uploads>/file-ID/manifest.json     digest of the rows, the client's name of the file, when it came, what was scrubbed

Names of clients are texts in a manifest; paths are made of ids, which are made here.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builderbrain.data.scrub import Scrubber
from builderbrain.errors import CheckpointError, ConflictError, OutputError, ResourceNotFoundError
from builderbrain.learn.uploads import ScrubbedRows
from builderbrain.storage import (
    TEMPORARY_SUFFIX,
    Manifest,
    fsync_path,
    read_manifest,
    read_verified_directory,
    remove_stale,
    write_directory_atomic,
)

FILE_ID = re.compile(r"file-[0-9a-f]{24}")
ROWS = "rows.jsonl"
MOST_FILES = 1000


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """One file: `num_bytes` on disk, `created_at` in seconds since the epoch, `rows` that can be trained on, values that were
    `scrubbed` by kind, and why rows were `left_out`."""

    id: str
    name: str
    num_bytes: int
    created_at: int
    rows: int
    scrubbed: Mapping[str, int]
    left_out: tuple[str, ...]


class UploadedFiles:
    """The files in `folder`; any thread may call.

    Args:
        most_bytes: of all files together.

    Raises:
        CheckpointError: a file's manifest is torn.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._lock = threading.Lock()
        self._arriving = 0  # bytes that are being written
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_stale(folder)
        found = [_file(path.name, read_manifest(path)) for path in folder.iterdir() if FILE_ID.fullmatch(path.name)]
        self._files = {file.id: file for file in sorted(found, key=lambda file: (file.created_at, file.id))}

    def add(self, name: str, rows: ScrubbedRows) -> UploadedFile:
        """Keep a file, durably. `name` is the client's; what it holds of personal data is scrubbed too.

        Raises:
            ConflictError: there is no room for it.
            OutputError: it could not be written; nothing of it is left.
        """
        size = len(rows.content)
        with self._lock:
            held = self._arriving + sum(file.num_bytes for file in self._files.values())
            if held + size > self._most_bytes or len(self._files) >= MOST_FILES:
                raise ConflictError(
                    f"file: there is room for {MOST_FILES} files of {self._most_bytes} bytes together (most_uploaded_bytes), "
                    f"{len(self._files)} of {held} bytes are kept, and this one has {size}; delete some",
                    field="file",
                )
            self._arriving += size
        identifier = f"file-{secrets.token_hex(12)}"
        information: dict[str, Any] = {
            "name": Scrubber().text(name),
            "created_at": int(time.time()),
            "rows": rows.rows,
            "scrubbed": rows.scrubbed,
            "left_out": list(rows.left_out),
        }
        try:
            manifest = write_directory_atomic(self._folder / identifier, {ROWS: rows.content}, information=information)
            made = _file(identifier, manifest)
            with self._lock:
                self._files[identifier] = made
        except OSError as error:
            raise OutputError(f"{self._folder} cannot be written ({error.strerror or error})", field="learn") from error
        finally:
            with self._lock:
                self._arriving -= size
        return made

    def all(self) -> list[UploadedFile]:
        """Newest first."""
        return list(reversed(list(self._files.values())))

    def get(self, identifier: str) -> UploadedFile:
        """One file.

        Raises:
            ResourceNotFoundError: there is none of that id.
        """
        found = self._files.get(identifier)
        if found is None:
            raise ResourceNotFoundError(f"there is no file {identifier!r:.80}; list them", field="file_id")
        return found

    def path(self, identifier: str) -> Path:
        """Where the rows of a file are.

        Raises:
            ResourceNotFoundError: there is none of that id.
        """
        return self._folder / self.get(identifier).id / ROWS

    def verify(self, identifier: str) -> None:
        """Compare a file with its digest.

        Raises:
            ResourceNotFoundError: there is none of that id.
            CheckpointError: it is not as it was written.
        """
        try:
            read_verified_directory(self.path(identifier).parent)
        except CheckpointError:
            self.get(identifier)  # deleted meanwhile
            raise

    def content(self, identifier: str) -> bytes:
        """The rows of a file; raises as `verify` does."""
        self.verify(identifier)
        try:
            return self.path(identifier).read_bytes()
        except OSError as error:
            self.get(identifier)
            raise CheckpointError(f"{identifier} cannot be read ({error.strerror or error})", field="file_id") from error

    def delete(self, identifier: str) -> None:
        """Remove a file, in one step.

        Raises:
            ResourceNotFoundError: there is none of that id.
            OutputError: it could not be removed.
        """
        with self._lock:
            folder = self._folder / self.get(identifier).id
            gone = folder.with_name(f".{folder.name}.deleted{TEMPORARY_SUFFIX}")
            try:
                os.rename(folder, gone)
                fsync_path(self._folder)
            except OSError as error:
                raise OutputError(f"{folder} cannot be removed ({error.strerror or error})", field="file_id") from error
            del self._files[identifier]
            shutil.rmtree(gone, ignore_errors=True)  # what is left of it goes at the next start


def _file(identifier: str, manifest: Manifest) -> UploadedFile:
    told = manifest.information
    try:
        return UploadedFile(
            id=identifier,
            name=told["name"],
            num_bytes=manifest.files[ROWS].size,
            created_at=told["created_at"],
            rows=told["rows"],
            scrubbed=told["scrubbed"],
            left_out=tuple(told["left_out"]),
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{identifier} is no uploaded file ({error}); remove its folder", field="learn") from error
