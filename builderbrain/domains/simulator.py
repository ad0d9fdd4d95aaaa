"""What a simulator of a domain offers: skills as work that takes time, effects that are had once, and facts as they are.

A simulator waits for nothing and knows no clock: its work is a generator that yields the seconds until its next moment, and
whoever runs it sleeps so long, really or not. So the same work takes the same course every time, and may be cut off at any
moment: closing it leaves the simulated world at rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from typing import Any

from builderbrain.errors import ToolError, UnfinishedToolError

Results = dict[str, Any]
Work = Generator[float, None, Results]
"""Yields seconds to wait; returns the results of the skill."""
Had = Callable[[Results], Results]
"""Notes that the effect was had, with these results, and gives them back."""


class Simulator(ABC):
    """A simulated world that skills act on.

    Attributes:
        seconds: simulated time; it passes while work is done, and in `pass_time`.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._effects: dict[tuple[str, str], Results] = {}
        self._events: list[tuple[float, Callable[[], None]]] = []

    @abstractmethod
    def facts(self) -> Mapping[str, str]:
        """The facts of the domain as they are now."""

    @abstractmethod
    def _work(self, skill: str, arguments: Mapping[str, Any], had: Had) -> Work:
        """The work of a skill. It calls `had` at the moment from which on its effect is there."""

    def perform(self, skill: str, arguments: Mapping[str, Any], key: str | None) -> Work:
        """Do a skill once for each `key`; a second time it gives what the first gave, at once.

        Raises (while it is run):
            ToolError: refused, or failed before its effect.
            UnfinishedToolError: cut off after its effect; `outcome` has the results.
        """
        known = None if key is None else self.outcome(skill, key)
        if known is not None:
            return known

        def had(results: Results) -> Results:
            if key is not None:
                self._effects[skill, key] = results
            return results

        work = self._work(skill, arguments, had)
        try:
            while True:
                try:
                    pause = next(work)
                except StopIteration as end:
                    results: Results = end.value
                    return results
                yield pause
                self.pass_time(pause)
        except ToolError as error:
            if key is not None and (skill, key) in self._effects:
                raise UnfinishedToolError(f"{error.message}; {skill} had had its effect before") from error
            raise
        finally:
            work.close()

    def outcome(self, skill: str, key: str) -> Results | None:
        """Results of the effect of `key`; None when it was not had."""
        return self._effects.get((skill, key))

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen from outside, this long from now."""
        self._events.append((self.seconds + seconds, event))
        self._events.sort(key=lambda one: one[0])

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is to happen in it."""
        until = self.seconds + seconds
        while self._events and self._events[0][0] <= until:
            self.seconds, event = self._events.pop(0)
            event()
        self.seconds = until
