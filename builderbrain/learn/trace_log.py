"""An append-only log of JSON rows in a folder, bounded on disk.

    traces-00000001.jsonl, traces-00000002.jsonl, ...

A row is one line, and only whole lines count: what a crash or a full disk leaves of a line is cut off before the next one is
written. A new file begins when the last one is full; where all of them are over the bound the oldest goes.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from builderbrain.errors import ConfigError, OutputError, RegistryBusyError
from builderbrain.storage import canonical_json, declare_fail_points, exclusive_lock, fail_point, fsync_path

declare_fail_points("traces.before_line", "traces.torn_line", "traces.after_line")
MAX_ROW_BYTES = 64 * 1024
_NAME, _SUFFIX = "traces-", ".jsonl"


class TraceLog:
    """The log in `folder`, for one process; any thread may append.

    Args:
        most_bytes: of all files together.
        file_bytes: from which on a new file begins.

    Raises:
        ConfigError: the folder cannot be made, or another process has it.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 256 << 20, file_bytes: int = 8 << 20) -> None:
        self.folder = folder
        self.dropped = 0
        """Rows that could not be written."""
        self._most, self._file_bytes = most_bytes, min(file_bytes, most_bytes)
        self._lock = threading.Lock()
        self._held = ExitStack()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held.enter_context(exclusive_lock(folder / ".lock"))
        except RegistryBusyError as error:
            raise ConfigError(f"another process keeps traces in {folder}; name another --learn", field="learn") from error
        except OSError as error:
            raise ConfigError(
                f"{folder} cannot be used for traces ({error.strerror or error}); name another --learn", field="learn"
            ) from error
        numbers = self._numbers()
        self._number = numbers[-1] if numbers else 1
        if numbers:
            self._cut_torn_line(self._path(self._number))

    def close(self) -> None:
        """Let another process have the folder."""
        self._held.close()

    def append(self, row: Mapping[str, Any], *, durable: bool = False) -> None:
        """Add a row. It survives the end of this process; with `durable` that of the machine as well.

        Raises:
            OutputError: it is larger than `MAX_ROW_BYTES`, or the disk is full or gone; the log is as it was before.
        """
        line = canonical_json(row).rstrip(b"\n") + b"\n"
        with self._lock:
            try:
                if len(line) > MAX_ROW_BYTES:
                    raise OutputError(f"expected a row of at most {MAX_ROW_BYTES} bytes, got {len(line)}", field="traces")
                self._write(line, durable)
            except OSError as error:
                self.dropped += 1
                raise OutputError(f"{self.folder} cannot be written ({error.strerror or error})", field="traces") from error
            except OutputError:
                self.dropped += 1
                raise

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row, oldest first; what is appended meanwhile may be among them. A line that is no JSON is passed over."""
        for number in self._numbers():
            try:
                content = self._path(number).read_bytes()
            except FileNotFoundError:
                continue  # the oldest went meanwhile
            for line in content[: content.rfind(b"\n") + 1].splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row

    @property
    def num_bytes(self) -> int:
        """On disk."""
        return sum(self._path(number).stat().st_size for number in self._numbers())

    def _write(self, line: bytes, durable: bool) -> None:
        path = self._path(self._number)
        if path.exists() and path.stat().st_size + len(line) > self._file_bytes:
            self._number += 1
            path = self._path(self._number)
            self._drop_oldest()
        fail_point("traces.before_line")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        start = os.fstat(descriptor).st_size
        try:
            half = len(line) // 2
            _write_all(descriptor, line[:half])
            fail_point("traces.torn_line")
            _write_all(descriptor, line[half:])
            if durable:
                os.fsync(descriptor)
        except Exception:
            os.ftruncate(descriptor, start)
            raise
        finally:
            os.close(descriptor)
        if start == 0 and durable:
            fsync_path(self.folder)
        fail_point("traces.after_line")

    def _drop_oldest(self) -> None:
        """Make room for one more file."""
        numbers = self._numbers()
        sizes = {number: self._path(number).stat().st_size for number in numbers}
        for number in numbers:
            if sum(sizes.values()) + self._file_bytes <= self._most:
                break
            self._path(number).unlink(missing_ok=True)
            del sizes[number]

    def _cut_torn_line(self, path: Path) -> None:
        with path.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                file.truncate(whole)

    def _numbers(self) -> list[int]:
        found = (path.name.removeprefix(_NAME).removesuffix(_SUFFIX) for path in self.folder.glob(f"{_NAME}*{_SUFFIX}"))
        return sorted(int(name) for name in found if name.isdigit())

    def _path(self, number: int) -> Path:
        return self.folder / f"{_NAME}{number:08}{_SUFFIX}"


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
