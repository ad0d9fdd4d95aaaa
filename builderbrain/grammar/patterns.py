"""What a regular expression asks for, read from its syntax tree before any engine sees it.

Python's own parser gives the tree; the expression is never run by Python's backtracking matcher. Engine and validator
know slightly different dialects, so what one of them reads otherwise is refused here, by name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from builderbrain.errors import GrammarLimitError, GrammarRefusedError

MAX_PATTERN_BYTES = 512
MAX_REPETITION = 256


@dataclass(frozen=True, kw_only=True)
class PatternFacts:
    """Fewest and most characters of a match, and the literal characters outside classes."""

    shortest: int
    longest: int
    literals: frozenset[str]


def _items(tree: Any, repetition: int, field: str) -> Iterator[tuple[Any, Any]]:
    """Every node, checking that counted repetitions do not multiply beyond the limit."""
    for code, argument in tree:
        yield code, argument
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            fewest, most, inner = argument
            count = repetition * max(int(fewest), 1 if most is codes.MAXREPEAT else int(most), 1)
            if count > MAX_REPETITION:
                raise GrammarLimitError(
                    f"repetition: expected counted repetitions of at most {MAX_REPETITION} in all, got {count}; "
                    "use + or * or a smaller count",
                    field=field,
                )
            yield from _items(inner, count, field)
        elif code is codes.SUBPATTERN:
            yield from _items(argument[3], repetition, field)
        elif code is codes.BRANCH:
            for branch in argument[1]:
                yield from _items(branch, repetition, field)
        elif code is codes.ATOMIC_GROUP:
            yield from _items(argument, repetition, field)


_REFUSED = {
    codes.ASSERT: "look-around",
    codes.ASSERT_NOT: "look-around",
    codes.GROUPREF: "a back-reference",
    codes.GROUPREF_EXISTS: "a conditional group",
    codes.ATOMIC_GROUP: "an atomic group",
    codes.POSSESSIVE_REPEAT: "a possessive repetition",
}


def _check_anchors(tree: Any, field: str) -> None:
    """Anchors only where they mean the whole text: `^` first and `$` last in the pattern or a top-level alternative."""
    branches = [tree]
    if len(tree) == 1 and tree[0][0] is codes.BRANCH:
        branches = tree[0][1][1]
    allowed = 0
    for branch in branches:
        items = list(branch)
        if items and items[0] == (codes.AT, codes.AT_BEGINNING):
            allowed += 1
        if items and items[-1] == (codes.AT, codes.AT_END):
            allowed += 1
    anchors = sum(code is codes.AT for code, _ in _items(tree, 1, field))
    if anchors > allowed:
        raise GrammarRefusedError(
            "pattern: expected ^ only at the start and $ only at the end, got an anchor or a word boundary inside; "
            "rewrite the pattern without it",
            field=field,
        )


def read_pattern(pattern: str, *, field: str) -> PatternFacts:
    """Check a pattern against the limits and the common dialect.

    Raises:
        GrammarLimitError: over a limit (bytes, repetition).
        GrammarRefusedError: malformed, or uses what engine and validator do not both honour.
    """
    size = len(pattern.encode("utf-8", "surrogatepass"))
    if size > MAX_PATTERN_BYTES:
        raise GrammarLimitError(
            f"pattern size: expected at most {MAX_PATTERN_BYTES} bytes, got {size}; use a shorter pattern", field=field
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # ambiguous set syntax such as [a&&b]
            tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise GrammarRefusedError(f"pattern: expected a regular expression, got {error}; correct it", field=field) from error
    literals: set[str] = set()
    for code, argument in _items(tree, 1, field):
        if code in _REFUSED:
            raise GrammarRefusedError(
                f"pattern: expected a regular language without {_REFUSED[code]}; rewrite the pattern without it", field=field
            )
        if code is codes.SUBPATTERN and (argument[1] or argument[2]):
            raise GrammarRefusedError("pattern: expected no inline flags such as (?i:...); spell the letters out", field=field)
        if code in (codes.LITERAL, codes.NOT_LITERAL):
            literals.add(chr(argument))
    if tree.state.flags & ~re.UNICODE:
        raise GrammarRefusedError("pattern: expected no inline flags such as (?i); spell the letters out", field=field)
    _check_anchors(tree, field)
    shortest, longest = tree.getwidth()
    return PatternFacts(shortest=int(shortest), longest=int(longest), literals=frozenset(literals))


def check_json_pattern(facts: PatternFacts, *, field: str) -> None:
    """Refuse a pattern for a JSON string that needs characters which JSON escapes: the mask sees escaped text.

    Raises:
        GrammarRefusedError: the pattern spells a quote, a backslash or a control character.
    """
    escaped = sorted(character for character in facts.literals if character in '"\\' or character < " ")
    if escaped:
        raise GrammarRefusedError(
            f"pattern: expected no characters that JSON strings escape, got {escaped!r}; "
            "no engine enforces them, so drop them from the pattern",
            field=field,
        )
