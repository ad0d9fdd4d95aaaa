"""`run_tests`: the tests of the working root with pytest, in the sandbox, without the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.tools.base import Results, Tool, ToolContext, cut_text, leaves_nothing
from builderbrain.tools.pytest_run import existing_path, run_pytest


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Run the tests below `path`. Tests may change the root; what they leave there is theirs."""
    path = existing_path(context.root, arguments.get("path", "."))
    found = await run_pytest(path, context.confinement, timeout_seconds=context.timeout_seconds * 0.95)
    return {
        "passed": found.ok,
        "count": found.count,
        "failed": len(found.failures),
        "first_path": found.paths[0] if found.paths else None,
        "paths": found.paths,
        "text": cut_text(found.text("tests") if found.count else "there are no tests here"),
    }


TOOL = Tool(skill="run_tests", run=run, was_done=leaves_nothing)
