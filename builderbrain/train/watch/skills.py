"""Usage that wastes skills: one that no token was sent to for a whole window learns nothing and takes a place; beside one that
takes nearly all tokens for a whole window, the others might as well not be there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from builderbrain.train.alarms import Alarm

_ALL = 0.95
"""Share of the tokens that counts as nearly all."""


class SkillWatch:
    """Counts, for each skill, the steps since it was last taken, and those in a row in which one took nearly all tokens."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._idle: list[int] = []
        self._alone = 0

    def observe(self, usage: Sequence[float], closed: Collection[int] = ()) -> None:
        """Take note of a step: how many tokens took each skill. No token can take those that are `closed`."""
        idle = self._idle or [0] * len(usage)
        open_and_idle = [not taken and row not in closed for row, taken in enumerate(usage)]
        self._idle = [steps + 1 if waits else 0 for steps, waits in zip(idle, open_and_idle, strict=True)]
        several = len(usage) - len(closed) > 1
        self._alone = self._alone + 1 if several and max(usage) > _ALL * sum(usage) else 0

    def alarms(self) -> list[Alarm]:
        """One for each skill that was not taken for `window` steps, and one if a single skill had nearly all tokens as long."""
        collapsed = Alarm(
            name="skill_collapse",
            subject="router",
            message=f"one skill took over {_ALL:.0%} of the tokens for {self._alone} steps; switch constraints.reuse on, lower "
            "its target, or lower rail.num_skills",
        )
        return [collapsed] * (self._alone >= self.window) + [
            Alarm(
                name="dead_skill",
                subject=f"skill {skill}",
                message=f"skill {skill} was not taken by any token for {steps} steps; lower rail.num_skills, raise the "
                "router's temperature, or switch constraints.reuse on",
            )
            for skill, steps in enumerate(self._idle)
            if steps >= self.window
        ]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"idle": self._idle, "alone": self._alone}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self._idle = [int(steps) for steps in state["idle"]]
        self._alone = int(state["alone"])
