"""`search`: finds lines that contain a phrase, whatever the case; the most useful file comes first.

Runs ripgrep when the machine has it, else `search_worker.py` with Python; either in a process of its own, and the last line
of `text` says which. When no line has the phrase itself, its words are tried joined in other ways, and the first line says so.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.folders import SKIPPED_FOLDERS
from builderbrain.tools.phrase import exact_pattern, relaxed_pattern
from builderbrain.tools.process import ENVIRONMENT, Finished, run_process
from builderbrain.tools.ranking import FileMatches, ranked

MAX_FILES = 20_000
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_FILE_LINES = 200
MAX_LINES = 5_000
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
SHOWN_PATHS = 100
SHOWN_LINES = 60
SHOWN_FILE_LINES = 6
SHOWN_LINE_CHARACTERS = 160
_WORKER = Path(__file__).with_name("search_worker.py")


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Files with matches, in the order of the engine; `cut` when there may be more."""

    files: tuple[FileMatches, ...]
    engine: str
    cut: bool


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Search below `path` for `pattern`. `count` is matching lines, `paths` the files, at most 100."""
    phrase, path = arguments["pattern"], arguments.get("path", ".")
    relaxed = relaxed_pattern(phrase)
    patterns = [exact_pattern(phrase)] + ([relaxed] if relaxed is not None else [])
    program = ripgrep_program()
    if program is not None:
        found, used = await _with_ripgrep(program, context, patterns, path)
    else:
        found, used = await _with_python(context, patterns, path)
    files = ranked(found.files, phrase)
    paths = [file.path for file in files[:SHOWN_PATHS]]
    return {
        "count": sum(len(file.lines) for file in files),
        "first_path": paths[0] if paths else None,
        "last_path": paths[-1] if paths else None,
        "paths": paths,
        "text": cut_text(_shown(files, found, phrase, relaxed=used > 0)),
    }


def ripgrep_program() -> str | None:
    """Path of ripgrep, or None. Only on Linux, where it can be handed an open folder by `/proc`."""
    return shutil.which("rg", path=ENVIRONMENT["PATH"]) if sys.platform == "linux" else None


def _shown(files: Sequence[FileMatches], found: _Found, phrase: str, *, relaxed: bool) -> str:
    lines = (
        [f"[no line has {json.dumps(phrase, ensure_ascii=False)} itself; these have its words, joined or in another form]"]
        if relaxed and files
        else []
    )
    total = sum(len(file.lines) for file in files)
    shown = 0
    for file in files:
        for number, text in file.lines[: min(SHOWN_FILE_LINES, SHOWN_LINES - shown)]:
            lines.append(f"{file.path}:{number}: {text[:SHOWN_LINE_CHARACTERS]}")
            shown += 1
    if found.cut:
        lines.append("[the search stopped at its limit; there may be more matches]")
    if shown < total:
        lines.append(f"[{shown} of {total} matching lines shown]")
    lines.append(f"[searched with {found.engine}]")
    return "\n".join(lines)


async def _with_python(context: ToolContext, patterns: list[str], path: str) -> tuple[_Found, int]:
    with context.root.open(path) as start, context.root.open(".") as top:
        request = {
            "root": top.descriptor,
            "start": start.path,
            "patterns": patterns,
            "skipped": sorted(SKIPPED_FOLDERS),
            "files": MAX_FILES,
            "file_bytes": MAX_FILE_BYTES,
            "file_lines": MAX_FILE_LINES,
            "lines": MAX_LINES,
        }
        finished = await run_process(
            [sys.executable, "-I", "-S", "-B", str(_WORKER), json.dumps(request)],
            folder="/",
            timeout_seconds=context.timeout_seconds,
            max_output_bytes=MAX_OUTPUT_BYTES,
            confinement=context.confinement,
            descriptors=[top.descriptor],
        )
    if finished.status != 0 and not finished.cut:
        raise ToolError(f"the search process failed: {_last_line(finished)}")
    by_pattern: list[dict[str, FileMatches]] = [{} for _ in patterns]
    cut = finished.cut
    for line in _whole_lines(finished):
        event = json.loads(line)
        if isinstance(event, dict):
            cut = cut or event["cut"]
        else:
            index, name, number, text = event
            by_pattern[index].setdefault(name, FileMatches(name)).lines.append((number, text))
    used = next((index for index, files in enumerate(by_pattern) if files), 0)
    return _Found(files=tuple(by_pattern[used].values()), engine="Python", cut=cut), used


async def _with_ripgrep(program: str, context: ToolContext, patterns: list[str], path: str) -> tuple[_Found, int]:
    with context.root.open(path) as start:
        found = _Found(files=(), engine="ripgrep", cut=False)
        for index, pattern in enumerate(patterns):
            found = await _ripgrep_once(program, context, pattern, start.path, start.descriptor, folder=start.is_folder)
            if found.files:
                return found, index
    return found, 0


async def _ripgrep_once(
    program: str, context: ToolContext, pattern: str, base: str, descriptor: int, *, folder: bool
) -> _Found:
    """The start is handed over as an open descriptor: what was checked is what is searched."""
    command = [program, "--no-config", "--json", "--ignore-case", "--no-messages", "--no-require-git", "--threads=2"]
    command += [f"--max-count={MAX_FILE_LINES}", f"--max-filesize={MAX_FILE_BYTES}", f"--regexp={pattern}"]
    command += [f"--glob=!{name}/" for name in sorted(SKIPPED_FOLDERS)]
    handle = f"/proc/self/fd/{descriptor}"
    finished = await run_process(
        [*command, "--", "." if folder else handle],
        folder=handle if folder else "/",
        timeout_seconds=context.timeout_seconds,
        max_output_bytes=MAX_OUTPUT_BYTES,
        confinement=context.confinement,
        descriptors=[descriptor],
    )
    if finished.status not in (0, 1) and not finished.cut and not finished.output:
        raise ToolError(f"ripgrep failed: {_last_line(finished)}")
    files: dict[str, FileMatches] = {}
    for line in _whole_lines(finished):
        event = json.loads(line)
        if event["type"] != "match" or "text" not in event["data"]["path"]:
            continue  # a name that is no text can be neither shown nor asked for
        data = event["data"]
        name = _name(_text(data["path"]), base) if folder else base
        text = _text(data["lines"]).strip()[:300]
        files.setdefault(name, FileMatches(name)).lines.append((data["line_number"], text))
    return _Found(files=tuple(files.values()), engine="ripgrep", cut=finished.cut)


def _name(name: str, base: str) -> str:
    below = name.removeprefix("./")
    return below if base == "." else f"{base}/{below}"


def _text(encoded: Mapping[str, str]) -> str:
    """ripgrep gives text, or base64 where the bytes are no UTF-8."""
    return encoded["text"] if "text" in encoded else base64.b64decode(encoded["bytes"]).decode("utf-8", errors="replace")


def _whole_lines(finished: Finished) -> list[bytes]:
    """Lines of output; a last line that was cut off is dropped."""
    lines = finished.output.split(b"\n")
    return [line for line in lines[:-1] if line]


def _last_line(finished: Finished) -> str:
    lines = finished.error.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else f"it ended with status {finished.status}"


TOOL = Tool(skill="search", run=run)
