"""A small real server, made with the protocol's official package: adds, and keeps notes in the folder it starts in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("notes")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def read_note(name: Literal["today", "tomorrow"]) -> str:
    """Read a note."""
    return Path(f"{name}.txt").read_text(encoding="utf-8")


@server.tool()
def write_note(name: Literal["today", "tomorrow"], text: str, tags: list[str] | None = None) -> str:
    """Write a note."""
    Path(f"{name}.txt").write_text(" ".join([text, *(tags or [])]), encoding="utf-8")
    return f"wrote {name}"


if __name__ == "__main__":
    server.run()
