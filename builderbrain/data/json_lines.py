"""Files of JSON rows, one object a line, plain or gzipped: read line by line, and strictly.

A line may be anything that somebody's export wrote, so whatever is not plain JSON of a bounded size is told from a good row
here: duplicate keys, NaN, half characters, texts nested thousands deep.
"""

from __future__ import annotations

import codecs
import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from builderbrain.errors import DataError

MAX_LINE_BYTES = 4 << 20
MAX_DEPTH = 64
_UTF_16, _UTF_32 = "UTF-16", "UTF-32"
_MARKS = {
    codecs.BOM_UTF32_LE: _UTF_32, codecs.BOM_UTF32_BE: _UTF_32, codecs.BOM_UTF16_LE: _UTF_16, codecs.BOM_UTF16_BE: _UTF_16
}  # fmt: skip
"""Byte order marks; that of UTF-32 begins like that of UTF-16."""
_ZEROS: dict[tuple[bool, ...], str] = {
    (True, False, False, False): _UTF_32,
    (False, False, False, True): _UTF_32,
    (True, False, True, False): _UTF_16,
    (False, True, False, True): _UTF_16,
}
"""Which of the first four bytes are not zero, for the two ASCII characters that a row begins with (RFC 4627, 3)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank. `number` counts from 1; `content` is None for a line over `MAX_LINE_BYTES`."""

    number: int
    content: bytes | None


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file, without those that are blank and without a byte order mark. A name in `.gz` is unpacked.

    Raises:
        DataError: the file cannot be read, is UTF-16 or UTF-32, or is no gzip file although it is called so.
    """
    try:
        with _open(path) as file:
            yield from lines_of(file, str(path))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"expected a readable file at {path}, got: {reason}; mend it or leave it out", field=str(path)
        ) from error


def lines_of(file: IO[bytes] | gzip.GzipFile, name: str) -> Iterator[Line]:
    """As `read_lines`, of a file that is open; `name` is what errors call it."""
    number = 0
    while content := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        longer = len(content) > MAX_LINE_BYTES and not content.endswith(b"\n")
        if number == 1:
            content = _without_mark(content, name)
        if longer:
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Line(number, None)
        elif content.strip():
            yield Line(number, content)


def parse_object(line: Line) -> dict[str, Any]:
    """The object on a line.

    Raises:
        DataError: it is not strict JSON, no object, or over a limit; the message does not quote the row.
    """
    if line.content is None:
        raise DataError(f"the line is longer than {MAX_LINE_BYTES} bytes; split the row", field="")
    try:
        value = json.loads(line.content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        _check(value)
    except UnicodeDecodeError as error:
        raise DataError(f"expected UTF-8, got byte {line.content[error.start]:#04x}; convert the file", field="") from error
    except RecursionError:
        raise DataError(f"the row is nested more than {MAX_DEPTH} deep; flatten it", field="") from None
    except ValueError as error:
        raise DataError(f"expected one JSON object, got: {error}", field="") from error
    if not isinstance(value, dict):
        raise DataError(f"expected one JSON object, got {json_kind(value)}", field="")
    return value


def json_kind(value: object) -> str:
    """What a decoded JSON value is called in a message."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else kinds.get(type(value), type(value).__name__)


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else open(path, "rb")


def _without_mark(first: bytes, name: str) -> bytes:
    """The first line without the byte order mark of UTF-8; refuses the other encodings of Unicode by name."""
    marked = next((name for mark, name in _MARKS.items() if first.startswith(mark)), None)
    found = marked or _ZEROS.get(tuple(map(bool, first[:4])))
    if found is not None:
        raise DataError(f"expected UTF-8 in {name}, got {found}; convert it, e.g. with `iconv -f {found} -t UTF-8`", field=name)
    return first.removeprefix(codecs.BOM_UTF8)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise ValueError("a key that is there twice; keep one")
    return decoded


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name}, which is not a JSON number")


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what could not be written again: half characters, endless numbers, endless nesting."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        if not value.isascii() and any(0xD800 <= ord(character) < 0xE000 for character in value):
            raise ValueError("half a character (a lone surrogate)")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number beyond the range of double precision")
