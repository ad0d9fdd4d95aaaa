"""`memory_forget`: deletes one entry of the memory; takes `memory_add` back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.memory_search import memory_of


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Forget the entry `id`; `text` is what it said."""
    number = arguments["id"]
    entry = await anyio.to_thread.run_sync(memory_of(context).forget, number)
    if entry is None:
        raise ToolError(f"there is no entry {number} in the memory; search it for the number", field="id")
    return {"text": entry.text}


async def was_done(context: ToolContext, arguments: Mapping[str, Any]) -> Results | None:
    """Whether the entry is gone; what it said is gone with it."""
    entry = await anyio.to_thread.run_sync(memory_of(context).get, arguments["id"])
    return {"text": None} if entry is None else None


TOOL = Tool(skill="memory_forget", run=run, was_done=was_done)
