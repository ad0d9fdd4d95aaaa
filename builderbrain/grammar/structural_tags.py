"""Structural tags: JSON values between fixed texts, alone or within free text. Tool calls are made of them.

The source is xgrammar's: `{"type": "structural_tag", "format": FORMAT}`, where FORMAT is `triggered_tags` (free text until a
trigger, which begins a tag), `tags_with_separator`, or one `tag`; the older `{"structures": [...], "triggers": [...]}` is
read as well. A `triggered_tags` may have a `separator`, which xgrammar does not know: then only further tags follow the
first one. The content of a tag is a `json_schema`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.limits import MAX_DEPTH, MAX_LITERAL_BYTES, admit_schema, check_source_size, over
from builderbrain.grammar.subschemas import pointer_of

MAX_TAGS = 128
MAX_TRIGGERS = 16
MAX_TAGS_BYTES = 512 * 1024
_FORMATS = ("triggered_tags", "tags_with_separator", "tag")


@dataclass(frozen=True, kw_only=True)
class Tag:
    """`begin`, a JSON value that `schema` allows, `end`. `pointer` is where the schema stands in the source."""

    begin: str
    schema: dict[str, Any] | bool
    end: str
    pointer: str


@dataclass(frozen=True, kw_only=True)
class TagSet:
    """Which texts a structural tag allows.

    Free text may stand beside the tags when there are `triggers`, and then holds none of them: each is the beginning of a tag.
    """

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...] = ()
    separator: str | None = None
    """Between two tags; None where free text is."""
    at_least_one: bool = False
    """The output begins with a tag."""
    stop_after_first: bool = False
    """The output ends with its first tag."""

    def triggered(self, trigger: str) -> list[int]:
        """The tags that begin with a trigger."""
        return [index for index, tag in enumerate(self.tags) if tag.begin.startswith(trigger)]


def read_structural_tags(source: str) -> TagSet:
    """Read the text of a structural tag and check it and its schemas against the limits.

    Raises:
        GrammarLimitError: over a limit; `field` is the JSON pointer.
        GrammarRefusedError: malformed, or a text that could be read in two ways.
    """
    check_source_size(source, field="", most=MAX_TAGS_BYTES)
    try:
        value = parse_strict(source, max_depth=4 * MAX_DEPTH + 8)
    except JsonTextError as error:
        raise GrammarRefusedError(f"expected the JSON text of a structural tag, got: {error}; correct it", field="") from error
    outer = _Node(value, "")
    outer.one_of("type", ("structural_tag",))
    if "structures" in outer.value:
        outer.know("type", "structures", "triggers")
        tags = [_tag(node, schema="schema") for node in outer.nodes("structures")]
        found = TagSet(tags=tuple(tags), triggers=outer.texts("triggers"))
        return _checked(found, outer.at("structures"))
    outer.know("type", "format")
    return _format(outer.node("format"))


def _format(node: _Node) -> TagSet:
    kind = node.one_of("type", _FORMATS)
    if kind == "tag":
        tag = _tag(node, schema=None)
        return _checked(TagSet(tags=(tag,), separator="", at_least_one=True, stop_after_first=True), node.pointer)
    tags = tuple(_tag(each, schema=None) for each in node.nodes("tags"))
    rules: dict[str, Any] = {
        "tags": tags,
        "at_least_one": node.flag("at_least_one"),
        "stop_after_first": node.flag("stop_after_first"),
    }
    if kind == "triggered_tags":
        node.know("type", "tags", "triggers", "separator", "at_least_one", "stop_after_first")
        separator = node.text("separator") if "separator" in node.value else None
        return _checked(TagSet(triggers=node.texts("triggers"), separator=separator, **rules), node.at("tags"))
    node.know("type", "tags", "separator", "at_least_one", "stop_after_first")
    return _checked(TagSet(separator=node.text("separator"), **rules), node.at("tags"))


def _tag(node: _Node, *, schema: str | None) -> Tag:
    """A tag whose schema stands under that key, or in `content`."""
    if schema is not None:
        node.know("begin", schema, "end")
        holder = node
    else:
        node.know("type", "begin", "content", "end")
        if "type" in node.value:
            node.one_of("type", ("tag",))
        holder, schema = node.node("content"), "json_schema"
        holder.one_of("type", ("json_schema",))
        holder.know("type", schema)
    pointer = holder.at(schema)
    try:
        admitted = admit_schema(json.dumps(holder.get(schema), ensure_ascii=False))
    except (GrammarLimitError, GrammarRefusedError) as error:
        raise type(error)(error.message, field=pointer + (error.field or "")) from error
    return Tag(begin=node.text("begin", empty=False), schema=admitted, end=node.text("end", empty=False), pointer=pointer)


def _checked(tags: TagSet, pointer: str) -> TagSet:
    """Refuse what could be read in two ways."""
    for first, second in permutations(tags.triggers, 2):
        if first in second:
            raise GrammarRefusedError(
                f"expected triggers of which none is part of another, got {first!r:.60} in {second!r:.60}; keep the shorter",
                field=pointer,
            )
    # Between a text and one that begins with it, only such texts stand in sorted order: neighbours show every pair.
    begins = sorted((tag.begin, index) for index, tag in enumerate(tags.tags))
    for (first, index), (second, other) in pairwise(begins):
        if second.startswith(first):
            raise GrammarRefusedError(
                f"expected tags of which none begins as another one does, got {first!r:.60} and {second!r:.60}; "
                "let them differ before the content",
                field=pointer_of(pointer, max(index, other)),
            )
    for index, tag in enumerate(tags.tags):
        if tags.triggers and not tag.begin.startswith(tags.triggers):
            raise GrammarRefusedError(
                f"expected every tag to begin with a trigger, got {tag.begin!r:.60}; add one for it",
                field=pointer_of(pointer, index),
            )
    return tags


class _Node:
    """An object of the source with its JSON pointer; reads its fields or refuses them."""

    def __init__(self, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            raise GrammarRefusedError(f"expected an object, got {json.dumps(value)[:60]}; correct it", field=pointer)
        self.value = value
        self.pointer = pointer

    def at(self, name: str | int) -> str:
        return pointer_of(self.pointer, name)

    def know(self, *names: str) -> None:
        """Refuse every other field: one that is not enforced must not be there."""
        for name in self.value:
            if name not in names:
                raise GrammarRefusedError(
                    f"expected no fields but {', '.join(names)} here, got {name!r:.60}; remove it", field=self.at(name)
                )

    def get(self, name: str) -> Any:
        if name not in self.value:
            raise GrammarRefusedError(f"expected the field {name}, got none; add it", field=self.at(name))
        return self.value[name]

    def node(self, name: str) -> _Node:
        return _Node(self.get(name), self.at(name))

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        found = self.get(name)
        if found not in known:
            got = json.dumps(found)[:60]
            raise GrammarRefusedError(f"expected {' or '.join(known)}, got {got}; use one of those", field=self.at(name))
        return str(found)

    def flag(self, name: str) -> bool:
        found = self.value.get(name, False)
        if not isinstance(found, bool):
            raise GrammarRefusedError(f"expected true or false, got {json.dumps(found)[:60]}", field=self.at(name))
        return found

    def text(self, name: str, *, empty: bool = True) -> str:
        return _text(self.get(name), self.at(name), empty=empty)

    def texts(self, name: str) -> tuple[str, ...]:
        """At least one text."""
        return tuple(dict.fromkeys(_text(text, pointer, empty=False) for text, pointer in self._listed(name, MAX_TRIGGERS)))

    def nodes(self, name: str) -> list[_Node]:
        """At least one object."""
        return [_Node(value, pointer) for value, pointer in self._listed(name, MAX_TAGS)]

    def _listed(self, name: str, most: int) -> list[tuple[Any, str]]:
        found = self.get(name)
        if not isinstance(found, list) or not found:
            raise GrammarRefusedError(f"expected a list that is not empty, got {json.dumps(found)[:60]}", field=self.at(name))
        if len(found) > most:
            raise over(name, most=most, got=len(found), field=self.at(name), remedy="send fewer")
        return [(value, pointer_of(self.at(name), index)) for index, value in enumerate(found)]


def _text(value: Any, pointer: str, *, empty: bool) -> str:
    if not isinstance(value, str) or not (value or empty):
        expected = "text" if empty else "text that is not empty"
        raise GrammarRefusedError(f"expected {expected}, got {json.dumps(value)[:60]}; correct it", field=pointer)
    if len(value.encode("utf-8")) > MAX_LITERAL_BYTES:
        got = len(value.encode("utf-8"))
        raise over("string literal in bytes", most=MAX_LITERAL_BYTES, got=got, field=pointer, remedy="shorten it")
    return value
