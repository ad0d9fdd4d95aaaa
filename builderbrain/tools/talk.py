"""`talk`: says something to the person, alone or about the text of an earlier step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.tools.base import Results, Tool, ToolContext


async def run(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """`text` as it is given. What it is about stays in its own step; the answer quotes it once."""
    return {"text": arguments["text"]}


TOOL = Tool(skill="talk", run=run)
