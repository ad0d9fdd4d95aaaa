"""A control group for one tool: a limit on processes that holds for root too, which resource limits do not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from builderbrain.errors import SandboxError

_MOUNT = Path("/sys/fs/cgroup")


@lru_cache(maxsize=1)
def parent_folder() -> Path | None:
    """Where groups that limit processes can be made: version 1's `pids`, or version 2 where `pids` is delegated; or None."""
    for line in _own_groups():
        _, controllers, path = line.split(":", 2)
        if controllers == "pids":
            folder = _MOUNT / "pids" / path.strip("/")
            if os.access(folder, os.W_OK):
                return folder
        if controllers == "":
            folder = _MOUNT / path.strip("/")
            with suppress(OSError):
                if "pids" in (folder / "cgroup.subtree_control").read_text().split() and os.access(folder, os.W_OK):
                    return folder
    return None


@contextmanager
def process_limit(processes: int) -> Iterator[str]:
    """A group that holds at most so many processes and threads; whatever is left in it at the end is killed. Gives its folder.

    Raises:
        SandboxError: no group can be made.
    """
    parent = parent_folder()
    if parent is None:
        raise SandboxError("no control group can be made to limit processes; run the server as another user than root")
    _sweep(parent)
    folder = parent / f"builderbrain-{os.getpid()}-{time.monotonic_ns()}"
    try:
        folder.mkdir()
        (folder / "pids.max").write_text(str(processes))
    except OSError as error:
        raise SandboxError(f"the control group {folder} cannot be made: {error.strerror}") from error
    try:
        yield str(folder)
    finally:
        _remove(folder)


def _sweep(parent: Path) -> None:
    """Remove the empty groups that servers left which were killed."""
    for folder in parent.glob("builderbrain-*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            with suppress(OSError):
                folder.rmdir()


def _remove(folder: Path) -> None:
    for _ in range(200):
        with suppress(OSError):
            for process in (folder / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)  # processes that were killed are still there for a moment
        else:
            return


def _own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
