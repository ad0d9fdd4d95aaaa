"""How a step of a session becomes numbers: the action that was taken, and what the state gained by it (a tool-state delta).

The state of a session is a JSON object that traces carry before and after every call:

    {"requests": 2, "cue": "guess", "hint": "src/parser.py", "found": {"search": ["src/lexer.py"]}, "outcomes": [true]}

`requests` counts those taken so far; `cue` and `hint` are of the current one; `found` says what each tool has found for it;
`outcomes` whether each act so far was accepted. A delta has the five fields below; what a step does not touch is "none".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.world.decision import ACTS, CUES, DECISION_DOMAINS

LISTEN = "listen"
"""The action that takes the next request."""
NONE = "none"

FIELDS: Mapping[str, tuple[str, ...]] = {
    "asked": (NONE, *(f"{domain.name}/{cue}" for domain in DECISION_DOMAINS for cue in CUES)),
    "call": (NONE, "ok", "failed"),
    "found": (NONE, "0", "1", "2+"),
    "agrees": (NONE, "no", "yes"),
    "outcome": (NONE, "good", "bad"),
}
"""Fields of a delta with their values."""
RESULT_FIELDS = ("call", "found", "agrees")
"""The fields that the result of a tool can move: what a lookup may say is one of their 36 combinations."""
ACTIONS: tuple[str, ...] = (
    LISTEN,
    *(f"{domain.name}.{tool}" for domain in DECISION_DOMAINS for tool in domain.costs),
    *ACTS,
)
Observation = tuple[int, ...]
"""Values of `FIELDS` by their numbers, in that order."""
Step = tuple[int, Observation]
"""Number of an action in `ACTIONS`, and what was observed after it."""


def action_number(domain: str, tool: str) -> int:
    """Number of a call in `ACTIONS`; acts and `listen` are the same in every domain.

    Raises:
        ValueError: the domain has no such tool.
    """
    return ACTIONS.index(tool if tool == LISTEN or tool in ACTS else f"{domain}.{tool}")


def observe(domain: str, tool: str, *, ok: bool, before: Mapping[str, Any], after: Mapping[str, Any]) -> Observation:
    """The delta of one call.

    Args:
        domain: the domain of the session.
        tool: `listen`, an act, or a read-only tool of the domain.
        ok: whether the call succeeded.
        before, after: the session's state around it.

    Raises:
        KeyError: a state lacks a key.
        ValueError: its cue is unknown.
    """
    delta = dict.fromkeys(FIELDS, NONE)
    if after["requests"] != before["requests"]:
        delta["asked"] = f"{domain}/{after['cue']}"
    if tool not in (LISTEN, *ACTS):
        delta["call"] = "ok" if ok else "failed"
    if tool in after["found"] and ok:
        found = after["found"][tool]
        delta["found"] = str(len(found)) if len(found) < 2 else "2+"
        delta["agrees"] = "yes" if after["hint"] in found else "no"
    if len(after["outcomes"]) > len(before["outcomes"]):
        delta["outcome"] = "good" if after["outcomes"][-1] else "bad"
    return tuple(FIELDS[name].index(value) for name, value in delta.items())


def start_state() -> dict[str, Any]:
    """The state before the first request."""
    return {"requests": 0, "cue": None, "hint": None, "found": {}, "outcomes": []}
