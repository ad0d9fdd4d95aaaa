"""Strict reading of JSON text: what an answer or a schema must survive before anything else looks at it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class JsonTextError(ValueError):
    """The text is no strict JSON; the message says why, in one line."""


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings, found without recursion."""
    depth = deepest = 0
    for match in _TOKENS.finditer(text):
        character = match[0][0]
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonTextError(f"duplicate key {key!r:.80}")
        found[key] = value
    return found


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise JsonTextError(f"number out of range: {literal:.40}")
    return value


def _no_constant(literal: str) -> float:
    raise JsonTextError(f"{literal} is not JSON")


def parse_strict(text: str, *, max_depth: int) -> Any:
    """Parse one JSON value.

    Refuses what parsers disagree about: duplicate keys, NaN and Infinity, numbers beyond double precision, lone
    surrogates, raw control characters in strings, and nesting over `max_depth` (so a 10^5-deep text costs no recursion).

    Raises:
        JsonTextError: why the text is refused.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise JsonTextError(f"surrogate at character {error.start}") from error
    if (depth := _depth(text)) > max_depth:
        raise JsonTextError(f"nesting depth {depth} is over {max_depth}")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except JsonTextError:
        raise
    except UnicodeEncodeError as error:
        raise JsonTextError("escaped lone surrogate") from error
    except ValueError as error:  # malformed, or an integer of thousands of digits
        raise JsonTextError(str(error)) from error
    return value
