"""The sources of a conversation, and the passage of them that is about something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builderbrain.tools.phrase import words_of

MAX_PASSAGE_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text that may be cited, and the name it is cited by. Its passages are its paragraphs."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A paragraph, the source it stands in, and how many sources speak of the same."""

    text: str
    source: str
    sources: int


def find_passage(sources: Sequence[Source], topic: str) -> Passage | None:
    """The passage with most words of the topic, the first of equals; None when no passage has half of them."""
    wanted = {_stem(word) for word in words_of(topic)}
    if not wanted:
        return None
    scored = [
        (len(wanted & {_stem(word) for word in words_of(paragraph)}), source.name, " ".join(paragraph.split()))
        for source in sources
        for paragraph in source.text.split("\n\n")
    ]
    found = [each for each in scored if 2 * each[0] >= len(wanted)]
    if not found:
        return None
    _, name, text = max(found, key=lambda each: each[0])
    return Passage(text=text[:MAX_PASSAGE_CHARACTERS], source=name, sources=len({name for _, name, _ in found}))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
