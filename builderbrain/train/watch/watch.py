"""All watches of a run behind one door."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builderbrain.errors import CheckpointError
from builderbrain.train.alarms import Alarm
from builderbrain.train.watch.caps import CapWatch
from builderbrain.train.watch.concepts import ConceptWatch
from builderbrain.train.watch.config import WatchSection
from builderbrain.train.watch.covariance import CovarianceWatch
from builderbrain.train.watch.denominators import DenominatorWatch
from builderbrain.train.watch.ease import Ease
from builderbrain.train.watch.skills import SkillWatch


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Of one constraint in one step: its dual after the step, the dual's cap, the raw reading, and the items it covers.

    With `count` 0 there was nothing to read.
    """

    dual: float
    cap: float
    reading: float
    count: int


class Watch:
    """`observe` every step whose update was done; it changes nothing but what the watch remembers."""

    def __init__(self, config: WatchSection, *, seed: int) -> None:
        self.enabled = config.enabled
        self.caps = CapWatch(config.at_cap)
        self.denominators = DenominatorWatch(config.denominator)
        self.covariance = CovarianceWatch(config, seed=seed)
        self.skills = SkillWatch(config.idle_skill)
        self.concepts = ConceptWatch(config.concept_cosine, after=config.concept_after)

    def observe(self, step: int, constraints: Mapping[str, Seen], ease: Ease) -> dict[str, float]:
        """Take note of a step; returns covariances to log, where this is a step that looks at them."""
        if not self.enabled:
            return {}
        for name, seen in constraints.items():
            if seen.count:
                self.caps.observe(name, dual=seen.dual, cap=seen.cap, reading=seen.reading)
        self.denominators.observe({name: seen.count for name, seen in constraints.items()})
        return self.covariance.observe(step, {name: seen.dual for name, seen in constraints.items()}, ease.signals())

    def observe_skills(self, usage: Sequence[float], closed: Collection[int] = ()) -> None:
        """Take note of how many of a step's tokens took each skill; rows that are `closed` to tokens are no dead skills."""
        if self.enabled:
            self.skills.observe(usage, closed)

    def observe_concepts(self, cosine: float, *, done: int, steps: int) -> None:
        """Take note of an evaluation after `done` of a run's `steps`: the mean cosine of its concept vectors."""
        if self.enabled:
            self.concepts.observe(cosine, done=done, steps=steps)

    def alarms(self) -> list[Alarm]:
        """All whose condition holds now."""
        if not self.enabled:
            return []
        watches = (self.caps, self.denominators, self.covariance, self.skills, self.concepts)
        return [alarm for watch in watches for alarm in watch.alarms()]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "caps": self.caps.state(),
            "denominators": self.denominators.state(),
            "covariance": self.covariance.state(),
            "skills": self.skills.state(),
            "concepts": self.concepts.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state.

        Raises:
            CheckpointError: a part is missing.
        """
        try:
            self.caps.restore(state["caps"])
            self.denominators.restore(state["denominators"])
            self.covariance.restore(state["covariance"])
            self.skills.restore(state["skills"])
            self.concepts.restore(state["concepts"])
        except KeyError as error:
            raise CheckpointError(f"the state of the watch lacks {error}", field="watch") from error
