"""Wordings of a kind of clause, written short: `(look at|inspect|) the {zone}` stands for all its alternatives.

Alternatives may stand within alternatives, an empty one leaves the words out, and blanks that are then double become one. A
wording that begins with `~` is a question or a statement, which takes no courtesy before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping

_INNERMOST = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{[a-z_]+\}")
_BLANKS = re.compile(r" {2,}")
_CONDITIONS = ("if ", "in case ", "when ", "once ", "provided ")
"""What begins like this takes no courtesy either."""
_BLANK = r"(?:\s+|(?<!\w)|(?!\w))"
"""Blanks, or none beside an alternative that is left out."""
_PIECE = re.compile(r"[()| ]|\{[a-z_]+\}|[^()| {]+")


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
        text = _SLOT.sub(lambda match: match[0] if known[match[0][1:-1]] else "", text)
        text = _BLANKS.sub(" ", text).strip()
        return _SLOT.sub(lambda match: known[match[0][1:-1]], text), not (line.startswith("~") or text.startswith(_CONDITIONS))

    def patterns(self, slots: Mapping[str, str] | None = None) -> tuple[re.Pattern[str], ...]:
        """What finds each wording in a text; `slots` says as regular expressions what stands in slots, else it is anything."""
        found = (_pattern(line.removeprefix("~"), slots or {}) for line in self.lines)
        return tuple(re.compile(rf"\b{pattern}(?!\w)", re.IGNORECASE) for pattern in found)

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


def _pattern(text: str, slots: Mapping[str, str]) -> str:
    """A regular expression of all alternatives; a slot without a blank before it may be empty."""
    out = ""
    for piece in _PIECE.findall(text):
        if piece in "()|":
            out += {"(": "(?:", ")": ")", "|": "|"}[piece]
        elif piece == " ":
            out += _BLANK
        elif piece.startswith("{"):
            anything = r"\S.{0,60}?" if out.endswith(_BLANK) else ".{0,60}?"
            out += f"(?:{slots.get(piece[1:-1], anything)})"
        else:
            out += re.escape(piece)
    return out
