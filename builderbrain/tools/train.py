"""`train`: trains a rail on generated goals in a folder below the root. The same call again goes on where one was cut off.

Four settings and no more come from a plan; all others are the defaults of training. It runs on the CPU.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from builderbrain.errors import PathEscapeError, ToolError, ToolTimeoutError
from builderbrain.plan.paths import path_fault
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.engine_run import last_line, run_engine

DATA = ("repo_assistant", "scan")


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Train for `steps` steps into `output`, for at most `minutes`; `rail` is the folder of the trained rail."""
    output = _output(arguments["output"])
    minutes = arguments.get("minutes", 10)
    data = arguments.get("data", DATA[0])
    if data not in DATA:
        raise ToolError(f"expected one of {', '.join(DATA)}, got {data!r:.80}", field="data")
    settings = [f"output={output}", f"data={data}", f"steps={arguments.get('steps', 100)}", f"seed={arguments.get('seed', 0)}"]
    limit = min(minutes * 60.0, context.timeout_seconds - 5.0)
    try:
        finished = await run_engine("builderbrain.train", [*settings, "device=cpu"], context.confinement, timeout_seconds=limit)
    except ToolTimeoutError:
        raise ToolTimeoutError(
            f"training was stopped after {limit / 60:.3g} minutes; the same call goes on from its last checkpoint"
        ) from None
    if not _is_there(context, output):
        raise ToolError(f"training ended (status {finished.status}) without a rail in {output}: {last_line(finished)}")
    return _results(output, last_line(finished))


async def was_done(context: ToolContext, arguments: Mapping[str, Any]) -> Results | None:
    """Whether the run has left its rail, which it writes last and whole."""
    output = _output(arguments["output"])
    return _results(output, "The rail is there.") if _is_there(context, output) else None


def _output(path: str) -> str:
    """The folder of the run as a setting: no option, no other setting, no way out of the root."""
    fault = path_fault(path)
    if fault is not None:
        raise PathEscapeError(f"path {path!r:.200} {fault}; name a folder below the working root", field="output")
    normal = posixpath.normpath(path)
    if normal == "." or normal.startswith("..") or not all(part.isprintable() for part in normal):
        raise ToolError(f"expected a folder below the working root, got {path!r:.200}", field="output")
    return normal


def _is_there(context: ToolContext, output: str) -> bool:
    try:
        with context.root.open(f"{output}/rail/manifest.json") as opened:
            return opened.is_file
    except (ToolError, PathEscapeError):
        return False


def _results(output: str, said: str) -> Results:
    return {"rail": f"{output}/rail", "text": said or f"the trained rail is in {output}/rail"}


TOOL = Tool(skill="train", run=run, was_done=was_done)
