"""Incremental checks of an output's bytes, run beside the grammar engine's matcher.

The engine lets through what its grammar does not say: invalid UTF-8, raw control characters and lone surrogates in JSON
strings, duplicate keys, numbers that overflow. A machine here reads the same bytes and refuses the first that cannot be
part of a strictly well-formed text. States are immutable values, so a refused token changes nothing.

`StrictText` is UTF-8 alone (EBNF, regex, choice). `StrictJson` is a pushdown machine of RFC 8259 with unique keys, a
depth limit and finite numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import numpy as np

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

    def may_end(self, state: int) -> bool:
        return state == TEXT


# Lexical states of JSON. The string states come from a table; the others need the stack and stay in `_FREE`.
_FREE, _STRING, _ESCAPE = 0, 8, 9
_HEX = 10  # 10..13: four to one hexadecimal digits to come
_HEX_D = 14  # after \ud: decides whether a surrogate begins
_HIGH = 15  # 15, 16: two and one digits of a high surrogate to come
_LOW = 17  # 17..22: \ u d [c-f] and two digits of the low surrogate to come
_STATES = 23


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


@dataclass(frozen=True, slots=True)
class _Container:
    """An open object or array. `keys` of an object are decoded."""

    is_object: bool
    outer: _Container | None
    depth: int
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _JsonState:
    """`expects`: value, first value (or `]`), first key (or `}`), key, colon, comma (or the end). `piece`: a key, number
    or literal in progress; `lexical`: the state inside a string."""

    expects: str = "value"
    container: _Container | None = None
    lexical: int = _FREE
    piece: bytes | None = None


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

    def __init__(self) -> None:
        self.table = _string_table()
        self._rows = [row.tolist() for row in self.table]

    def start(self) -> _JsonState:
        return _JsonState()

    def lexical(self, state: _JsonState) -> int:
        return state.lexical

    def may_end(self, state: _JsonState) -> bool:
        if state.piece is not None:
            return state.container is None and self._number_may_end(state.piece)
        return state.expects == "comma" and state.container is None and state.lexical == _FREE

    def advance(self, state: _JsonState, data: bytes) -> _JsonState | None:
        for byte in data:
            following = self._outside(state, byte) if state.lexical == _FREE else self._in_string(state, byte)
            if following is None:
                return None
            state = following
        return state

    def _in_string(self, state: _JsonState, byte: int) -> _JsonState | None:
        lexical = self._rows[state.lexical][byte]
        # A name spelled with a needless escape would slip past the engine's rule for that name.
        if lexical == REFUSED or (state.lexical == _ESCAPE and state.piece is not None and byte in b"u/"):
            return None
        piece = None if state.piece is None else state.piece + bytes([byte])
        if lexical != _FREE:
            return _JsonState(state.expects, state.container, lexical, piece)
        if piece is None:
            return _JsonState("comma", state.container)
        key = json.loads(b'"' + piece)
        container = state.container
        if container is None or key in container.keys:
            return None
        return _JsonState("colon", replace(container, keys=container.keys | {key}))

    def _outside(self, state: _JsonState, byte: int) -> _JsonState | None:
        if state.piece is not None:
            return self._in_piece(state, state.piece, byte)
        expects, container = state.expects, state.container
        if byte in b" \t\n\r":
            return state
        if byte == ord('"'):
            if expects in ("value", "first value"):
                return _JsonState(expects, container, _STRING)
            return _JsonState(expects, container, _STRING, b"") if expects in ("key", "first key") else None
        if byte in b"}]":
            return self._close(expects, container, is_object=byte == ord("}"))
        if byte == ord(":"):
            return _JsonState("value", container) if expects == "colon" else None
        if byte == ord(","):
            if expects != "comma" or container is None:
                return None
            return _JsonState("key" if container.is_object else "value", container)
        if expects not in ("value", "first value"):
            return None
        if byte in b"{[":
            depth = 1 if container is None else container.depth + 1
            is_object = byte == ord("{")
            inner = _Container(is_object, container, depth)
            return _JsonState("first key" if is_object else "first value", inner) if depth <= MAX_DEPTH else None
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
            return done if piece in (b"true", b"false", b"null") else replace(state, piece=piece)
        continues = _number_continues(piece, byte)
        if continues is None:
            return self._outside(done, byte) if self._number_may_end(piece) else None
        return replace(state, piece=piece + bytes([byte])) if continues else None

    def _number_may_end(self, piece: bytes) -> bool:
        return piece[-1] in _DIGITS
