"""Concept vectors that fall together: when every prompt has the same one, the policy heads read nothing.

Watched is the mean cosine of the pairs of concept vectors of the held-out goals, read at every evaluation. A rail begins with
vectors that are much alike, so nothing rings in the first quarter of a run, nor in the first `after` steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from builderbrain.train.alarms import Alarm

FIRST_LOOK = 0.25
"""Share of a run's steps before which nothing rings."""


def mean_cosine(concepts: Tensor) -> float:
    """Mean cosine over the pairs of different rows of `concepts` [R, c]; 0 for a single row."""
    rows = len(concepts)
    if rows < 2:
        return 0.0
    unit = F.normalize(concepts.double(), dim=-1)
    return float((unit.sum(0).square().sum() - unit.square().sum()) / (rows * (rows - 1)))


class ConceptWatch:
    """Remembers the cosine of the last evaluation."""

    def __init__(self, most: float, *, after: int) -> None:
        self.most, self.after = most, after
        self._cosine = 0.0

    def observe(self, cosine: float, *, done: int, steps: int) -> None:
        """Take note of an evaluation after `done` of the run's `steps`."""
        self._cosine = cosine if done >= max(self.after, FIRST_LOOK * steps) else 0.0

    def alarms(self) -> list[Alarm]:
        """One while the vectors lie together."""
        if self._cosine <= self.most:
            return []
        message = (
            f"concept vectors of the held-out goals have a mean cosine of {self._cosine:.2f}, more than watch.concept_cosine="
            f"{self.most:g}; look at the policy loss, and whether the goals differ in meaning"
        )
        return [Alarm(name="concept_collapse", subject="concept", message=message)]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"cosine": self._cosine}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self._cosine = float(state["cosine"])
