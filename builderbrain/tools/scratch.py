"""Folders of a tool's own beside the working root: for a text that a program reads, and for a copy of the root for trials."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builderbrain.errors import ToolError
from builderbrain.tools.folders import is_skipped
from builderbrain.tools.root import WorkingRoot

MAX_COPIED_FILES = 10_000
MAX_COPIED_BYTES = 256 * 1024 * 1024
_CHUNK = 1024 * 1024


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="builderbrain-tool-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@contextmanager
def scratch_file(text: str) -> Iterator[Path]:
    """A file with this text in a folder of its own, gone afterwards."""
    with scratch_folder() as folder:
        path = folder / "input"
        path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        yield path


def copy_root(root: WorkingRoot, target: Path) -> None:
    """Copy the files of a root into an empty folder, without version control, environments, caches and special files.

    A relative link is copied as a link; where it leads is for the sandbox to judge. An absolute one is left out.

    Raises:
        ToolError: there is more than 10,000 files or 256 MiB.
    """
    files = total = 0
    with root.open(".") as top:
        for place, folders, names, handle in os.fwalk(".", dir_fd=top.descriptor, follow_symlinks=False):
            below = target / place
            links = [name for name in folders if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)]
            folders[:] = [name for name in folders if not is_skipped(name) and name not in links]
            for name in folders:
                (below / name).mkdir()
            for name in (*names, *links):
                files += 1
                total += _copy(handle, name, below / name)
                if files > MAX_COPIED_FILES or total > MAX_COPIED_BYTES:
                    raise ToolError(
                        f"the root has more than {MAX_COPIED_FILES} files or {MAX_COPIED_BYTES // 1024**2} MiB, too much to "
                        "try a change in a copy; make a smaller folder the root",
                        field="root",
                    )


def _copy(handle: int, name: str, target: Path) -> int:
    """Copy one entry of an open folder; returns its size in bytes."""
    status = os.stat(name, dir_fd=handle, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        link = os.readlink(name, dir_fd=handle)
        if not link.startswith("/"):
            os.symlink(link, target)
        return 0
    if not stat.S_ISREG(status.st_mode):
        return 0
    copied = 0
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=handle)
    try:
        with open(target, "xb") as file:
            while copied <= MAX_COPIED_BYTES and (chunk := os.read(source, _CHUNK)):
                file.write(chunk)
                copied += len(chunk)
    finally:
        os.close(source)
    os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    return copied
