"""What the edges of a plan say about every run of it: which steps come before which, and which must have succeeded.

A run, as the executor has it: a step is taken up once all the steps it needs are finished. It is

- *blocked* when one of them that its `if` does not ask about failed or was blocked;
- else *skipped* when its `if` does not hold;
- else blocked when a result it refers to is not there;
- else *called*, and then *done* or *failed*; a fallback belongs to the step that failed.

Any step may fail and any result may be missing. What an `if` says is looked into this far and no further: it can hold only
where the steps whose values it compares are done and those it calls not ok are not; equal conditions agree; and conditions
with clashing terms (`condition.contradict`) do not hold in one run. Two branches are therefore never put together:
that one of `if s1.ok` and `if not s1.ok` holds is not used.

From steps that were called follows (`RunOrder.when_called`), with *kept* for done or skipped:

1. the steps whose results a called step refers to, and those that its `if` implies, are done;
2. the other steps it needs are kept, and so are those that a kept step needs without asking about them;
3. a kept step without an `if`, or with the `if` of a step that was called, is done, and so was called.

These rules are complete: let all that does not follow be skipped where it has an `if`, and fail where it is called. No rule
is broken, so there is such a run, unless conditions clash, which is reported as `impossible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from builderbrain.plan.condition import contradict, implications
from builderbrain.plan.domain import OK_RESULT
from builderbrain.plan.model import Reference, Step

Edges = Sequence[tuple[Step, tuple[str, ...]]]
"""Each step with the steps that it needs, which come before it."""


@dataclass(frozen=True, slots=True)
class Called:
    """What follows when certain steps are called. Sets of steps are bit masks by position in the plan."""

    done: int
    kept: int
    impossible: bool


@dataclass(frozen=True, slots=True)
class _Links:
    """How a step hangs on those it needs: as masks, and its condition."""

    plain: int
    """Needed without being asked about by the condition."""
    done: int
    """Done whenever the step is called, by a reference or the condition."""
    not_done: int
    condition: str | None


def places_of(mask: int) -> Iterator[int]:
    """The steps of a mask, last first."""
    while mask:
        place = mask.bit_length() - 1
        mask ^= 1 << place
        yield place


class RunOrder:
    """The steps of a plan in order, and masks of them by position.

    Attributes:
        before: for each step those that it waits for, directly or not.
        succeeded: for each step those that are done whenever it is called: most of `when_called(place).done`, and cheaper.
        unconditional: no step has an `if`.
    """

    __slots__ = ("_after", "_called", "_links", "before", "edges", "positions", "succeeded", "unconditional")

    def __init__(self, edges: Edges) -> None:
        self.edges = edges
        self.positions = positions = {step.id: place for place, (step, _) in enumerate(edges)}
        self.before: list[int] = []
        self.unconditional = True
        for step, needed in edges:
            if step.condition is not None:
                self.unconditional = False
            mask = 0
            for name in needed:
                place = positions[name]
                mask |= self.before[place] | 1 << place
            self.before.append(mask)
        self._links: list[_Links] | None = None
        self._called: dict[tuple[int, ...], Called] = {}
        self._after: list[int] | None = None
        self.succeeded = self.before if self.unconditional else self._plainly_done()

    def when_called(self, *places: int) -> Called:
        """What follows when the steps at these places are called in one run."""
        found = self._called.get(places)
        if found is None:
            found = self._called[places] = self._follow(places)
        return found

    @property
    def after(self) -> list[int]:
        """For each step those that wait for it, directly or not."""
        if self._after is None:
            self._after = [0] * len(self.edges)
            for place in range(len(self.edges) - 1, -1, -1):
                for name in self.edges[place][1]:
                    self._after[self.positions[name]] |= self._after[place] | 1 << place
        return self._after

    def exclude(self, one: int, other: int) -> bool:
        """Whether two steps are never called in one run."""
        return not self.unconditional and self.when_called(one, other).impossible

    def _plainly_done(self) -> list[int]:
        """What rules 1 to 3 give in one pass over the plan, equal conditions only of a step and one that it needs."""
        done: list[int] = []  # when the step is called
        kept: list[int] = []  # done when the step is kept
        positions, edges = self.positions, self.edges
        for place, (step, needed) in enumerate(edges):
            own = step.condition
            here = plain = 0
            if own is None:
                for name in needed:
                    other = positions[name]
                    plain |= kept[other]
                    if edges[other][0].condition is not None and _takes_result(step, name):
                        here |= 1 << other | done[other]
                done.append(here | plain)
                kept.append(here | plain | 1 << place)
                continue
            follows = implications(own)
            for name in needed:
                other = positions[name]
                if name not in follows.asked:
                    plain |= kept[other]
                if name in follows.done or edges[other][0].condition == own or _takes_result(step, name):
                    here |= 1 << other | done[other]
            done.append(here | plain)
            kept.append(plain)
        return done

    def _follow(self, places: tuple[int, ...]) -> Called:
        if self._links is None:
            self._links = [self._linked(step, needed) for step, needed in self.edges]
        links = self._links
        done = kept = called = not_done = 0
        conditions: set[str] = set()
        waiting = sum(1 << place for place in set(places))  # called, and not looked at yet
        while waiting:
            called |= waiting
            for place in places_of(waiting):
                link = links[place]
                done |= link.done
                kept |= link.plain | link.done
                not_done |= link.not_done
                if link.condition is not None:
                    conditions.add(link.condition)
            kept, certain = self._kept(links, kept, conditions)
            done |= certain
            waiting = done & ~called
        clash = any(contradict(one, other) for one in conditions for other in conditions)
        return Called(done, kept, clash or bool(done & not_done))

    def _kept(self, links: list[_Links], kept: int, conditions: set[str]) -> tuple[int, int]:
        """All that is kept when `kept` is, and what of it is done."""
        certain = 0
        waiting = kept
        while waiting:
            place = waiting.bit_length() - 1  # a step needs earlier ones alone, so one pass from the last is enough
            link = links[place]
            kept |= link.plain
            waiting = (waiting | link.plain) & ~(1 << place)
            if link.condition is None or link.condition in conditions:
                certain |= 1 << place
        return kept, certain

    def _linked(self, step: Step, needed: tuple[str, ...]) -> _Links:
        every = self._mask(needed)
        done = self._mask(value.step for value in step.args.values() if type(value) is Reference and value.result != OK_RESULT)
        if step.condition is None:
            return _Links(every, done, 0, None)
        implied = implications(step.condition)
        return _Links(
            every & ~self._mask(implied.asked), done | self._mask(implied.done), self._mask(implied.not_done), step.condition
        )

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= 1 << self.positions[name]
        return mask


def _takes_result(step: Step, name: str) -> bool:
    """Whether a step refers to a result that another has only when it is done."""
    for value in step.args.values():  # noqa: SIM110 - `any` takes twice as long, and this is asked for every edge
        if type(value) is Reference and value.step == name and value.result != OK_RESULT:
            return True
    return False
