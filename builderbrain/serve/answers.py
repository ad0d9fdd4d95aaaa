"""What an output says, as text and tool calls, whole or while it is decoded: one reading for every endpoint."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from builderbrain.decode.base import Generation
from builderbrain.serve.streaming import SentText
from builderbrain.serve.tool_text import Arguments, CallBegins, CallEnds, Event, Text, ToolCallParser
from builderbrain.serve.toolbox import Toolbox


@dataclass(kw_only=True)
class Call:
    """A call of a tool. `whole` is whether its arguments are complete: one that the end of the output cut off cannot be run."""

    name: str
    arguments: str = ""
    whole: bool = False
    id: str = field(default_factory=lambda: call_id())


@dataclass(kw_only=True)
class Answer:
    """The finished output. `text` is None where there is none."""

    text: str | None
    calls: list[Call]


def call_id() -> str:
    """A new id of a call."""
    return f"call_{secrets.token_hex(12)}"


class OutputReader:
    """Reads one output step by step.

    Args:
        toolbox: what may be called, or None where all is text.
        held: whether the steps are not known to be valid before the output is finished; then nothing is read before.
    """

    def __init__(self, toolbox: Toolbox | None, *, held: bool) -> None:
        self._toolbox = toolbox
        self._parser = None if toolbox is None else ToolCallParser()
        self._held = held and toolbox is not None
        self._sent = SentText()

    def step(self, text: str) -> list[Event]:
        """What a step's text adds."""
        return [] if self._held else self._read(self._sent.add(text))

    def end(self, generation: Generation) -> list[Event]:
        """What is left when the output is finished.

        An output that was cut before the validator could judge it shows no call but whole and valid ones.
        """
        events = self._read(self._sent.rest(generation.text))
        if self._parser is None:
            return events
        events += self._parser.finish()
        return self._valid(events) if self._held and generation.finish_reason == "length" else events

    def _read(self, text: str) -> list[Event]:
        if self._parser is not None:
            return self._parser.feed(text)
        return [Text(text)] if text else []

    def _valid(self, events: list[Event]) -> list[Event]:
        """The events up to the first call that is cut or invalid."""
        calls = answer_of(events).calls
        fine = [
            call.whole and self._toolbox is not None and not self._toolbox.fault(call.name, call.arguments) for call in calls
        ]
        most = fine.index(False) if False in fine else len(fine)
        return [event for event in events if isinstance(event, Text) or event.index < most]


def answer_of(events: Sequence[Event]) -> Answer:
    """The events of an output, joined."""
    texts: list[str] = []
    calls: list[Call] = []
    for event in events:
        match event:
            case Text(text):
                texts.append(text)
            case CallBegins(_, name):
                calls.append(Call(name=name))
            case Arguments(index, text):
                calls[index].arguments += text
            case CallEnds(index):
                calls[index].whole = True
    return Answer(text="".join(texts) if texts else None, calls=calls)


def read_answer(generation: Generation, toolbox: Toolbox | None) -> Answer:
    """A finished output."""
    held = generation.constraint is not None and bool(generation.constraint.declared)
    return answer_of(OutputReader(toolbox, held=held).end(generation))
