"""How tools, their calls and their results stand in a conversation's text: one form, for every family of bases.

It is the form that ChatML bases with tools were trained on: a call is a JSON object with `name` and `arguments` between
`<tool_call>` and `</tool_call>`, a result stands between `<tool_response>` and `</tool_response>` in the user's turn, and the
functions are listed in the system's. What a model writes is read by `ToolCallParser`, whole or in pieces: one reading for
replies and streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from builderbrain.errors import BuilderBrainError

TRIGGER = "<tool_call>"
END = "}\n</tool_call>"
SEPARATOR = "\n"
_HEAD = '\n{"name": "'
_MIDDLE = '", "arguments": '


def begin(name: str) -> str:
    """What stands before the arguments of a call."""
    return f"{TRIGGER}{_HEAD}{name}{_MIDDLE}"


def call_text(name: str, arguments: str) -> str:
    """A call. `arguments` is the JSON text of an object."""
    return f"{begin(name)}{arguments}{END}"


def results_text(results: Iterable[str]) -> str:
    """Results of calls, in the order of the calls."""
    return "\n".join(f"<tool_response>\n{result}\n</tool_response>" for result in results)


def functions_text(functions: Sequence[dict[str, Any]]) -> str:
    """What the system says about the functions, each an object with `name`, `description` and `parameters`."""
    lines = "\n".join(json.dumps({"type": "function", "function": each}, ensure_ascii=False) for each in functions)
    return (
        f"# Tools\n\nYou may call functions. Those there are:\n<tools>\n{lines}\n</tools>\n\n"
        f"For each call write a JSON object with the function's name and its arguments within these tags:\n"
        f'{TRIGGER}\n{{"name": NAME, "arguments": OBJECT}}\n</tool_call>'
    )


@dataclass(frozen=True)
class Text:
    """Text of the answer."""

    text: str


@dataclass(frozen=True)
class CallBegins:
    """The `index`-th call, of the function `name`."""

    index: int
    name: str


@dataclass(frozen=True)
class Arguments:
    """More of the JSON text of a call's arguments."""

    index: int
    text: str


@dataclass(frozen=True)
class CallEnds:
    """The arguments of a call are whole."""

    index: int


Event = Text | CallBegins | Arguments | CallEnds


class ToolCallParser:
    """Reads an output that the constraint of a `Toolbox` made, in pieces of any size.

    Joined texts do not depend on how the output is cut. Whitespace between text and a call is dropped, as it is between calls.
    """

    def __init__(self) -> None:
        self._held = ""
        self._part = self._text
        self._index = -1
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> list[Event]:
        """What more of the output says.

        Raises:
            BuilderBrainError: it is not in the form of tool calls.
        """
        self._held += text
        events: list[Event] = []
        while self._part(events):
            pass
        return events

    def finish(self) -> list[Event]:
        """What was held back until the end of the output: a beginning of a tag that did not come, or whitespace."""
        held, self._held = self._held, ""
        return [Text(held)] if held and self._part == self._text and self._index < 0 else []

    def _text(self, events: list[Event]) -> bool:
        place = self._held.find(TRIGGER)
        if place >= 0:
            self._say(self._held[:place].rstrip(), events)
            self._held = self._held[place + len(TRIGGER) :]
            self._part = self._head
            return True
        most = min(len(self._held), len(TRIGGER) - 1)
        begun = next((size for size in range(most, 0, -1) if TRIGGER.startswith(self._held[-size:])), 0)
        safe = len(self._held[: len(self._held) - begun].rstrip())
        self._say(self._held[:safe], events)
        self._held = self._held[safe:]
        return False

    def _say(self, text: str, events: list[Event]) -> None:
        if not text:
            return
        if self._index >= 0:
            raise BuilderBrainError("expected a tool call or the end after a tool call, got text")
        events.append(Text(text))

    def _head(self, events: list[Event]) -> bool:
        if not self._held.startswith(_HEAD[: len(self._held)]):
            raise BuilderBrainError("expected a name after the beginning of a tool call")
        end = self._held.find(_MIDDLE, len(_HEAD))
        if end < 0:
            return False
        self._index += 1
        events.append(CallBegins(self._index, self._held[len(_HEAD) : end]))
        self._held = self._held[end + len(_MIDDLE) :]
        self._part = self._arguments
        return True

    def _arguments(self, events: list[Event]) -> bool:
        if self._depth == 0 and self._held and self._held[0] != "{":
            raise BuilderBrainError("expected an object as the arguments of a tool call")
        end = next((at for at, character in enumerate(self._held, start=1) if self._closes(character)), None)
        text = self._held[:end]
        self._held = self._held[len(text) :]
        if text:
            events.append(Arguments(self._index, text))
        if end is None:
            return False
        events.append(CallEnds(self._index))
        self._part = self._tail
        return True

    def _closes(self, character: str) -> bool:
        """Take one character of the arguments; whether it ends them."""
        if self._in_string:
            self._in_string = self._escaped or character != '"'
            self._escaped = character == "\\" and not self._escaped
            return False
        self._in_string = character == '"'
        self._depth += (character in "{[") - (character in "}]")
        return self._depth == 0

    def _tail(self, events: list[Event]) -> bool:
        if not END.startswith(self._held[: len(END)]):
            raise BuilderBrainError("expected the end of a tool call after its arguments")
        if len(self._held) < len(END):
            return False
        self._held = self._held[len(END) :]
        self._part = self._text
        return True
