"""Scripts that try to escape, what they print, and the processes they leave."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from builderbrain.tools.process import Finished

PYTHON = [sys.executable, "-I", "-S", "-c"]
Run = Callable[..., Finished]


def tries(*expressions: str) -> str:
    """A script that prints for each expression what it gave, or the name of what it raised."""
    lines = ["import os, socket"]
    for expression in expressions:
        lines += ["try:", f"    print(repr({expression})[:200])", "except BaseException as error:"]
        lines += ["    print(type(error).__name__)"]
    return "\n".join(lines)


def printed(finished: Finished) -> list[str]:
    assert finished.status == 0, finished
    return finished.output.decode().splitlines()


REFUSED = {"PermissionError", "FileNotFoundError", "OSError", "NotADirectoryError", "ConnectionRefusedError"}


def processes_with(marker: str) -> list[int]:
    """Processes of this machine that have a marker on their command line (those that wait to be collected do not)."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if marker.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def all_gone(marker: str) -> bool:
    deadline = time.monotonic() + 5
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes_with(marker) == []
