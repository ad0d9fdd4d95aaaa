"""The tools of `chat_social`. One drafts advice, another says it with its disclaimer; nothing else can say a draft."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.chat.sources import Source, find_passage

DISCLAIMERS = {
    "medical": "This is general information and no medical advice. Ask a doctor or a pharmacist before you act on it.",
    "legal": "This is general information and no legal advice. Ask a lawyer before you act on it.",
}
REFUSALS = {
    "harmful": "I will not help with that, because somebody could come to harm.",
    "private": "I will not say that, because it is private.",
    "unknown_to_me": "I do not know that.",
    "not_my_task": "That is not my task here.",
}
NEED_INFORMATION = "I need more information."


def chat_tools(sources: Sequence[Source] = ()) -> Mapping[str, Tool]:
    """Tools by skill, over the sources that may be cited."""
    runs: dict[str, Callable[[ToolContext, Mapping[str, Any]], Awaitable[Results]]] = {
        "look_up": partial(look_up, tuple(sources)),
        "answer": answer,
        "ask": ask,
        "cite": cite,
        "advise": advise,
        "disclaim": disclaim,
        "refuse": refuse,
        "need_information": need_information,
    }
    return MappingProxyType({skill: Tool(skill=skill, run=run) for skill, run in runs.items()})


async def look_up(sources: tuple[Source, ...], _: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """The passage about `topic`.

    Raises:
        ToolError: no source speaks of it.
    """
    found = find_passage(sources, arguments["topic"])
    if found is None:
        missing = f"I found nothing about “{arguments['topic']}”."
        raise ToolError(f"no source speaks of {arguments['topic']!r}; ask for one", field="topic", details={"missing": missing})
    return {"passage": found.text, "source": found.source, "sources": found.sources}


async def answer(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """The text, and below it what it is about."""
    return {"said": _joined(arguments["text"], arguments.get("about"))}


async def ask(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """What the question is about, and below it the question."""
    return {"said": _joined(arguments.get("about"), arguments["question"])}


async def cite(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """The passage in quotation marks, with its source."""
    return {"citation": cut_text(f"“{arguments['passage']}” ({arguments['source']})")}


async def advise(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """A draft, which begins with its field, so that no other disclaimer can be put before it."""
    field = arguments["field"]
    return {"draft": cut_text(f"{_head(field)}{arguments['text']}\n\n{arguments['citation']}"), "field": field}


async def disclaim(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """The disclaimer of the field, and below it the draft.

    Raises:
        ToolError: the draft is of another field.
    """
    field, draft = arguments["field"], arguments["draft"]
    if field not in DISCLAIMERS or not draft.startswith(_head(field)):
        raise ToolError(f"the draft is no {field} advice; take draft and field of the same step", field="field")
    return {"said": _joined(DISCLAIMERS[field], draft.removeprefix(_head(field)))}


async def refuse(_: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """The refusal in its own words, or the usual sentence of its reason."""
    return {"said": arguments.get("text", REFUSALS[arguments["reason"]])}


async def need_information(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """That more is needed, and what; after a failure, what the step that failed did not find."""
    missing = arguments.get("missing")
    if missing is None and context.failure is not None and context.failure.details is not None:
        missing = context.failure.details.get("missing")
    return {"said": f"{NEED_INFORMATION} {missing}" if missing else NEED_INFORMATION}


def _head(field: str) -> str:
    return f"[{field}] "


def _joined(*parts: str | None) -> str:
    return cut_text("\n\n".join(part for part in parts if part))
