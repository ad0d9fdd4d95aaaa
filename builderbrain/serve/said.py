"""What was said in a conversation, whatever format a request has it in, and the turns that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.serve.chat_template import Turn
from builderbrain.serve.tool_text import call_text, results_text
from builderbrain.serve.toolbox import invalid

_ARGUMENT_DEPTH = 100


@dataclass(frozen=True, kw_only=True)
class PastCall:
    """A call that the assistant made. `place` is where its arguments stand in the request."""

    id: str
    name: str
    arguments: str
    place: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """One message: `role` is system, user, assistant or tool. `answers` is the id of the call whose result a tool gives."""

    role: str
    text: str
    calls: tuple[PastCall, ...] = ()
    answers: str | None = None
    place: str = ""
    """Where the id stands in the request."""


def turns_of(said: Sequence[Said], instructions: str | None) -> list[Turn]:
    """The turns of a conversation; `instructions` go into the first system's turn, results of tools into the user's.

    Raises:
        InvalidRequestError: a result without its call, or arguments that are no JSON object.
    """
    turns: list[Turn] = []
    results: list[str] = []
    known: set[str] = set()
    for each in said:
        if each.role == "tool":
            if each.answers not in known:
                raise invalid(each.place, f"expected the id of an earlier call, got {each.answers!r:.80}; send its call first")
            results.append(each.text)
            continue
        _give(turns, results)
        text = each.text
        if each.calls:
            known.update(call.id for call in each.calls)
            text = "\n".join([*([text] if text else []), *map(_past_call, each.calls)])
        turns.append(Turn(role=each.role, text=text))
    _give(turns, results)
    if instructions is not None:
        first = next((at for at, turn in enumerate(turns) if turn.role == "system"), None)
        if first is None:
            turns.insert(0, Turn(role="system", text=instructions))
        else:
            turns[first] = Turn(role="system", text=f"{turns[first].text}\n\n{instructions}")
    return turns


def _give(turns: list[Turn], results: list[str]) -> None:
    """Turn results that stand together into one turn."""
    if results:
        turns.append(Turn(role="user", text=results_text(results)))
        results.clear()


def _past_call(call: PastCall) -> str:
    arguments = call.arguments.strip() or "{}"
    try:
        value = parse_strict(arguments, max_depth=_ARGUMENT_DEPTH)
    except JsonTextError as error:
        raise invalid(call.place, f"expected the JSON text of an object, got {error}; send what the model gave") from error
    if not isinstance(value, dict):
        raise invalid(call.place, f"expected the JSON text of an object, got {arguments:.60}; send what the model gave")
    return call_text(call.name, arguments)
