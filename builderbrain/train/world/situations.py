"""How the hidden kinds of requests come about: the part of the decision problem that a world model has to find out from traces.

A session is a row of requests in one domain. It has a hidden mood: in a tidy place things are mostly as people say, in a
messy one less so. Each request has a cue (how sure it sounds), and its kind is drawn given mood and cue. Nothing here is
known to the gate.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from builderbrain.world.decision import CUES, KINDS

MOODS = ("tidy", "messy")
CUE_SHARES = (0.35, 0.25, 0.2, 0.2)
"""Of `CUES`: sure, guess, doubt, vague."""
KIND_CHANCES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "tidy": {
        "sure": (0.99, 0.01, 0.0, 0.0),
        "guess": (0.6, 0.25, 0.1, 0.05),
        "doubt": (0.02, 0.02, 0.01, 0.95),
        "vague": (0.3, 0.3, 0.2, 0.2),
    },
    "messy": {
        "sure": (0.9, 0.05, 0.03, 0.02),
        "guess": (0.25, 0.4, 0.2, 0.15),
        "doubt": (0.15, 0.15, 0.1, 0.6),
        "vague": (0.15, 0.35, 0.3, 0.2),
    },
}
"""P(kind | mood, cue) in the order of `KINDS`."""
CUE_TEXTS: Mapping[str, str] = {
    "sure": "{ask} It is {hint}, I checked.",
    "guess": "{ask} I think it is {hint}.",
    "doubt": "{ask} It used to be {hint}, but I doubt that there still is one.",
    "vague": "{ask} Perhaps {hint}, I have no idea.",
}


@dataclass(frozen=True, kw_only=True)
class Circumstance:
    """A request before it has words: its cue, and the hidden kind."""

    cue: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a read-only tool gave: its arguments, the raw `result`, and what was `found` in it; None when it failed."""

    args: Mapping[str, Any]
    result: Any
    found: tuple[str, ...] | None


class Request(Protocol):
    """One request of a session. A lookup is repeatable: the same tool gives the same answer."""

    cue: str
    kind: str
    hint: str
    text: str

    def look_up(self, tool: str) -> Answer:
        """Call a read-only tool of the domain for this request."""
        ...


def draw_mood(rng: random.Random) -> str:
    """Tidy or messy, half each."""
    return rng.choice(MOODS)


def draw_circumstance(rng: random.Random, mood: str) -> Circumstance:
    """A cue, and a kind given mood and cue."""
    cue = rng.choices(CUES, CUE_SHARES)[0]
    return Circumstance(cue=cue, kind=rng.choices(KINDS, KIND_CHANCES[mood][cue])[0])
