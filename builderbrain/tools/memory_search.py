"""`memory_search`: what was remembered, by its words; the best match first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.memory_store import MemoryStore


def memory_of(context: ToolContext) -> MemoryStore:
    """The memory of this deployment.

    Raises:
        ToolError: it has none.
    """
    if context.state is None:
        raise ToolError("nothing is remembered here: there is no state folder; give Runtime(state_folder=...)", field="state")
    return MemoryStore(context.state)


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Entries that share a word with `query`, at most `limit` of them."""
    found = await anyio.to_thread.run_sync(memory_of(context).search, arguments["query"])
    shown = found[: arguments.get("limit", 5)]
    lines = [f"{entry.id}: {' '.join(entry.text.split())}" for entry in shown]
    if len(found) > len(shown):
        lines.append(f"[{len(shown)} of {len(found)} entries shown]")
    return {
        "count": len(found),
        "id": shown[0].id if shown else None,
        "first": shown[0].text if shown else None,
        "text": cut_text("\n".join(lines) if lines else "[nothing was remembered with these words]"),
    }


TOOL = Tool(skill="memory_search", run=run)
