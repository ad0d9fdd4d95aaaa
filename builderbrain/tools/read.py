"""`read`: the text of a file.

A name without a folder that is not in the root itself, and that exactly one file below it has, means that file; the result
`path` says which file was read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError
from builderbrain.tools.base import MAX_TEXT_BYTES, Results, Tool, ToolContext
from builderbrain.tools.finding import files_named, with_suggestion
from builderbrain.tools.root import Opened, WorkingRoot

MAX_COUNTED_BYTES = 64 * 1024 * 1024
_CHUNK = 256 * 1024


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Read the file `path`: its first 32 KiB as text, and the number of lines of the whole."""
    return await anyio.to_thread.run_sync(_read, context.root, arguments["path"], abandon_on_cancel=True)


def _read(root: WorkingRoot, path: str) -> Results:
    with with_suggestion(root, path):
        try:
            with root.open(path) as opened:
                return _content(opened)
        except ToolError as error:
            named = files_named(root, path) if "/" not in path.strip("/") and error.message.startswith("there is no ") else ()
            if len(named) != 1:
                raise
        with root.open(named[0]) as opened:
            return _content(opened)


def _content(opened: Opened) -> Results:
    if opened.is_folder:
        raise ToolError(f"{opened.path} is a folder; list it instead", field="path")
    if not opened.is_file:
        raise ToolError(f"{opened.path} is no regular file (a pipe, socket or device); read a text file", field="path")
    size = opened.status.st_size
    if size > MAX_COUNTED_BYTES:
        raise ToolError(
            f"{opened.path} has {size} bytes, at most {MAX_COUNTED_BYTES} can be read; search it instead", field="path"
        )
    head = b""
    newlines, total, last = 0, 0, b"\n"
    while chunk := os.read(opened.descriptor, _CHUNK):
        if len(head) < MAX_TEXT_BYTES:
            head += chunk[: MAX_TEXT_BYTES - len(head)]
        newlines += chunk.count(b"\n")
        total += len(chunk)
        last = chunk[-1:]
        if total > MAX_COUNTED_BYTES:
            raise ToolError(
                f"{opened.path} grew over {MAX_COUNTED_BYTES} bytes while it was read; search it instead", field="path"
            )
    if b"\0" in head[:8192]:
        raise ToolError(f"{opened.path} is a binary file; read a text file", field="path")
    cut = total > len(head)
    text = head.decode("utf-8", errors="ignore" if cut else "replace")
    if cut:
        text += f"\n[cut: {len(head)} of {total} bytes shown]"
    return {"path": opened.path, "lines": newlines + (last != b"\n"), "text": text}


TOOL = Tool(skill="read", run=run)
