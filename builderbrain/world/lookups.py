"""A world model as the judge of lookups for a goal in words. Each goal is a session of its own, as its first request.

How sure a person sounds (the cue) is read from a few words. Who claims nothing is taken to guess: only who says that they
checked is sure.
"""

from __future__ import annotations

import re
from collections.abc import Set

from builderbrain.world.decision import decision_domain
from builderbrain.world.encoding import LISTEN, action_number, observe, start_state
from builderbrain.world.gate import AskGate, Verdict
from builderbrain.world.model import WorldModel

_WORDS = (
    ("doubt", r"doubt|used to be|no longer|any ?more|still"),
    ("vague", r"perhaps|maybe|somewhere|no idea|not sure|something like"),
    ("sure", r"checked|certain|i know|for sure|definitely"),
)
"""The first that is found counts."""


def cue_of(goal: str) -> str:
    """How sure a goal sounds, one of `CUES`."""
    found = (cue for cue, words in _WORDS if re.search(rf"\b(?:{words})\b", goal, re.IGNORECASE))
    return next(found, "guess")


class WorldLookups:
    """Weighs the lookups of a domain that the world model has seen. Reads only; any thread may call it."""

    def __init__(self, world: WorldModel, *, particles: int = 4) -> None:
        self._gate = AskGate(world, particles=particles)

    def weigh(self, domain: str, goal: str, tools: Set[str]) -> Verdict | None:
        """What the gate says of `tools`; None for a domain or tools without a decision problem."""
        try:
            decision = decision_domain(domain)
        except KeyError:
            return None
        if not tools & decision.costs.keys():
            return None
        before = start_state()
        after = {**before, "requests": 1, "cue": cue_of(goal)}
        step = (action_number(domain, LISTEN), observe(domain, LISTEN, ok=True, before=before, after=after))
        return self._gate.ask(decision, [step], without=decision.costs.keys() - tools)
