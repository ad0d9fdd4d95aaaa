"""Incremental checks of an output's bytes, run beside the grammar engine's matcher.

The engine lets through what its grammar does not say: invalid UTF-8, raw control characters and lone surrogates in JSON
strings, duplicate keys, numbers that overflow. A machine here reads the same bytes and refuses the first that cannot be
part of a strictly well-formed text. States are immutable values, so a refused token changes nothing.

`StrictText` is UTF-8 alone (EBNF, regex, choice). `StrictJson` is a pushdown machine of RFC 8259 with unique keys, a
depth limit and finite numbers.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from builderbrain.grammar.places import FIRST, UNKNOWN, Length, Member, Place, Places
from builderbrain.grammar.utf8 import REFUSED, TEXT, UTF8_STATES, Table, add_utf8, utf8_table

MAX_DEPTH = 64
MAX_DIGITS = 200
"""Digits of a number before the point, and after it."""
MAX_EXPONENT_DIGITS = 2
"""Of a positive exponent; a negative one may have another. With MAX_DIGITS, every number is finite in double precision."""


class TextMachine(Protocol):
    """Reads an output byte by byte."""

    table: Table
    """Transitions [S, 256] of the lexical states; `free_state` absorbs."""
    free_state: int
    """Lexical state from which the table says nothing about what follows."""

    def start(self) -> Any:
        """The state before the first byte."""
        ...

    def advance(self, state: Any, data: bytes) -> Any | None:
        """The state after `data`; None when it cannot stand there."""
        ...

    def lexical(self, state: Any) -> int:
        """Row of `table` that the state is in."""
        ...

    def key(self, state: Any) -> tuple[Any, ...] | None:
        """What decides the mask in the state; None where the machine does not know."""
        ...

    def may_end(self, state: Any) -> bool:
        """Whether the text may end here."""
        ...


class StrictText:
    """Well-formed UTF-8; the state is the automaton's."""

    free_state = UTF8_STATES

    def __init__(self) -> None:
        self.table = np.vstack([utf8_table(), np.full((1, 256), self.free_state, dtype=np.int16)])
        self._rows = [row.tolist() for row in utf8_table()]

    def start(self) -> int:
        return TEXT

    def advance(self, state: int, data: bytes) -> int | None:
        for byte in data:
            state = self._rows[state][byte]
            if state == REFUSED:
                return None
        return state

    def lexical(self, state: int) -> int:
        return state

    def key(self, state: int) -> None:
        return None

    def may_end(self, state: int) -> bool:
        return state == TEXT


# Lexical states of JSON. The string states come from a table; the others need the stack and stay in `_FREE`.
_FREE, _STRING, _ESCAPE = 0, 8, 9
_HEX = 10  # 10..13: four to one hexadecimal digits to come
_HEX_D = 14  # after \ud: decides whether a surrogate begins
_HIGH = 15  # 15, 16: two and one digits of a high surrogate to come
_LOW = 17  # 17..22: \ u d [c-f] and two digits of the low surrogate to come
_STATES = 23
_MAX_NUMBER = 2
"""Bytes of a number or literal in progress whose masks are kept."""
_MAX_TEXT = 64
"""Bytes of a string that is told from others by its text."""


@cache
def _string_table() -> Table:
    """Transitions inside a JSON string, from after the opening quote to the closing one (which leads to `_FREE`)."""
    table = np.full((_STATES, 256), REFUSED, dtype=np.int16)
    hexadecimal = [ord(digit) for digit in "0123456789abcdefABCDEF"]
    table[_FREE] = _FREE
    table[_STRING, 0x20:0x80] = _STRING
    table[_STRING, ord('"')] = _FREE
    table[_STRING, ord("\\")] = _ESCAPE
    add_utf8(table, _STRING, 0)
    for byte in b'"\\/bfnrt':
        table[_ESCAPE, byte] = _STRING
    table[_ESCAPE, ord("u")] = _HEX
    for state in range(_HEX, _HEX + 4):
        table[state, hexadecimal] = _STRING if state == _HEX + 3 else state + 1
    for byte in b"dD":
        table[_HEX, byte] = _HEX_D
        table[_LOW + 2, byte] = _LOW + 3
    table[_HEX_D, [ord(digit) for digit in "01234567"]] = _HEX + 2
    table[_HEX_D, [ord(digit) for digit in "89abAB"]] = _HIGH
    table[_HIGH, hexadecimal] = _HIGH + 1
    table[_HIGH + 1, hexadecimal] = _LOW
    table[_LOW, ord("\\")] = _LOW + 1
    table[_LOW + 1, ord("u")] = _LOW + 2
    table[_LOW + 3, [ord(digit) for digit in "cdefCDEF"]] = _LOW + 4
    table[_LOW + 4, hexadecimal] = _LOW + 5
    table[_LOW + 5, hexadecimal] = _STRING
    return table


