"""The prompt from which plans are decoded: one place for training, serving, the gate and the benches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

BEFORE_GOAL = "Goal: "
AFTER_GOAL = "\nPlan:\n"


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        ...


def plan_prompt(tokenizer: Encoder, goal: str, observations: Sequence[str] = ()) -> list[int]:
    """Token ids of the prompt for a goal.

    The goal is encoded apart from what surrounds it, as in training, so that its tokens do not depend on their place.

    Args:
        observations: what earlier plans for the goal saw, a line each (see `agent/observation.py`); they stand below the goal.
    """
    seen = "".join(f"\n{line}" for line in observations)
    return [
        *tokenizer.encode(BEFORE_GOAL),
        *tokenizer.encode(goal),
        *(tokenizer.encode(seen) if seen else ()),
        *tokenizer.encode(AFTER_GOAL),
    ]
