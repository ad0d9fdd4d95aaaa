"""The life of skills during a run: after each step the triggers are read; what they ask for is done, measured and logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from builderbrain.rail.pair import Pair
from builderbrain.rail.skill_book import SkillRecord
from builderbrain.train.batch import Batch
from builderbrain.train.constraint_sections import ConstraintsSection
from builderbrain.train.lifecycle.config import SkillsSection
from builderbrain.train.lifecycle.events import SkillEvent, SkillHistory
from builderbrain.train.lifecycle.functions import cosines, record_states
from builderbrain.train.lifecycle.measure import Measured, measure
from builderbrain.train.lifecycle.operations import Change, bear, merge, retire, take_back
from builderbrain.train.lifecycle.rows import forget_moments
from builderbrain.train.lifecycle.windows import PRESSURE, REUSE, LifeWindows


class Lifecycle:
    """`after_step` each step that was done. Its memory is `windows` and the rail's book, which checkpoints keep."""

    def __init__(
        self,
        pair: Pair,
        windows: LifeWindows,
        *,
        constraints: ConstraintsSection,
        optimizers: Sequence[torch.optim.Optimizer],
        held_out: Batch,
        history: SkillHistory,
        seed: int,
    ) -> None:
        if pair.rail is None:
            raise ValueError("expected a pair with a rail, got a base alone")
        self.pair, self.rail, self.windows = pair, pair.rail, windows
        self.optimizers, self.held_out, self.seed = optimizers, held_out, seed
        self.config: SkillsSection = windows.config
        self.targets = {name: getattr(constraints, name).target for name in (REUSE, *PRESSURE)}
        self.least = min(constraints.reuse.skills, self.rail.config.num_skills) if constraints.reuse.enabled else 1
        self.history = history

    def resume(self, step: int) -> None:
        """Begin at `step`, with the events before it."""
        self.history.drop_from(step)

    def after_step(self, step: int, usage: Sequence[float], readings: Mapping[str, float]) -> dict[str, Any]:
        """Take note of step number `step` (from 0) and act on it; returns what to log, the events of the step included."""
        rail, windows = self.rail, self.windows
        windows.observe(usage, readings)
        rail.book = rail.book.counted(usage)
        due = (step + 1) % self.config.every == 0
        events: list[SkillEvent] = []
        if due and self.config.retirements:
            events += self._retire(step)
        if due and self.config.merges:
            events += self._merge(step)
        if self.config.births:
            events += self._bear(step)
        log: dict[str, Any] = {
            "live": len(rail.book.live),
            "usage": {str(one.id): usage[one.row] for one in rail.book.live if one.row is not None},
            "dead_fraction": windows.dead_fraction(rail.book),
            "born": sum(event.kind == "birth" for event in events),
            "ended": sum(event.kind != "birth" for event in events),
        }
        if due:
            log["similarity"] = self._similarity()
        return {"skills": log, "skill_events": [event.to_json() | {"change": None} for event in events]}

    def _bear(self, step: int) -> list[SkillEvent]:
        trigger = self.windows.wants_birth(step + 1, self.rail.book, self.targets)
        if trigger is None:
            return []
        before = measure(self.pair, self.held_out)
        parent = self._parent(before)
        seed = self.seed * 1_000_003 + step
        change = bear(self.rail, parent=parent.id, step=step + 1, seed=seed, start=self.config.start)
        row = self.rail.book[change.created[0]].row
        if row is not None:
            forget_moments(self.rail, row, self.optimizers)
        self.windows.born(step + 1)
        trigger |= {"carried": float(before.carried[parent.row or 0]), "every": self.config.every}
        return [self._note(change, step, trigger, before.loss, measure(self.pair, self.held_out).loss, parents=(parent.id,))]

    def _parent(self, measured: Measured) -> SkillRecord:
        """The skill whose tokens carry most of the held-out loss; a pinned one only where there is no other."""
        book = self.rail.book
        free = [record for record in book.live if not book.is_pinned(record.id)]
        return max(free or book.live, key=lambda record: (float(measured.carried[record.row or 0]), -record.id))

    def _retire(self, step: int) -> list[SkillEvent]:
        events = []
        unused = self.windows.unused(self.rail.book)
        self.windows.looked()
        for skill, share in sorted(unused.items()):
            if len(self.rail.book.live) <= self.least:
                break
            trigger = {"share": share, "retire_under": self.config.retire_under, "tolerance": self.config.tolerance}
            event = self._try(lambda skill=skill: retire(self.rail, skill), step, trigger)  # type: ignore[misc]
            events += [] if event is None else [event]
        return events

    def _merge(self, step: int) -> list[SkillEvent]:
        """Try the two skills that are most alike; the one that took fewer tokens gives way, a pinned one never does.

        A newborn is like its parent, so it has a long window to become another.
        """
        book = self.rail.book
        grown = [one for one in book.live if not one.born or step + 1 - one.born >= self.config.retire_window]
        if len(book.live) <= self.least or len(grown) < 2:
            return []
        found = cosines(self.rail, record_states(self.pair, self.held_out))
        pairs = [
            (float(found[one.row or 0, other.row or 0]), one, other)
            for i, one in enumerate(grown)
            for other in grown[i + 1 :]
            if not (book.is_pinned(one.id) and book.is_pinned(other.id))
        ]
        if not pairs:
            return []
        cosine, one, other = max(pairs, key=lambda pair: (pair[0], -pair[1].id, -pair[2].id))
        if cosine < self.config.merge_cosine:
            return []
        give, keep = sorted((one, other), key=lambda record: (book.is_pinned(record.id), record.tokens, -record.id))
        trigger = {"cosine": cosine, "merge_cosine": self.config.merge_cosine, "tolerance": self.config.tolerance}
        event = self._try(lambda: merge(self.rail, keep=keep.id, give=give.id), step, trigger)
        return [] if event is None else [event]

    def _try(self, operation: Callable[[], Change], step: int, trigger: Mapping[str, Any]) -> SkillEvent | None:
        """Do it, and take it back at once if the held-out loss rises by more than the tolerance."""
        before = measure(self.pair, self.held_out).loss
        change = operation()
        after = measure(self.pair, self.held_out).loss
        if after - before > self.config.tolerance:
            take_back(self.rail, change)
            return None
        self.windows.restart()
        return self._note(change, step, trigger, before, after)

    def _note(
        self, change: Change, step: int, trigger: Mapping[str, Any], before: float, after: float, parents: tuple[int, ...] = ()
    ) -> SkillEvent:
        return self.history.append(change, step=step, parents=parents, trigger=trigger, before=before, after=after)

    def _similarity(self) -> dict[str, Any]:
        """Ids of the live skills and their cosines, rounded to three digits."""
        found = cosines(self.rail, record_states(self.pair, self.held_out))
        live = [(record.id, record.row) for record in self.rail.book.live if record.row is not None]
        rows = [row for _, row in live]
        matrix = [[round(float(found[i, j]), 3) for j in rows] for i in rows]
        return {"skills": [skill for skill, _ in live], "cosines": matrix}
