"""The working root: no path leads out of it, whatever it is spelled like and whatever changes meanwhile.

Spelling is judged first (`plan.paths`). Then the path is walked one component at a time from a handle of the root, each
opened with O_NOFOLLOW relative to the handle before it, so that what was judged is what is opened. `..` goes back along the
handles that were walked, never to what the file system says the parent is, so that a folder moved elsewhere in between leads
nowhere. Symbolic links are read and walked in the same way: a relative link that stays inside is followed, a link that is
absolute or leaves the root is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builderbrain.errors import PathEscapeError, ToolError
from builderbrain.plan.paths import path_fault

MAX_LINKS = 16
MAX_COMPONENTS = 256
_ANY = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open file or folder beneath the root.

    Args:
        descriptor: valid inside the `with` that gave it.
        path: where it is, relative to the root, with `/`, without links and dots; `.` for the root itself.
        status: of the very thing that is open.
    """

    descriptor: int
    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


class WorkingRoot:
    """A folder that tools may read and nothing outside of it.

    Args:
        folder: the root; links in its own path are resolved once, now.

    Raises:
        ToolError: it is no folder.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            self.folder = Path(folder).resolve(strict=True)
            mode = self.folder.stat().st_mode
        except (OSError, RuntimeError) as error:
            raise ToolError(f"expected a folder as working root, got {folder}: {error}", field="root") from error
        if not stat.S_ISDIR(mode):
            raise ToolError(f"expected a folder as working root, got the file {folder}; name its folder", field="root")

    def below(self, path: str) -> WorkingRoot:
        """A root within this one.

        Raises:
            PathEscapeError: the path leaves this root.
            ToolError: there is no such folder.
        """
        with self.open(path) as opened:
            if not opened.is_folder:
                raise ToolError(f"expected a folder as working root, got the file {path}; name its folder", field="root")
            found = WorkingRoot(self.folder / opened.path)
        if not found.folder.is_relative_to(self.folder):  # a folder on the way became a link since it was walked
            raise PathEscapeError(f"path {path!r:.200} leaves the working root; name a folder inside it", field="root")
        return found

    @contextmanager
    def open(self, path: str) -> Iterator[Opened]:
        """Open a file or folder for reading.

        Args:
            path: relative to the root.

        Raises:
            PathEscapeError: the path is spelled to leave the root, or a link on it leaves.
            ToolError: there is nothing there, or it may not be read.
        """
        fault = path_fault(path)
        if fault is not None:
            raise PathEscapeError(f"path {path!r:.200} {fault}; name a path relative to the working root", field="path")
        walk = _Walk(path)
        try:
            walk.start(self.folder)
            yield walk.go()
        finally:
            walk.close()


class _Walk:
    """One walk from the root to a path; owns the handles of the folders on the way."""

    def __init__(self, path: str) -> None:
        self.asked = path
        self.waiting = _components(path)
        self.handles: list[int] = []
        self.names: list[str] = []
        self.links = 0
        self.taken = 0

    def start(self, folder: Path) -> None:
        try:
            self.handles.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise ToolError(f"the working root cannot be opened: {error.strerror}; is it still there?", field="root") from error

    def close(self) -> None:
        while self.handles:
            os.close(self.handles.pop())

    def go(self) -> Opened:
        while self.waiting:
            self.taken += 1
            if self.taken > MAX_COMPONENTS:
                raise ToolError(f"path {self.asked!r:.200} has more than {MAX_COMPONENTS} parts; shorten it", field="path")
            name = self.waiting.pop()
            if name == "..":
                self._back()
                continue
            opened = self._enter(name)
            if opened is not None:
                return opened
        return Opened(descriptor=self.handles[-1], path="/".join(self.names) or ".", status=os.fstat(self.handles[-1]))

    def _back(self) -> None:
        if len(self.handles) == 1:
            raise self._escape("leaves the working root")
        os.close(self.handles.pop())
        self.names.pop()

    def _enter(self, name: str) -> Opened | None:
        """Open one component. Returns it when it is a file at the end of the path, None when the walk goes on."""
        try:
            handle = os.open(name, _ANY, dir_fd=self.handles[-1])
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                self._follow(name)
                return None
            raise self._missing(error) from error
        self.handles.append(handle)
        self.names.append(name)
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            return None
        if self.waiting:
            raise ToolError(f"{'/'.join(self.names)} is a file, not a folder, in path {self.asked!r:.200}", field="path")
        return Opened(descriptor=handle, path="/".join(self.names), status=status)

    def _follow(self, name: str) -> None:
        self.links += 1
        if self.links > MAX_LINKS:
            raise ToolError(
                f"path {self.asked!r:.200} goes through more than {MAX_LINKS} links; name the file itself", field="path"
            )
        try:
            target = os.readlink(name, dir_fd=self.handles[-1])
        except OSError as error:
            raise self._missing(error) from error
        if target.startswith("/"):
            raise self._escape("goes through an absolute link")
        self.waiting.extend(_components(target))

    def _escape(self, reason: str) -> PathEscapeError:
        return PathEscapeError(f"path {self.asked!r:.200} {reason}; name a path inside the working root", field="path")

    def _missing(self, error: OSError) -> ToolError:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return ToolError(f"there is no {self.asked!r:.200} in the working root", field="path")
        return ToolError(f"{self.asked!r:.200} cannot be opened: {error.strerror}", field="path")


def _components(path: str) -> list[str]:
    """Parts of a path, last first, without empty ones and single dots."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