@cache
def _string_rows() -> list[list[int]]:
    rows: list[list[int]] = _string_table().tolist()
    return rows


class _Container(NamedTuple):
    """An open object or array. `keys` of an object are decoded. `number`, `place` and `at`: see `places.py`."""

    is_object: bool
    outer: _Container | None
    depth: int
    keys: frozenset[str] = frozenset()
    number: int = UNKNOWN
    place: Place | None = None
    at: Member = FIRST


class _JsonState(NamedTuple):
    """`expects`: value, first value (or `]`), first key (or `}`), key, colon, comma (or the end). `piece`: a key, number
    or literal in progress; `lexical`: the state inside a string. Of a value that is a string, `length` where its bounds are all
    that is asked, `chars` that have begun, and else `text`, unless that is long or its place unknown."""

    expects: str = "value"
    container: _Container | None = None
    lexical: int = _FREE
    piece: bytes | None = None
    length: Length | None = None
    chars: int = 0
    text: bytes | None = None


class StringPlace(NamedTuple):
    """Between two characters of a string of which `least` to `most` are still to come, or more than any token has; it is in
    `container` at `at`."""

    container: int
    at: Member
    least: int
    most: int


_NEXT_LITERAL = {b"true"[:n]: b"true"[n] for n in range(1, 4)}
_NEXT_LITERAL |= {b"false"[:n]: b"false"[n] for n in range(1, 5)}
_NEXT_LITERAL |= {b"null"[:n]: b"null"[n] for n in range(1, 4)}
_DIGITS = frozenset(b"0123456789")


def _number_continues(piece: bytes, byte: int) -> bool | None:
    """Whether `piece + byte` may be a prefix of a number; None when `byte` cannot belong to a number at all."""
    if byte not in b"0123456789.eE+-":
        return None
    mantissa, has_exponent, exponent = piece.lower().partition(b"e")
    if has_exponent:
        if byte not in _DIGITS:
            return byte in b"+-" and not exponent
        most = MAX_EXPONENT_DIGITS + exponent.startswith(b"-")
        return len(exponent.lstrip(b"+-")) < most
    whole, point, fraction = mantissa.partition(b".")
    whole = whole.lstrip(b"-")
    if byte in _DIGITS:
        return len(fraction) < MAX_DIGITS if point else whole != b"0" and len(whole) < MAX_DIGITS
    if byte == ord("."):
        return bool(whole) and not point
    return byte in b"eE" and bool(whole) and (not point or bool(fraction))


