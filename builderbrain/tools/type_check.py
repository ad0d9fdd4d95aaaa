"""`type_check`: the types of the working root with mypy, in the sandbox, where nothing may be written."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text, leaves_nothing
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.pytest_run import existing_path
from builderbrain.tools.sandbox.confinement import PROCESSORS

MAX_OUTPUT_BYTES = 4 * 1024 * 1024
SHOWN_ERRORS = 60
_OPTIONS = ("--output=json", "--no-error-summary", "--no-color-output", "--cache-dir=/dev/null")
_COMMAND = (sys.executable, "-I", "-B", "-m", "mypy")


@dataclass(frozen=True, kw_only=True)
class _Error:
    path: str
    line: int
    message: str


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Check the file or folder `path` with the root's own settings of mypy."""
    path = existing_path(context.root, arguments.get("path", "."))
    if importlib.util.find_spec("mypy") is None:
        raise ToolError("mypy is not installed where this server runs; install it there (pip install mypy)")
    finished = await run_process(
        [*_COMMAND, *_OPTIONS, "--", path],
        folder=str(context.root.folder),
        timeout_seconds=context.timeout_seconds * 0.95,
        max_output_bytes=MAX_OUTPUT_BYTES,
        confinement=replace(context.confinement, writes=False, reads=PROCESSORS),
    )
    errors = _errors(finished)
    paths = list(dict.fromkeys(error.path for error in errors))
    lines = [f"{error.path}:{error.line}: {error.message}" for error in errors[:SHOWN_ERRORS]]
    if len(errors) > SHOWN_ERRORS:
        lines.append(f"[{SHOWN_ERRORS} of {len(errors)} errors shown]")
    if finished.cut:
        lines.append("[mypy was stopped at its limit of output; there may be more errors]")
    count = f"{len(errors)} {'error' if len(errors) == 1 else 'errors'} in {len(paths)} files"
    return {
        "passed": not errors,
        "count": len(errors),
        "first_path": paths[0] if paths else None,
        "paths": paths,
        "text": cut_text("\n".join([count, *lines]) if errors else "no type error was found"),
    }


def _errors(finished: Finished) -> list[_Error]:
    """What mypy found: status 0 and nothing, 1 and errors, or 2 and those of syntax. Anything else is no check."""
    lines = finished.output.decode("utf-8", errors="replace").split("\n")
    found: list[_Error] = []
    for line in lines[:-1]:
        try:
            event = json.loads(line)
            error = _Error(path=str(event["file"]), line=int(event["line"]), message=str(event["message"])[:400])
            severity = event["severity"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ToolError(f"mypy did not say what it found in the form that was asked for: {line[:200]!r}") from None
        if severity == "error":
            found.append(error)
    if finished.status not in ((1, 2) if found else (0,)) and not finished.cut:
        said = finished.error.decode("utf-8", errors="replace").strip().splitlines() or [*lines[-3:], "it said nothing"]
        raise ToolError(f"mypy could not check this (status {finished.status}): {' / '.join(said[:3])[:400]}")
    return found


TOOL = Tool(skill="type_check", run=run, was_done=leaves_nothing)
