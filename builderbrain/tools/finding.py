"""Files by name: what a person means by `errors.py` when it lies in some folder, and what a misspelled path was to be."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from builderbrain.errors import ToolError
from builderbrain.tools.folders import is_skipped
from builderbrain.tools.root import WorkingRoot

MAX_VISITED = 20_000


def files_named(root: WorkingRoot, name: str, *, folders: bool = False) -> tuple[str, ...]:
    """Paths of the files (or folders) whose path ends in `name`, whatever the case, by depth and name.

    Links are not looked through; hidden and generated folders are passed over.
    """
    wanted = f"/{name.strip('/').lower()}"
    return tuple(path for path in _all_paths(root, folders=folders) if f"/{path.lower()}".endswith(wanted))


@contextmanager
def with_suggestion(root: WorkingRoot, path: str, *, folders: bool = False) -> Iterator[None]:
    """Adds to a `ToolError` about a path that is not there what it may have been."""
    try:
        yield
    except ToolError as error:
        if type(error) is not ToolError or not error.message.startswith("there is no "):
            raise
        name = path.rstrip("/").rsplit("/", 1)[-1]
        alike = [*files_named(root, name, folders=folders)[:3]]
        if not alike:
            known = list(_all_paths(root, folders=folders))
            by_name = {other.rsplit("/", 1)[-1]: other for other in reversed(known)}
            alike = [by_name[close] for close in difflib.get_close_matches(name, by_name, n=3, cutoff=0.75)]
        remedy = f"; did you mean {' or '.join(alike)}?" if alike else "; list the folder to see what is there"
        raise ToolError(f"{error.message}{remedy}", field=error.field) from error


def _all_paths(root: WorkingRoot, *, folders: bool) -> list[str]:
    """Relative paths of files (or folders) below the root, at most 20,000 entries, shallow ones first."""
    found: list[str] = []
    visited = 0
    with root.open(".") as top:
        for place, names, files, _ in os.fwalk(".", dir_fd=top.descriptor, follow_symlinks=False):
            names[:] = sorted(name for name in names if not name.startswith(".") and not is_skipped(name))
            visited += len(names) + len(files)
            prefix = "" if place == "." else f"{place.removeprefix('./')}/"
            found.extend(f"{prefix}{name}" for name in (names if folders else files))
            if visited > MAX_VISITED:
                break
    return sorted(found, key=lambda path: (path.count("/"), path))
