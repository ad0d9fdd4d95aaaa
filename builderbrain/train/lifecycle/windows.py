"""What a run remembers of its skills from step to step, and what follows from it: which trigger has fired."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from builderbrain.errors import CheckpointError
from builderbrain.rail.skill_book import SkillBook
from builderbrain.train.lifecycle.config import SkillsSection

REUSE = "reuse"
PRESSURE = ("build", "g2g")
"""Constraints whose reading asks for a new skill while it is over its target."""


class LifeWindows:
    """Readings of the latest steps, tokens by row over a long window, steps since a row was last taken."""

    def __init__(self, config: SkillsSection, rows: int) -> None:
        self.config = config
        self.last_birth = 0
        self._readings: dict[str, deque[float]] = {name: deque(maxlen=config.window) for name in (REUSE, *PRESSURE)}
        self._idle = [0] * rows
        self._tokens = [0.0] * rows
        self._steps = 0

    def observe(self, usage: Sequence[float], readings: Mapping[str, float]) -> None:
        """Take note of a step: tokens that each row answered for, and the raw readings of the constraints that are on."""
        for name, values in self._readings.items():
            if name in readings:
                values.append(readings[name])
        self._idle = [0 if taken else steps + 1 for steps, taken in zip(self._idle, usage, strict=True)]
        self._tokens = [old + new for old, new in zip(self._tokens, usage, strict=True)]
        self._steps += 1

    def wants_birth(self, step: int, book: SkillBook, targets: Mapping[str, float]) -> dict[str, float] | None:
        """The readings that ask for a new skill after `step` completed steps, with their thresholds; None when none do.

        Reuse is high while the reuse loss is within its target: the known skills are used, and still the state cannot be
        built from them or the graph not told.
        """
        if not book.free_rows or step - self.last_birth < self.config.every:
            return None
        means = {name: fmean(values) for name, values in self._readings.items() if len(values) == self.config.window}
        if REUSE not in means or means[REUSE] > targets[REUSE]:
            return None
        over = [name for name in PRESSURE if name in means and means[name] > targets[name]]
        if not over:
            return None
        names = (REUSE, *over)
        return {name: means[name] for name in names} | {f"{name}_target": targets[name] for name in names}

    def unused(self, book: SkillBook) -> dict[int, float]:
        """Share of the tokens by id, of the skills that had less than `retire_under` in a whole long window.

        A pinned skill never counts, nor one that was born within the window.
        """
        total = sum(self._tokens)
        if self._steps < self.config.retire_window or not total:
            return {}
        shares = {record.id: self._tokens[record.row] / total for record in book.live if record.row is not None}
        return {
            skill: share for skill, share in shares.items() if share < self.config.retire_under and not book.is_pinned(skill)
        }

    def dead_fraction(self, book: SkillBook) -> float:
        """Share of the live skills that no token took for `window` steps."""
        rows = [record.row for record in book.live if record.row is not None]
        return sum(self._idle[row] >= self.config.window for row in rows) / len(rows)

    def born(self, step: int) -> None:
        """A skill was born: the next has to wait, and pressure is measured anew."""
        self.last_birth = step
        for values in self._readings.values():
            values.clear()
        self.restart()

    def restart(self) -> None:
        """Begin a new long window: the skills are others now."""
        self._tokens = [0.0] * len(self._tokens)
        self._steps = 0

    def looked(self) -> None:
        """Begin a new long window if the last one is over."""
        if self._steps >= self.config.retire_window:
            self.restart()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "last_birth": self.last_birth,
            "readings": {name: list(values) for name, values in self._readings.items()},
            "idle": self._idle,
            "tokens": self._tokens,
            "steps": self._steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state.

        Raises:
            CheckpointError: it is of a rail with another number of skills.
        """
        if len(state["idle"]) != len(self._idle):
            raise CheckpointError(
                f"expected usage of {len(self._idle)} skills, got {len(state['idle'])}; choose another output folder",
                field="skills",
            )
        self.last_birth = int(state["last_birth"])
        for name, values in self._readings.items():
            values.clear()
            values.extend(float(value) for value in state["readings"][name])
        self._idle = [int(steps) for steps in state["idle"]]
        self._tokens = [float(tokens) for tokens in state["tokens"]]
        self._steps = int(state["steps"])
