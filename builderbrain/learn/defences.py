"""Which examples of live traffic a candidate may learn from: defences against poisoned data.

Each takes examples away and says why; what is taken away is counted and never trained on.

    battery        a prompt of the gate's batteries: the gate could not judge what was learned by heart
    duplicate      the same request with the same plan as before: a flood is one row
    conflict       one request with several plans, none of which two thirds of its sources stand behind
    flood          more rows of one source than its cap: first so many, then at most a share of all
    outlier        a loss under the live rail far beyond that of trusted goals, beyond any that a correction has
    label flip     a surprising plan whose nearest trusted goals are answered by other skills

A **loss** is in nats under the live rail, per weighed token. A corrected plan surprises the live rail by its nature, so a high
loss alone condemns it only beyond `hard_outlier`; below that its **neighbours** decide: the k trusted goals whose base states
are nearest (Paudice et al. 2018, "Label sanitization against label flipping poisoning attacks", with trusted goals in place of
the other rows, so that a flood can not outvote them).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from builderbrain.gate.battery import prompt_hash
from builderbrain.learn.traces import Example
from builderbrain.plan import print_text


@dataclass(frozen=True, kw_only=True)
class DefenceLimits:
    """Args:
    per_source: rows of one source in one candidate, at most.
    source_share: of all rows, which one source may bring where there are several sources.
    agreement: share of a request's sources that must stand behind one plan.
    soft_outlier: median absolute deviations above the median loss of trusted goals, from which on neighbours are asked.
    hard_outlier: the same, from which on a row is never learned from.
    least_scale: nats; the deviation counts as at least this, since trusted goals are known nearly by heart.
    neighbours: trusted goals that are asked.
    least_agreeing: of them that must be answered by the same skills.
    """

    per_source: int = 64
    source_share: float = 0.5
    agreement: float = 2 / 3
    soft_outlier: float = 6.0
    hard_outlier: float = 40.0
    least_scale: float = 0.1
    neighbours: int = 9
    least_agreeing: int = 2


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """What is left, and of what was taken away the ids by reason."""

    kept: tuple[Example, ...]
    removed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many were taken away, by reason."""
        return {reason: len(ids) for reason, ids in self.removed.items()}


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Goals that nobody outside could write. `losses` [N] under the live rail, `states` [N, d] of the base, `skills` of the
    plans."""

    losses: np.ndarray
    states: np.ndarray
    skills: tuple[tuple[str, ...], ...]


def sift_by_words(examples: Sequence[Example], battery: Collection[str], limits: DefenceLimits) -> Sifted:
    """The defences that read no more than the rows: battery, duplicate, conflict, flood.

    Args:
        examples: oldest first.
        battery: `prompt_hash` of every prompt of the gate.
    """
    removed: defaultdict[str, list[str]] = defaultdict(list)
    outside = _without(examples, removed, "battery", lambda one: prompt_hash(one.text) in battery)
    agreed = _agreed(outside, removed, limits)
    first: set[tuple[str, str]] = set()
    single: list[Example] = []
    for example in agreed:
        key = (prompt_hash(example.text), print_text(example.plan))
        (removed["duplicate"].append(example.id) if key in first else single.append(example))
        first.add(key)
    return Sifted(kept=tuple(_capped(single, removed, limits)), removed=_frozen(removed))


def sift_by_model(
    examples: Sequence[Example], losses: Sequence[float], states: np.ndarray, trusted: Trusted, limits: DefenceLimits
) -> Sifted:
    """The defences that ask the live rail and the base: outlier, label flip.

    Args:
        losses: of the examples under the live rail, nats; one that is not finite is an outlier.
        states: [N, d] of the base.
    """
    removed: defaultdict[str, list[str]] = defaultdict(list)
    middle = float(np.median(trusted.losses))
    scale = max(limits.least_scale, 1.4826 * float(np.median(np.abs(trusted.losses - middle))))
    kept = []
    for example, loss, state in zip(examples, losses, states, strict=True):
        surprise = (loss - middle) / scale
        if not surprise <= limits.hard_outlier:
            removed["outlier"].append(example.id)
        elif surprise > limits.soft_outlier and _agreeing(example, state, trusted, limits) < limits.least_agreeing:
            removed["label flip"].append(example.id)
        else:
            kept.append(example)
    return Sifted(kept=tuple(kept), removed=_frozen(removed))


def skills_of_plan(example: Example) -> tuple[str, ...]:
    """The skills of its plan, in order."""
    return tuple(step.skill for step in example.plan.steps)


def _agreeing(example: Example, state: np.ndarray, trusted: Trusted, limits: DefenceLimits) -> int:
    """How many of the nearest trusted goals are answered by the same skills. Nearness is the cosine of centred states."""
    middle = trusted.states.mean(0)
    centred, mine = trusted.states - middle, state - middle
    lengths = np.linalg.norm(centred, axis=1) * max(float(np.linalg.norm(mine)), 1e-12)
    cosines = centred @ mine / np.maximum(lengths, 1e-12)
    nearest = np.argsort(-cosines, kind="stable")[: limits.neighbours]
    wanted = skills_of_plan(example)
    return sum(trusted.skills[index] == wanted for index in nearest)


def _agreed(examples: Sequence[Example], removed: defaultdict[str, list[str]], limits: DefenceLimits) -> list[Example]:
    """Without requests whose sources do not agree on a plan. A source has one voice for each request: its last."""
    voices: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for example in examples:
        voices[prompt_hash(example.text)][example.source] = print_text(example.plan)
    chosen: dict[str, str | None] = {}
    for request, by_source in voices.items():
        plan, count = Counter(by_source.values()).most_common(1)[0]
        chosen[request] = plan if count >= limits.agreement * len(by_source) else None
    return _without(examples, removed, "conflict", lambda one: chosen[prompt_hash(one.text)] != print_text(one.plan))


def _capped(examples: Sequence[Example], removed: defaultdict[str, list[str]], limits: DefenceLimits) -> list[Example]:
    """At most `per_source` rows of each source, the newest; and where there are several, at most a share of all."""
    by_source: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(example)
    counts = {source: min(len(rows), limits.per_source) for source, rows in by_source.items()}
    if len(counts) > 1 and limits.source_share < 1.0:
        for source in counts:
            others = sum(count for name, count in counts.items() if name != source)
            most = int(others * limits.source_share / (1.0 - limits.source_share))
            counts[source] = min(counts[source], max(1, most))
    kept = {row.id for source, rows in by_source.items() for row in rows[len(rows) - counts[source] :]}
    return _without(examples, removed, "flood", lambda one: one.id not in kept)


def _without(
    examples: Sequence[Example], removed: defaultdict[str, list[str]], reason: str, bad: Callable[[Example], bool]
) -> list[Example]:
    kept = []
    for example in examples:
        if bad(example):
            removed[reason].append(example.id)
        else:
            kept.append(example)
    return kept


def _frozen(removed: defaultdict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {reason: tuple(ids) for reason, ids in removed.items() if ids}