class StrictJson:
    """One JSON value with whitespace around it."""

    free_state = _FREE

    def __init__(self, places: Places | None = None) -> None:
        """A machine that follows the places of a schema, where they are given."""
        self.table = _string_table()
        self._rows = _string_rows()
        self._places = places

    def start(self) -> _JsonState:
        return _JsonState()

    def lexical(self, state: _JsonState) -> int:
        return state.lexical

    def may_end(self, state: _JsonState) -> bool:
        if state.piece is not None:
            return state.container is None and self._number_may_end(state.piece)
        return state.expects == "comma" and state.container is None and state.lexical == _FREE

    def key(self, state: _JsonState) -> tuple[Any, ...] | None:
        """What decides the mask in this state, among all states of machines that follow places; None where that is unknown."""
        container, places = state.container, self._places
        if places is None:
            return None
        number, at = (places.number, FIRST) if container is None else (container.number, container.at)
        if number == UNKNOWN:
            return None
        if state.lexical == _FREE:
            if state.piece is not None and len(state.piece) > _MAX_NUMBER:
                return None  # long numbers seldom come again, and the library is quick there
            return number, at, state.expects, state.piece
        if state.piece is not None:
            place = None if container is None else container.place
            alike = place is not None and not place.may_be_named(state.piece)
            return number, at, state.expects, state.lexical, None if alike else state.piece
        if state.length is None:
            return None if state.text is None else (number, at, state.text)
        longest, least, most = places.longest, state.length.least - state.chars, state.length.most - state.chars
        least = 0 if least < 0 else longest if least > longest else least
        bounded = longest if most > longest else int(most)
        if state.lexical == _STRING:
            return StringPlace(number, at, least, bounded)
        return number, at, least, bounded, state.lexical

    def advance(self, state: _JsonState, data: bytes) -> _JsonState | None:
        position = 0
        following: _JsonState | None
        while position < len(data):
            if state.lexical == _FREE:
                following, position = self._outside(state, data[position]), position + 1
            elif state.piece is not None:
                following, position = self._in_name(state, state.piece, data, position)
            else:
                following, position = self._in_text(state, data, position)
            if following is None:
                return None
            state = following
        return state

    def _in_text(self, state: _JsonState, data: bytes, start: int) -> tuple[_JsonState | None, int]:
        """Read on until the string ends, or all of it; gives the state and the position after it."""
        rows, lexical, chars = self._rows, state.lexical, state.chars
        for position in range(start, len(data)):
            chars += lexical == _STRING
            lexical = rows[lexical][data[position]]
            if lexical == REFUSED:
                return None, position
            if lexical == _FREE:
                return _JsonState("comma", state.container), position + 1
        text = state.text if state.text is None else state.text + data[start:]
        if text is not None and len(text) > _MAX_TEXT:
            text = None
        return _JsonState(state.expects, state.container, lexical, None, state.length, chars, text), len(data)

    def _in_name(self, state: _JsonState, piece: bytes, data: bytes, start: int) -> tuple[_JsonState | None, int]:
        """Read on until the name ends, or all of it; gives the state and the position after it."""
        rows, lexical = self._rows, state.lexical
        for position in range(start, len(data)):
            byte, escaped = data[position], lexical == _ESCAPE
            lexical = rows[lexical][byte]
            # A name spelled with a needless escape would slip past the engine's rule for that name.
            if lexical == REFUSED or (escaped and byte in b"u/"):
                return None, position
            if lexical == _FREE:
                return self._named(state.container, piece + data[start : position + 1]), position + 1
        return _JsonState(state.expects, state.container, lexical, piece + data[start:]), len(data)

    def _named(self, container: _Container | None, piece: bytes) -> _JsonState | None:
        """After a name with its closing quote."""
        key = json.loads(b'"' + piece)
        if container is None or key in container.keys:
            return None
        at = container.at if container.place is None else container.place.member(key)
        return _JsonState("colon", container._replace(keys=container.keys | {key}, at=at))

    def _begin_text(self, state: _JsonState) -> _JsonState:
        if self._places is None:
            return _JsonState(state.expects, state.container, _STRING)
        place = self._place(state.container)
        length = None if place is None else place.length()
        return _JsonState(state.expects, state.container, _STRING, length=length, text=b"" if length is None else None)

    def _place(self, container: _Container | None) -> Place | None:
        """The place of the value that comes now."""
        if container is None:
            return None if self._places is None else self._places.root
        return None if container.place is None else container.place.inner(container.at, is_object=container.is_object)

    def _open(self, outer: _Container | None, *, is_object: bool) -> _JsonState | None:
        depth = 1 if outer is None else outer.depth + 1
        if depth > MAX_DEPTH:
            return None
        inner = _Container(is_object, outer, depth)
        place = self._place(outer)
        if self._places is not None and place is not None and place.opens(is_object=is_object):
            around = (self._places.number, FIRST) if outer is None else (outer.number, outer.at)
            number = self._places.container(*around, is_object=is_object)
            if number != UNKNOWN:
                inner = inner._replace(number=number, place=place, at=FIRST if is_object else 0)
        return _JsonState("first key" if is_object else "first value", inner)

    def _outside(self, state: _JsonState, byte: int) -> _JsonState | None:
        if state.piece is not None:
            return self._in_piece(state, state.piece, byte)
        expects, container = state.expects, state.container
        if byte in b" \t\n\r":
            return state
        if byte == ord('"'):
            if expects in ("value", "first value"):
                return self._begin_text(state)
            return _JsonState(expects, container, _STRING, b"") if expects in ("key", "first key") else None
        if byte in b"}]":
            return self._close(expects, container, is_object=byte == ord("}"))
        if byte == ord(":"):
            return _JsonState("value", container) if expects == "colon" else None
        if byte == ord(","):
            if expects != "comma" or container is None:
                return None
            if container.is_object:
                return _JsonState("key", container)
            if container.place is not None and isinstance(container.at, int):
                container = container._replace(at=container.place.next_item(container.at))
            return _JsonState("value", container)
        if expects not in ("value", "first value"):
            return None
        if byte in b"{[":
            return self._open(container, is_object=byte == ord("{"))
        return _JsonState(expects, container, _FREE, bytes([byte])) if byte in b"-0123456789tfn" else None

    def _close(self, expects: str, container: _Container | None, *, is_object: bool) -> _JsonState | None:
        legal = ("comma", "first key") if is_object else ("comma", "first value")
        if container is None or container.is_object != is_object or expects not in legal:
            return None
        return _JsonState("comma", container.outer)

    def _in_piece(self, state: _JsonState, piece: bytes, byte: int) -> _JsonState | None:
        done = _JsonState("comma", state.container)
        if piece[0] in b"tfn":
            if _NEXT_LITERAL[piece] != byte:
                return None
            piece += bytes([byte])
            return done if piece in (b"true", b"false", b"null") else state._replace(piece=piece)
        continues = _number_continues(piece, byte)
        if continues is None:
            return self._outside(done, byte) if self._number_may_end(piece) else None
        return state._replace(piece=piece + bytes([byte])) if continues else None

    def _number_may_end(self, piece: bytes) -> bool:
        return piece[-1] in _DIGITS
