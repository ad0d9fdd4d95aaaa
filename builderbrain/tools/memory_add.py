"""`memory_add`: remembers a text for later plans. The same call again (same idempotency key) adds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.memory_search import memory_of
from builderbrain.tools.memory_store import Entry


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Add the entry `text`; `id` is its number."""
    text = arguments.get("text")
    if text is None:  # called to take a `memory_forget` back that a crash cut off
        raise ToolError("what was forgotten is not known any more, so it cannot be remembered again", field="text")
    if not text.strip():
        raise ToolError("expected words to remember, got nothing but blanks", field="text")
    store = memory_of(context)
    return _results(await anyio.to_thread.run_sync(lambda: store.add(text, key=context.key)))


async def was_done(context: ToolContext, _: Mapping[str, Any]) -> Results | None:
    """The entry of this call, when it is there."""
    if context.key is None:
        return None
    entry = await anyio.to_thread.run_sync(memory_of(context).added, context.key)
    return None if entry is None else _results(entry)


def _results(entry: Entry) -> Results:
    return {"id": entry.id, "text": entry.text}


TOOL = Tool(skill="memory_add", run=run, was_done=was_done)
