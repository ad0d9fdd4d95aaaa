"""`list`: what is directly in a folder. Hidden entries, caches and environments are counted, not named."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.finding import with_suggestion
from builderbrain.tools.folders import is_skipped
from builderbrain.tools.root import WorkingRoot

MAX_ENTRIES = 10_000
SHOWN_ENTRIES = 200


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """List the folder `path`. `paths` are its files by name, relative to the root; `text` names folders (`name/`) and files."""
    return await anyio.to_thread.run_sync(_list, context.root, arguments.get("path", "."), abandon_on_cancel=True)


def _list(root: WorkingRoot, path: str) -> Results:
    with with_suggestion(root, path, folders=True), root.open(path) as opened:
        if not opened.is_folder:
            raise ToolError(f"{opened.path} is a file, not a folder; read it instead", field="path")
        names = sorted(os.listdir(opened.descriptor))
        folders, files, hidden = _sorted_out(opened.descriptor, names[:MAX_ENTRIES])
        prefix = "" if opened.path == "." else f"{opened.path}/"
    paths = [f"{prefix}{name}" for name in files]
    lines = [f"{name}/" for name in folders] + files
    notes = [f"[{SHOWN_ENTRIES} of {len(lines)} entries shown]"] if len(lines) > SHOWN_ENTRIES else []
    if hidden:
        notes.append(f"[{hidden} hidden or generated {'entry' if hidden == 1 else 'entries'} left out]")
    if len(names) > MAX_ENTRIES:
        notes.append(f"[the folder has {len(names)} entries, the first {MAX_ENTRIES} were read]")
    return {
        "count": len(files),
        "first_path": paths[0] if paths else None,
        "last_path": paths[-1] if paths else None,
        "paths": paths,
        "text": cut_text("\n".join([*lines[:SHOWN_ENTRIES], *notes])),
    }


def _sorted_out(descriptor: int, names: list[str]) -> tuple[list[str], list[str], int]:
    """Folders, other entries, and how many were left out. A link is an entry like a file and is not looked through."""
    folders: list[str] = []
    files: list[str] = []
    hidden = 0
    for name in names:
        try:
            name.encode("utf-8")
            is_folder = stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
        except (OSError, UnicodeEncodeError):
            hidden += 1  # gone meanwhile, or a name that is no text
            continue
        if name.startswith(".") or (is_folder and is_skipped(name)):
            hidden += 1
        else:
            (folders if is_folder else files).append(name)
    return folders, files, hidden


TOOL = Tool(skill="list", run=run)
