"""The strict text machine of structural tags: UTF-8 in free text, strict JSON inside a tag.

Where a JSON value ends and the text after it begins is not always known at once (a digit, a space), so a state is a set of
readings, all of them alive. States are immutable values, so a refused token changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from builderbrain.grammar.strict_text import StrictJson, StrictText
from builderbrain.grammar.structural_tags import TagSet
from builderbrain.grammar.utf8 import TEXT


class _Reading(NamedTuple):
    """One way to read the text so far.

    `part`: text, begin, value, end, separator or done; `tag`: which one, inside it; `offset`: bytes of a fixed text that are
    there, or the state of the UTF-8 automaton; `tail`: the last bytes of free text, as far as a trigger may begin there;
    `value`: the state of the JSON machine.
    """

    part: str
    tag: int = -1
    offset: int = 0
    tail: bytes = b""
    value: Any = None


State = frozenset[_Reading]


class StrictTags:
    """See `builderbrain.grammar.strict_text.TextMachine`. Its table knows one state, of which it says nothing."""

    table = np.zeros((1, 256), dtype=np.int16)
    free_state = 0

    def __init__(self, tags: TagSet) -> None:
        self._tags = tags
        self._begins = [tag.begin.encode() for tag in tags.tags]
        self._ends = [tag.end.encode() for tag in tags.tags]
        self._separator = None if tags.separator is None else tags.separator.encode()
        self._triggers = [(trigger.encode(), tags.triggered(trigger)) for trigger in tags.triggers]
        self._tail = max((len(trigger) for trigger, _ in self._triggers), default=1) - 1
        self._json = StrictJson()
        self._utf8 = StrictText()

    def start(self) -> State:
        if self._tags.at_least_one:
            return self._any_tag()
        if self._tags.triggers:
            return frozenset([_Reading("text", offset=TEXT)])
        return self._any_tag() | {_Reading("done")}

    def lexical(self, state: State) -> int:
        return 0

    def key(self, state: State) -> None:
        return None

    def may_end(self, state: State) -> bool:
        return any(reading.part == "done" or (reading.part == "text" and reading.offset == TEXT) for reading in state)

    def advance(self, state: State, data: bytes) -> State | None:
        position = 0
        while position < len(data) and state:
            only = next(iter(state)) if len(state) == 1 else None
            if only is not None and only.part == "text":
                state, position = self._in_text(only, data, position)
            else:
                state = frozenset(following for reading in state for following in self._step(reading, data[position]))
                position += 1
        return state or None

    def _any_tag(self) -> State:
        return frozenset(_Reading("begin", tag=index) for index in range(len(self._begins)))

    def _step(self, reading: _Reading, byte: int) -> State:
        if reading.part == "text":
            return self._in_text(reading, bytes([byte]), 0)[0]
        if reading.part == "value":
            following = self._json.advance(reading.value, bytes([byte]))
            found = frozenset() if following is None else frozenset([reading._replace(value=following)])
            return found | self._in_end(reading.tag, 0, byte) if self._json.may_end(reading.value) else found
        if reading.part == "begin":
            return self._in_begin(reading.tag, reading.offset, byte)
        if reading.part == "end":
            return self._in_end(reading.tag, reading.offset, byte)
        if reading.part == "separator" and self._separator is not None and self._separator[reading.offset] == byte:
            done = reading.offset + 1 == len(self._separator)
            return self._any_tag() if done else frozenset([reading._replace(offset=reading.offset + 1)])
        return frozenset()

    def _in_text(self, reading: _Reading, data: bytes, start: int) -> tuple[State, int]:
        """Read on until a trigger is whole, or all of it; gives the readings and the position after them."""
        text = reading.tail + data[start:]
        places = [
            (at + len(trigger), index) for index, (trigger, _) in enumerate(self._triggers) if (at := text.find(trigger)) >= 0
        ]
        if places:
            end, index = min(places)
            trigger, tags = self._triggers[index]
            end += start - len(reading.tail)
            # A trigger begins and ends between characters, so what is before it must do so.
            whole = self._utf8.advance(reading.offset, data[start:end]) == TEXT
            return frozenset(self._begun(tag, len(trigger)) for tag in tags if whole), end
        utf8 = self._utf8.advance(reading.offset, data[start:])
        if utf8 is None:
            return frozenset(), len(data)
        tail = text[-self._tail :] if self._tail else b""
        return frozenset([_Reading("text", offset=utf8, tail=tail)]), len(data)

    def _in_begin(self, tag: int, offset: int, byte: int) -> State:
        return frozenset([self._begun(tag, offset + 1)] if self._begins[tag][offset] == byte else [])

    def _begun(self, tag: int, offset: int) -> _Reading:
        if offset < len(self._begins[tag]):
            return _Reading("begin", tag=tag, offset=offset)
        return _Reading("value", tag=tag, value=self._json.start())

    def _in_end(self, tag: int, offset: int, byte: int) -> State:
        if self._ends[tag][offset] != byte:
            return frozenset()
        if offset + 1 < len(self._ends[tag]):
            return frozenset([_Reading("end", tag=tag, offset=offset + 1)])
        if self._tags.stop_after_first:
            return frozenset([_Reading("done")])
        if self._separator is None:
            return frozenset([_Reading("text", offset=TEXT)])
        return frozenset([_Reading("done")]) | (frozenset([_Reading("separator")]) if self._separator else self._any_tag())
