"""A dead skill: one that no token was sent to for a whole window. It learns nothing and takes a place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from builderbrain.train.alarms import Alarm


class SkillWatch:
    """Counts, for each skill, the steps since it was last taken."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._idle: list[int] = []

    def observe(self, usage: Sequence[float], closed: Collection[int] = ()) -> None:
        """Take note of a step: how many tokens took each skill. No token can take those that are `closed`."""
        idle = self._idle or [0] * len(usage)
        open_and_idle = [not taken and row not in closed for row, taken in enumerate(usage)]
        self._idle = [steps + 1 if waits else 0 for steps, waits in zip(idle, open_and_idle, strict=True)]

    def alarms(self) -> list[Alarm]:
        """One for each skill that was not taken for `window` steps."""
        return [
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
        return {"idle": self._idle}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self._idle = [int(steps) for steps in state["idle"]]
