"""A folder below the server's working root, as requests name it."""

from __future__ import annotations

from pathlib import Path

from builderbrain.agent.executor import WorkingRoot
from builderbrain.errors import InvalidRequestError, PathEscapeError, ToolError


def below(root: WorkingRoot, path: str) -> WorkingRoot:
    """A folder below the root, given relative to it or as an absolute path.

    Raises:
        PathEscapeError: it leads out.
        InvalidRequestError: there is no such folder.
    """
    if "\0" not in path and Path(path).is_absolute() and Path(path).is_relative_to(root.folder):
        path = str(Path(path).relative_to(root.folder))
    try:
        return root if path == "." else root.below(path)
    except PathEscapeError as error:
        raise PathEscapeError(f"root: {error.message}", field="root") from error
    except ToolError as error:
        raise InvalidRequestError(f"root: {error.message}", field="root") from error
