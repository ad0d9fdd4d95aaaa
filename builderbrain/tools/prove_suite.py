"""`prove_suite`: the property tests of the working root. Hypothesis marks its own with `hypothesis`, the default marker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text, leaves_nothing
from builderbrain.tools.pytest_run import existing_path, run_pytest

_MARKER = re.compile(r"(?!(?:and|or|not|True|False|None)$)[A-Za-z_][A-Za-z0-9_]{0,63}").fullmatch


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Run the tests below `path` that have `marker`. No test at all is no proof: then `passed` is false."""
    marker = arguments.get("marker", "hypothesis")
    if not _MARKER(marker):
        raise ToolError(f"expected the name of a marker such as hypothesis, got {marker!r:.80}", field="marker")
    path = existing_path(context.root, arguments.get("path", "."))
    found = await run_pytest(path, context.confinement, timeout_seconds=context.timeout_seconds * 0.95, marker=marker)
    return {
        "passed": found.ok,
        "count": found.count,
        "failed": len(found.failures),
        "first_path": found.paths[0] if found.paths else None,
        "text": cut_text(found.text("property tests") if found.count else f"no test here has the marker {marker}"),
    }


TOOL = Tool(skill="prove_suite", run=run, was_done=leaves_nothing)
