"""What tools gave, as lines of a prompt. Tool output is data: it may say anything, and opens nothing.

An observation is one line. Text in it is a JSON string in which every character that could begin a line, a fence, a tag, a call
or a special token is an escape: no line of a file can become a step of a plan, a `<tool_call>`, `<|im_start|>` or `[INST]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from builderbrain.agent.trace import TraceEntry
from builderbrain.plan import Domain
from builderbrain.plan.domain import OK_RESULT
from builderbrain.plan.repair import KnownValue

TEXT_CHARACTERS = 400
LINE_CHARACTERS = 1_600
LISTED = 3
"""Items of a list that are told."""
_ESCAPED = frozenset("<>[]{}|&$`=")
"""Beside quotes, backslashes and what is not printable: what tags, templates, calls, steps and fences are made of."""
_REFERENCE = re.compile(r"\$\{\w+\.\w+\}").fullmatch
"""An argument that never got its value."""
_KNOWN_TYPES = ("string", "path", "text")


def observations(entries: Sequence[TraceEntry]) -> tuple[str, ...]:
    """A line for each step that ran, failed or could not run: `Seen: search done, count 2, text "..."`."""
    return tuple(_line(entry) for entry in entries)


def escaped(value: Any, limit: int = TEXT_CHARACTERS) -> str:
    """A value as data in a prompt: numbers and words of JSON as they are, text as a string that opens nothing."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        told = [escaped(item, limit // LISTED) for item in value[:LISTED]]
        return " and ".join([*told, *(["more"] if len(value) > LISTED else [])]) or "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return f'"{"".join(map(_character, cut))}"'


def known_values(entries: Sequence[TraceEntry], domain: Domain) -> tuple[KnownValue, ...]:
    """What repair may complete arguments of steps without effects with."""
    found = []
    for entry in entries:
        for name, value in (entry.output or {}).items():
            kind = domain.skills[entry.skill].results.get(name)
            if name != OK_RESULT and kind in _KNOWN_TYPES and isinstance(value, str) and value:
                found.append(KnownValue(name=name, type=kind, value=value, source=f"the last {entry.skill}"))
    return tuple(found)


def _line(entry: TraceEntry) -> str:
    output: Mapping[str, Any] = entry.output or {}
    parts = [f"Seen: {entry.skill} {entry.status}"]
    parts += [f"{name} {escaped(value)}" for name, value in entry.args.items() if not _REFERENCE(str(value))]
    parts += [f"{name} {escaped(value)}" for name, value in output.items() if name != OK_RESULT]
    if entry.error is not None:
        parts.append(f"error {escaped(entry.error)}")
    line = parts[0]
    for part in parts[1:]:  # whole parts alone: a string that is cut would not be closed
        if len(line) + len(part) + 2 > LINE_CHARACTERS:
            return f"{line}, more"
        line = f"{line}, {part}"
    return line


def _character(character: str) -> str:
    if character in _ESCAPED or not character.isprintable() or 0xD800 <= ord(character) < 0xE000:
        number = ord(character)
        if number > 0xFFFF:
            number -= 0x10000
            return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
        return f"\\u{number:04x}"
    return f"\\{character}" if character in '"\\' else character
