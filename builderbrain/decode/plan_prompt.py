"""The prompt from which plans are decoded: one place for training, serving, the gate and the benches."""

from __future__ import annotations

from typing import Protocol

BEFORE_GOAL = "Goal: "
AFTER_GOAL = "\nPlan:\n"


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        ...


def plan_prompt(tokenizer: Encoder, goal: str) -> list[int]:
    """Token ids of the prompt for a goal.

    The goal is encoded apart from what surrounds it, as in training, so that its tokens do not depend on their place.
    """
    return [*tokenizer.encode(BEFORE_GOAL), *tokenizer.encode(goal), *tokenizer.encode(AFTER_GOAL)]
