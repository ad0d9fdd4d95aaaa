"""`undo_fix`: takes the diff of a `fix_tests` back. Running it twice is as good as once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.patching import apply_patch, judge_patch


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Take `applied` back; where nothing was applied there is nothing to do."""
    patch = arguments["applied"]
    if not patch:
        return {"text": "nothing had been applied"}
    seconds = context.timeout_seconds * 0.3
    backward = await judge_patch(patch, context.confinement, timeout_seconds=seconds, reverse=True)
    if backward.applies:
        await apply_patch(patch, backward, context.confinement, timeout_seconds=seconds, reverse=True)
        return {"text": f"took the changes of {len(backward.files)} files back"}
    forward = await judge_patch(patch, context.confinement, timeout_seconds=seconds)
    if forward.applies:
        return {"text": "the changes had been taken back before"}
    raise ToolError(f"the fix cannot be taken back, its files changed since: {backward.reason}; look at them", field="applied")


TOOL = Tool(skill="undo_fix", run=run)
