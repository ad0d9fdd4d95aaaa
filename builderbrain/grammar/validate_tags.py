"""The independent check of texts under a structural tag: where the tags are, and that each holds what its schema allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from builderbrain.grammar.structural_tags import TagSet
from builderbrain.grammar.validate import check_json

_WHITESPACE = " \t\n\r"
_DECODER = json.JSONDecoder()


def check_tags(text: str, tags: TagSet, validators: Sequence[Any]) -> str | None:
    """None when `text` is one that `tags` allows, else the reason in one line.

    Args:
        validators: of the tags' schemas, in their order.
    """
    position = 0
    if not tags.at_least_one:
        found = _first_trigger(text, 0, tags) if tags.triggers else (0 if text else None)
        if found is None:
            return None
        position = found
    while True:
        after = _after_tag(text, position, tags, validators)
        if isinstance(after, str):
            return after
        if tags.stop_after_first:
            return None if after == len(text) else f"character {after}: text after the only tag"
        if tags.separator is None:
            found = _first_trigger(text, after, tags)
            if found is None:
                return None
            position = found
            continue
        if after == len(text):
            return None
        if not text.startswith(tags.separator, after):
            return f"character {after}: neither another tag nor the end"
        position = after + len(tags.separator)


def _first_trigger(text: str, start: int, tags: TagSet) -> int | None:
    return min((place for trigger in tags.triggers if (place := text.find(trigger, start)) >= 0), default=None)


def _after_tag(text: str, start: int, tags: TagSet, validators: Sequence[Any]) -> int | str:
    """Where the tag that begins at `start` ends, or what is wrong with it."""
    index = next((index for index, tag in enumerate(tags.tags) if text.startswith(tag.begin, start)), None)
    if index is None:
        return f"character {start}: no tag begins here"
    tag = tags.tags[index]
    first = _skip(text, start + len(tag.begin))
    try:
        _, after = _DECODER.raw_decode(text, first)
    except (ValueError, RecursionError):
        return f"character {first}: no JSON value"
    fault = check_json(text[first:after], validators[index])
    if fault is not None:
        return f"tag {index}: {fault}"
    for end in (after, _skip(text, after)):
        if text.startswith(tag.end, end):
            return end + len(tag.end)
    return f"character {after}: the tag has no end"


def _skip(text: str, start: int) -> int:
    while start < len(text) and text[start] in _WHITESPACE:
        start += 1
    return start
