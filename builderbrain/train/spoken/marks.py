"""Values and clauses in a text that is still being put together stand between private-use characters that name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum

_FIRST, _LAST = 0xE000, 0xF8FF
_CLAUSE = 0xF0000
"""Marks of clauses begin here, in another plane: what looks for values does not see them."""
_CLAUSE_MARK = re.compile("[\U000f0000-\U000ffffd]")
_LEADING = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd]*")


def mark(value: str, slot: int) -> str:
    """The value between the marks of the slot with this number."""
    return chr(_FIRST + 2 * slot) + value + chr(_FIRST + 2 * slot + 1)


def strip_marks(text: str, slots: Sequence[str]) -> tuple[str, dict[str, tuple[int, int] | None]]:
    """The text without marks, and the half-open range of the first value of each slot, None for a slot without one."""
    plain = ""
    starts: dict[int, int] = {}
    spans: dict[str, tuple[int, int] | None] = dict.fromkeys(slots)
    for character in text:
        slot, closing = divmod(ord(character) - _FIRST, 2)
        if not 0 <= slot < len(slots):
            plain += character
        elif not closing:
            starts[slot] = len(plain)
        elif spans[slots[slot]] is None:
            spans[slots[slot]] = (starts[slot], len(plain))
    return plain, spans


class Part(IntEnum):
    """What a part of a request is to its clause; in the order in which labels go over one another."""

    CLAUSE = 0
    BESIDE = 1
    """Says that the clause is to be done beside the one before."""
    CONDITION = 2
    """Says, within the clause, what it depends on."""


def part_number(clause: int, part: Part) -> int:
    """The number of a part of the clause with this number, both from 0."""
    return len(Part) * clause + part


def part_of(number: int) -> tuple[int, Part]:
    """The clause and the part that a number is of."""
    clause, part = divmod(number, len(Part))
    return clause, Part(part)


def mark_part(text: str, part: int) -> str:
    """The text between the marks of the part of a request with this number, from 0."""
    return chr(_CLAUSE + 2 * part) + text + chr(_CLAUSE + 2 * part + 1)


def marked_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges of all values in the text without its marks, in order."""
    ranges: list[tuple[int, int]] = []
    start = length = 0
    for character in text:
        if not _FIRST <= ord(character) <= _LAST:
            length += 1
        elif (ord(character) - _FIRST) % 2:
            ranges.append((start, length))
        else:
            start = length
    return tuple(ranges)


def strip_parts(text: str) -> tuple[str, dict[int, tuple[int, int]]]:
    """The text without the marks of parts, those of values kept, and the range of each part in the text without any mark."""
    starts: dict[int, int] = {}
    ranges: dict[int, tuple[int, int]] = {}
    length = 0
    for character in text:
        if _CLAUSE_MARK.match(character):
            part, closing = divmod(ord(character) - _CLAUSE, 2)
            if closing:
                ranges[part] = (starts[part], length)
            else:
                starts[part] = length
        elif not _FIRST <= ord(character) <= _LAST:
            length += 1
    return _CLAUSE_MARK.sub("", text), ranges


def first_letter(text: str) -> int:
    """Where the text begins behind its marks."""
    return _LEADING.match(text).end()  # type: ignore[union-attr]  # the empty string matches
