"""Where cached states lie: in memory, in a folder, or both. Each is bounded in bytes; the least recently used goes first."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builderbrain.hosts.state_rows import RowStates, from_bytes, to_bytes
from builderbrain.storage import remove_stale, write_atomic

_SUFFIX = ".states"
_NAME = re.compile(rf"[0-9a-f]{{64}}{re.escape(_SUFFIX)}")


class StateStore(Protocol):
    """Rows by key, at most `bound` bytes of them."""

    name: str
    """What reports call it."""
    bound: int

    @property
    def size(self) -> int:
        """Bytes kept."""
        ...

    def get(self, key: str) -> RowStates | None:
        """The row, which then is the most recently used; None when it is not (or no longer) there."""
        ...

    def put(self, key: str, row: RowStates) -> None:
        """Keep a row; others go until it fits. One that is larger than the bound is not kept."""
        ...


class MemoryStore:
    """In the memory of the process."""

    name = "memory"

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._rows: OrderedDict[str, RowStates] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._size

    def get(self, key: str) -> RowStates | None:
        """See `StateStore`."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, key: str, row: RowStates) -> None:
        """See `StateStore`."""
        with self._lock:
            old = self._rows.pop(key, None)
            self._size -= 0 if old is None else old.size
            if row.size > self.bound:
                return
            while self._size + row.size > self.bound:
                self._size -= self._rows.popitem(last=False)[1].size
            self._rows[key] = row
            self._size += row.size


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    size: int
    used: int


class FolderStore:
    """One file a row in `folder`, for later runs too. The time of last use is the file's time of change.

    Files that are torn, altered or of another key are removed and count as absent; what is no file of states is left alone.
    Processes may share a folder: each looks at it anew before it removes anything, so that together they keep the bound.
    """

    name = "disk"

    def __init__(self, folder: Path, bound: int) -> None:
        """Open or make the folder.

        Raises:
            OSError: it cannot be made or read.
        """
        self.bound, self.folder = bound, folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale(folder, target=f"*{_SUFFIX}")
        self._lock = threading.Lock()
        self._size = sum(file.size for file in self._files())
        self._make_room(0)

    @property
    def size(self) -> int:
        """Bytes kept, as far as this process knows."""
        return self._size

    def get(self, key: str) -> RowStates | None:
        """See `StateStore`."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        try:
            row = from_bytes(content, key)
        except ValueError:
            with self._lock:
                self._remove(path, len(content))
            return None
        with suppress(OSError):  # another process may just have removed it
            os.utime(path)
        return row

    def put(self, key: str, row: RowStates) -> None:
        """See `StateStore`. A folder that cannot be written to (full, gone) keeps nothing more; its rows are recomputed."""
        content = to_bytes(row, key)
        if len(content) > self.bound:
            return
        with self._lock:
            path = self._path(key)
            self._remove(path, path.stat().st_size if path.exists() else 0)
            self._make_room(len(content))
            try:
                write_atomic(path, content)
            except OSError:
                return
            self._size += len(content)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self) -> list[_File]:
        """Files of states, least recently used first."""
        files = []
        for entry in os.scandir(self.folder):
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                files.append(_File(path=Path(entry.path), size=status.st_size, used=status.st_mtime_ns))
        return sorted(files, key=lambda file: file.used)

    def _make_room(self, wanted: int) -> None:
        if self._size + wanted <= self.bound:
            return
        files = self._files()
        self._size = sum(file.size for file in files)
        # An eighth more than needed, or a full folder would be read through at every row.
        room = min(self.bound - wanted, self.bound - self.bound // 8)
        for file in files:
            if self._size <= room:
                break
            self._remove(file.path, file.size)

    def _remove(self, path: Path, size: int) -> None:
        with suppress(OSError):  # what cannot be removed is counted again at the next look
            path.unlink(missing_ok=True)
        self._size -= size
