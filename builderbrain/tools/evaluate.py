"""`evaluate`: a rail on one of the project's benches. The report goes to a folder of its own and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, leaves_nothing
from builderbrain.tools.engine_run import run_engine
from builderbrain.tools.sandbox.confinement import Confinement
from builderbrain.tools.scratch import scratch_folder

MAX_REPORT_BYTES = 16 * 1024 * 1024
BENCHES = ("plan-bench", "brain-bench", "held-out", "wordings")
_REPORT = "report.json"


class _Subject(BaseModel):
    """The part of a report that is told; it says more."""

    model_config = ConfigDict(frozen=True, strict=True)

    right: Annotated[float, Field(ge=0)]
    total: Annotated[int, Field(ge=1)]
    score: Annotated[float, Field(ge=0, le=1)]


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Measure the rail in the folder `rail`, or the bundled one, on `bench`."""
    bench = arguments.get("bench", BENCHES[0])
    if bench not in BENCHES:
        raise ToolError(f"expected one of {', '.join(BENCHES)}, got {bench!r:.80}", field="bench")
    rail = arguments.get("rail")
    options: list[str] = []
    if rail is not None:
        with context.root.open(rail) as opened:
            if not opened.is_folder:
                raise ToolError(f"expected the folder of a rail, got the file {opened.path}", field="rail")
            options = [f"--rail={context.root.folder / opened.path}"]
    with scratch_folder() as folder:
        confinement = Confinement(root=folder, writes=True, reads=(str(context.root.folder),))
        command = [bench, f"--json={folder / _REPORT}", "--device=cpu", *options]
        await run_engine("builderbrain.eval", command, confinement, timeout_seconds=context.timeout_seconds * 0.95)
        measured = _subject(folder / _REPORT)
    right = round(measured.right)
    return {
        "score": measured.score,
        "right": right,
        "count": measured.total,
        "text": f"{bench}, {rail or 'the bundled rail'}: {right} of {measured.total} right, a score of {measured.score:.3f}",
    }


def _subject(path: Path) -> _Subject:
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ValueError
        report = json.loads(path.read_bytes())
        return _Subject.model_validate(report["subjects"][0])
    except FileNotFoundError:
        raise ToolError("the bench ended without a report") from None
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError, ValidationError) as error:
        raise ToolError(f"the report of the bench is not of its form: {str(error)[:200]}") from None


TOOL = Tool(skill="evaluate", run=run, was_done=leaves_nothing)
