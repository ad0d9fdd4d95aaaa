"""`docs_lint`: links that lead nowhere, open code fences and odd headings in Markdown files. Reads, never writes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anyio.to_thread

from builderbrain.errors import BuilderBrainError, ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.finding import with_suggestion
from builderbrain.tools.folders import is_skipped
from builderbrain.tools.markdown_faults import MarkdownFault, MarkdownFile, link_faults, read_markdown
from builderbrain.tools.root import WorkingRoot

MAX_FILES = 2_000
MAX_FILE_BYTES = 1024 * 1024
SHOWN_FAULTS = 100
_SUFFIXES = (".md", ".markdown")


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Look through the Markdown file `path`, or all of them below the folder `path`."""
    return await anyio.to_thread.run_sync(_lint, context.root, arguments.get("path", "."), abandon_on_cancel=True)


def _lint(root: WorkingRoot, path: str) -> Results:
    names, notes = _markdown_below(root, path)
    reader = _Reader(root)
    faults: list[tuple[str, MarkdownFault]] = []
    for name in names:
        file = reader.file(name)
        if file is None:
            notes.append(f"[{name} could not be read as text of at most {MAX_FILE_BYTES} bytes]")
            continue
        found = [*file.faults, *link_faults(file, reader.exists_from(name), reader.anchors_from(name))]
        faults += [(name, fault) for fault in sorted(found, key=lambda fault: fault.line)]
    paths = list(dict.fromkeys(name for name, _ in faults))
    lines = [f"{name}:{fault.line}: {fault.message}" for name, fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        notes.append(f"[{SHOWN_FAULTS} of {len(faults)} faults shown]")
    lead = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'} in {len(names)} Markdown files"
    return {
        "clean": not faults,
        "count": len(faults),
        "first_path": paths[0] if paths else None,
        "paths": paths,
        "text": cut_text("\n".join([lead, *lines, *notes])),
    }


def _markdown_below(root: WorkingRoot, path: str) -> tuple[list[str], list[str]]:
    """Markdown files by name, and notes about those that were left out."""
    with with_suggestion(root, path, folders=True), root.open(path) as opened:
        if not opened.is_folder:
            if not opened.path.lower().endswith(_SUFFIXES):
                raise ToolError(f"{opened.path} is no Markdown file; name one, or a folder", field="path")
            return [opened.path], []
        prefix = "" if opened.path == "." else f"{opened.path}/"
        names: list[str] = []
        for place, folders, files, _ in os.fwalk(".", dir_fd=opened.descriptor, follow_symlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_skipped(name))
            below = "" if place == "." else f"{place.removeprefix('./')}/"
            names += [f"{prefix}{below}{name}" for name in files if name.lower().endswith(_SUFFIXES)]
            if len(names) > MAX_FILES:
                break
    notes = [f"[the first {MAX_FILES} files were looked through]"] if len(names) > MAX_FILES else []
    return sorted(names[:MAX_FILES]), notes


class _Reader:
    """Reads files of a root once; a link is followed from the file that has it."""

    def __init__(self, root: WorkingRoot) -> None:
        self._root = root
        self._files: dict[str, MarkdownFile | None] = {}
        self._exists: dict[str, bool] = {}

    def file(self, name: str) -> MarkdownFile | None:
        if name not in self._files:
            self._files[name] = self._read(name)
        return self._files[name]

    def exists_from(self, name: str) -> Callable[[str], bool]:
        def exists(path: str) -> bool:
            there = _resolved(name, path)
            if there not in self._exists:
                self._exists[there] = self._is_there(there)
            return self._exists[there]

        return exists

    def anchors_from(self, name: str) -> Callable[[str], set[str] | None]:
        def anchors(path: str) -> set[str] | None:
            there = _resolved(name, path)
            file = self.file(there) if there.lower().endswith(_SUFFIXES) else None
            return None if file is None else file.anchors

        return anchors

    def _is_there(self, path: str) -> bool:
        try:
            with self._root.open(path):
                return True
        except BuilderBrainError:
            return False

    def _read(self, name: str) -> MarkdownFile | None:
        try:
            with self._root.open(name) as opened:
                if not opened.is_file or opened.status.st_size > MAX_FILE_BYTES:
                    return None
                data = b"".join(_chunks(opened.descriptor))
        except BuilderBrainError:
            return None
        return read_markdown(data.decode("utf-8", errors="replace"))


def _chunks(descriptor: int) -> Iterator[bytes]:
    left = MAX_FILE_BYTES
    while left > 0 and (chunk := os.read(descriptor, min(left, 256 * 1024))):
        left -= len(chunk)
        yield chunk


def _resolved(name: str, path: str) -> str:
    """A link's path relative to the root: one that begins with `/` is meant from the root. It may lead out; opening refuses."""
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/")) if path.strip("/") else "."
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


TOOL = Tool(skill="docs_lint", run=run)
