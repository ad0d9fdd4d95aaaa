"""Which spellings of a path are refused before anything is opened.

This is the lexical half of confinement, shared by the checker (so that a bad plan is refused whole) and by the tools. The
other half, links and races, is `builderbrain.tools.root`. Paths in plans are relative to the working root and use `/`.
Encoded, full-width and Windows spellings are refused too: nothing here decodes them, but a later layer might.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

_PLAIN = re.compile(r"[A-Za-z0-9_\-+@,()/ ]*(?:\.[A-Za-z0-9_\-+@,()/][A-Za-z0-9_\-+@,()/ ]*)*").fullmatch
"""Paths that need no second look: every dot is followed by a letter, digit or sign (`.github/x`, `a.b.c`)."""
_SCHEME = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.\-]*:/|file:", re.IGNORECASE).match


def path_fault(path: str) -> str | None:
    """Why this spelling of a path is refused, or None when it may be opened below the working root.

    `..` is fine while it stays inside (`docs/../README.md`).
    """
    if path == "." or (path and path[0] not in "/ " and path[-1] != " " and _PLAIN(path) and " /" not in path):
        return None
    if not path:
        return "is empty"
    if any(ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) < 0xE000 for character in path):
        return "holds a control character"
    fault = _lexical_fault(path)
    if fault is not None:
        return fault
    decoded = path
    for _ in range(4):
        plain = unicodedata.normalize("NFKC", unquote(decoded, errors="replace"))
        if plain == decoded:
            return None
        decoded = plain
        fault = _lexical_fault(decoded) or ("holds an encoded control character" if "\0" in decoded else None)
        if fault is not None:
            return f"{fault} once decoded"
    return "is encoded many times over"


def _lexical_fault(path: str) -> str | None:
    if path.startswith("/"):
        return "is absolute"
    if path.startswith("~"):
        return "names a home folder"
    if path.startswith("$"):
        return "names a variable"
    if "\\" in path:
        return "holds a backslash"
    if _SCHEME(path):
        return "names a drive or a URL"
    depth = 0
    for component in path.split("/"):
        if component in ("", "."):
            continue
        if component == "..":
            depth -= 1
            if depth < 0:
                return "leaves the working root"
        elif not component.strip(" ."):
            return "holds a folder of dots or spaces only"
        else:
            depth += 1
    return None
