"""What a server answered, as the declared results of a skill.

It is data: bounded, of the declared types, and without characters that act on who reads it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builderbrain.errors import BrokenToolError
from builderbrain.plan.faults import shown
from builderbrain.tools.base import Results, cut_text

if TYPE_CHECKING:
    import mcp_types

MAX_STRUCTURED_BYTES = 256 * 1024
TEXT_RESULT = "text"
"""Result with the text of an answer, unless the server declares one of this name."""

# Control characters but tab and new lines; what turns the direction of text round or is invisible; tags; lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, kw_only=True)
class DeclaredResult:
    """One result: the property of the structured answer that it is, and its type."""

    property: str
    type: str


def plain(text: str) -> str:
    """The text with characters that act on a terminal or a reader, or cannot be seen, written out as `\\u202e`."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def answer_text(answer: mcp_types.CallToolResult) -> str:
    """The text of an answer, cut; other content is named, not shown."""
    parts = []
    for block in answer.content:
        if block.type == "text":
            parts.append(plain(block.text))
        elif block.type in ("image", "audio"):
            parts.append(f"[{block.type} left out, {len(block.data)} characters of base64]")
        else:
            parts.append(f"[{block.type} left out]")
    return cut_text("\n".join(parts))


def results_of(answer: mcp_types.CallToolResult, declared: Mapping[str, DeclaredResult]) -> Results:
    """The declared results, and the text of the answer.

    Raises:
        BrokenToolError: the structured answer is not what the server declared, or too large.
    """
    results: dict[str, Any] = {TEXT_RESULT: answer_text(answer)}
    if not declared:
        return results
    structured = answer.structured_content
    if not isinstance(structured, dict):
        raise BrokenToolError("it declares a structured answer and gave none")
    if len(json.dumps(structured)) > MAX_STRUCTURED_BYTES:
        raise BrokenToolError(f"its structured answer has more than {MAX_STRUCTURED_BYTES} bytes; ask for less")
    for name, result in declared.items():
        results[name] = _value(name, result.type, structured.get(result.property))
    return results


def _value(name: str, kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind.startswith("list of "):
        if not isinstance(value, list):
            raise _wrong(name, kind, value)
        return [_value(name, kind.removeprefix("list of "), item) for item in value]
    if kind in ("string", "text"):
        if not isinstance(value, str):
            raise _wrong(name, kind, value)
        return cut_text(plain(value))
    if kind == "boolean":
        if not isinstance(value, bool):
            raise _wrong(name, kind, value)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, kind, value)
    if kind == "integer":
        if value != int(value):
            raise _wrong(name, kind, value)
        return int(value)
    return value


def _wrong(name: str, kind: str, value: Any) -> BrokenToolError:
    return BrokenToolError(f"it declares that {name} is a {kind}, and gave {shown(value)}")
