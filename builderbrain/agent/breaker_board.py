"""All circuit breakers of a process in one place, and what they said."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from builderbrain.agent.breaker import BreakerRecord, Emit
from builderbrain.agent.breakers import DomainBreakers, ToolBreakers
from builderbrain.agent.clock import Clock, SystemClock

KEPT_RECORDS = 256
DEFAULT_TAU = 2.3
"""Nats of grammar energy over which a decoding step counts as bad: less than a tenth of the mass is on legal tokens."""


class BreakerBoard:
    """Breakers of tools and domains. May be used from any thread.

    Args:
        emit: is told every change of state, for metrics and logs.
        tau: see `DomainBreakers`.
    """

    def __init__(self, clock: Clock | None = None, emit: Emit | None = None, *, tau: float = DEFAULT_TAU) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._told = emit
        self._tau = tau
        self._mutex = threading.Lock()
        self._domains: dict[str, DomainBreakers] = {}
        self._records: deque[tuple[int, BreakerRecord]] = deque(maxlen=KEPT_RECORDS)
        self._count = 0
        self.tools = ToolBreakers(self._clock, self._emit)

    def domain(self, name: str) -> DomainBreakers:
        """The breakers of a domain."""
        with self._mutex:
            found = self._domains.get(name)
            if found is None:
                found = self._domains[name] = DomainBreakers(name, tau=self._tau, clock=self._clock, emit=self._emit)
            return found

    def watch(self) -> Callable[[], tuple[BreakerRecord, ...]]:
        """A function that gives the changes of state since now, as far as they are kept."""
        with self._mutex:
            began = self._count
        return lambda: tuple(self._since(began))

    def _since(self, began: int) -> Iterator[BreakerRecord]:
        with self._mutex:
            kept = tuple(self._records)
        return (record for number, record in kept if number >= began)

    def _emit(self, record: BreakerRecord) -> None:
        with self._mutex:
            self._records.append((self._count, record))
            self._count += 1
        if self._told is not None:
            self._told(record)
