"""The formats that ingest reads. A further one is a function from a row to a trace, and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from builderbrain.data import openai_chat, tool_graph
from builderbrain.data.json_lines import parse_object, read_lines
from builderbrain.data.read_trace import TRACE_KEYS, trace_from_json
from builderbrain.data.trace import Trace
from builderbrain.errors import DataError

FormatName = Literal["traces", "openai-chat", "toolgraph"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)
ROW_FILES = ("*.jsonl", "*.jsonl.gz")
_PEEKED_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How the rows of one file become traces.

    Args:
        format: its name.
        convert: a trace from a row; raises DataError with the place in the row.
        keys: keys of a row that are read; others are ignored and counted.
    """

    format: FormatName
    convert: Callable[[Mapping[str, Any]], Trace]
    keys: frozenset[str]


def row_files(inputs: Sequence[Path]) -> tuple[Path, ...]:
    """The files of the inputs: a file is itself, a folder its `.jsonl` and `.jsonl.gz` files by name.

    Raises:
        DataError: an input does not exist or holds no such file, or a file is named twice.
    """
    found: list[Path] = []
    for path in inputs:
        inside = sorted(file for pattern in ROW_FILES for file in path.glob(pattern)) if path.is_dir() else [path]
        if not inside or not all(file.is_file() for file in inside):
            raise DataError(f"expected a file or a folder with {' or '.join(ROW_FILES)}, got {path}", field="input")
        found += inside
    seen: set[Path] = set()
    for file in found:
        if file.resolve() in seen:
            raise DataError(f"expected every file once, got {file} twice", field="input")
        seen.add(file.resolve())
    return tuple(found)


def has_rows(path: Path) -> bool:
    """Whether a file holds anything but blank lines; one that a log's rotation has just begun does not.

    Raises:
        DataError: it cannot be read.
    """
    return any(True for _ in read_lines(path))


def open_reader(path: Path, *, format: FormatName | None = None, domain: str | None = None) -> Reader:
    """The reader of a file.

    Args:
        format: None to tell it from the first rows.
        domain: domain of the rows, for formats that name none; by default the name of the format with `_` for `-`.

    Raises:
        DataError: the format cannot be told, or a file that belongs to it is malformed.
    """
    name = detect_format(path) if format is None else format
    where = domain or name.replace("-", "_")
    if name == "traces":
        return Reader(format=name, convert=trace_from_json, keys=frozenset(TRACE_KEYS))
    if name == "openai-chat":
        return Reader(
            format=name,
            convert=lambda row: openai_chat.chat_to_trace(row, where),
            keys=frozenset(openai_chat.READ_KEYS),
        )
    described = (path.parent / tool_graph.TOOL_FILE).exists()
    graph = tool_graph.load_tool_graph(path.parent) if described else None
    return Reader(
        format=name,
        convert=lambda row: tool_graph.graph_row_to_trace(row, where, graph),
        keys=frozenset(tool_graph.READ_KEYS),
    )


def detect_format(path: Path) -> FormatName:
    """The format of the first row that can be read.

    Raises:
        DataError: none of the first rows tells.
    """
    for peeked, line in enumerate(read_lines(path)):
        if peeked == _PEEKED_ROWS:
            break
        try:
            row = parse_object(line)
        except DataError:
            continue  # ingest will quarantine it; another row may tell
        if "task_nodes" in row:
            return "toolgraph"
        if "domain" in row:
            return "traces"
        if "messages" in row:
            return "openai-chat"
    raise DataError(
        f"the first rows of {path} are of no known format; say which with --format {' | '.join(FORMAT_NAMES)}", field="format"
    )
