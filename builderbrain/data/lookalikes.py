"""What a text reads as: full-width and other compatibility characters as plain ones, characters without width left out.

An address does not cease to be one because an input method wrote it in full width, or because a web page put a zero-width space
into it. Only the search looks at this form: what is stored keeps its own characters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` as it reads, and for each of its characters the place in the original."""

    text: str
    places: tuple[int, ...]

    def original(self, start: int, stop: int) -> tuple[int, int]:
        """The span of the original that a span of the reading, not empty, stands for."""
        return self.places[start], self.places[stop - 1] + 1


def read(text: str) -> Reading | None:
    """How a text reads; None when it reads as it is written."""
    if text.isascii():
        return None
    characters, places = [], []
    for place, character in enumerate(text):
        plain = character if character.isascii() else _plain(character)
        if plain:
            characters.append(plain)
            places.append(place)
    reading = "".join(characters)
    return None if reading == text else Reading(reading, tuple(places))


def plain(text: str) -> str:
    """The reading alone."""
    reading = read(text)
    return text if reading is None else reading.text


@lru_cache(maxsize=1 << 14)
def _plain(character: str) -> str:
    """One character in compatibility form (NFKC) where that is one character; nothing for one without width (category Cf)."""
    if unicodedata.category(character) == "Cf":
        return ""
    composed = unicodedata.normalize("NFKC", character)
    return composed if len(composed) == 1 else character
