"""Wordings of a kind of clause, written short: `(look at|inspect|) the {zone}` stands for all its alternatives.

Alternatives may stand within alternatives, an empty one leaves the words out, and blanks that are then double become one. A
wording that begins with `~` is a question or a statement, which takes no courtesy before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Set

_INNERMOST = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{[a-z_]+\}")
_BLANKS = re.compile(r" {2,}")
_PART = re.compile(r"[()|]|[^()|]+")


class Templates:
    """The wordings of one kind of clause."""

    def __init__(self, lines: str) -> None:
        """Args: lines: a wording a line."""
        self.lines = tuple(line.strip() for line in lines.strip().split("\n") if line.strip())
        self._slots = [(line, {slot[1:-1] for slot in _SLOT.findall(line)}) for line in self.lines]

    def say(self, rng: random.Random, values: Mapping[str, str], fillers: Mapping[str, str] | None = None) -> tuple[str, bool]:
        """One wording with its slots filled in, and whether it is a command.

        Args:
            values: by slot, what has to be said; nothing is lost where one is empty. A wording without a place for one of the
                others is not drawn.
            fillers: by slot, what may be said.

        Raises:
            ValueError: no wording says these values.
        """
        known = {**values, **(fillers or {})}
        said = {slot for slot, value in values.items() if value}
        usable = [line for line, slots in self._slots if said <= slots <= known.keys()]
        if not usable:
            raise ValueError(f"expected a wording that says {', '.join(sorted(said))}, got none among {self.lines}")
        line = rng.choice(usable)
        text = line.removeprefix("~")
        while _INNERMOST.search(text):
            text = _INNERMOST.sub(lambda match: rng.choice(match[1].split("|")), text)
        text = _BLANKS.sub(" ", text).strip()
        return _SLOT.sub(lambda match: known[match[0][1:-1]], text), not line.startswith("~")

    def patterns(self, *, quoted: Set[str] = frozenset()) -> tuple[re.Pattern[str], ...]:
        """What finds each wording in a text, whatever stands in its slots; something in quotes in those that are `quoted`."""
        return tuple(re.compile(rf"\b{_pattern(line.removeprefix('~'), quoted)}(?!\w)", re.IGNORECASE) for line in self.lines)

    def wordings(self, limit: int = 100_000) -> Iterator[str]:
        """Every wording, its slots as they are; at most `limit` of each line."""
        for line in self.lines:
            found = {line.removeprefix("~")}
            while any("(" in text for text in found) and len(found) < limit:
                found = {made for text in found for made in _alternatives(text)}
            yield from sorted({_BLANKS.sub(" ", text).strip() for text in found})


def _alternatives(text: str) -> list[str]:
    match = _INNERMOST.search(text)
    if match is None:
        return [text]
    return [text[: match.start()] + option + text[match.end() :] for option in match[1].split("|")]


def _pattern(text: str, quoted: Set[str]) -> str:
    """A regular expression of all alternatives; blanks match any run of them, or none beside an alternative left out."""
    out = ""
    for part in _PART.findall(text):
        if part in "()|":
            out += {"(": "(?:", ")": ")", "|": "|"}[part]
            continue
        pieces = re.split(r"(\{[a-z_]+\}| )", part)
        for piece in pieces:
            if piece == " ":
                out += r"\s*"
            elif piece.startswith("{"):
                out += r"""(?:"[^"]*"|'[^']*')""" if piece[1:-1] in quoted else r"[^\s,;]+"
            else:
                out += re.escape(piece)
    return out
