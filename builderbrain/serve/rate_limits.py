"""How often a caller may ask: a token bucket for each, and a limit on its requests under way.

    tokens = min(capacity, tokens + elapsed * rate)        rate = requests per minute / 60, capacity = requests per minute

A request takes one token; where there is none, the reply says after how many seconds there will be. Decided before a body is
read, so that a refused request costs next to nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builderbrain.errors import RateLimitError

MAX_CALLERS = 4096
"""Callers that are remembered. The one that asked longest ago is forgotten first, unless a request of its is under way."""
CONCURRENCY_RETRY_SECONDS = 1.0
"""When to ask again where only a request of one's own has to end; nobody knows when it will."""


@dataclass(kw_only=True)
class _Caller:
    tokens: float
    seen: float
    under_way: int = 0


class RateLimits:
    """Limits for each caller, used on the event loop alone.

    Args:
        requests_per_minute: on average; as many may come at once. None for no limit.
        concurrent_requests: that may be under way, streams until their end included. None for no limit.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        concurrent_requests: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute = requests_per_minute
        self._concurrent = concurrent_requests
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    @contextmanager
    def place(self, caller: str | None) -> Iterator[None]:
        """Hold a place while a request runs. `caller` None is not limited.

        Raises:
            RateLimitError: too many requests; says when to ask again.
        """
        if caller is None or (self._per_minute is None and self._concurrent is None):
            yield
            return
        known = self._known(caller)
        self._check(known)
        known.under_way += 1
        try:
            yield
        finally:
            known.under_way -= 1

    def _known(self, name: str) -> _Caller:
        now = self._clock()
        full = float(self._per_minute or 0)
        caller = self._callers.setdefault(name, _Caller(tokens=full, seen=now))
        caller.tokens = min(full, caller.tokens + (now - caller.seen) * full / 60.0)
        caller.seen = now
        self._callers.move_to_end(name)
        if len(self._callers) > MAX_CALLERS:
            idle = next((other for other, found in self._callers.items() if not found.under_way and other != name), None)
            if idle is not None:
                del self._callers[idle]
        return caller

    def _check(self, caller: _Caller) -> None:
        if self._concurrent is not None and caller.under_way >= self._concurrent:
            raise RateLimitError(
                f"{caller.under_way} requests of this key are under way, of at most {self._concurrent} "
                "(--rate-limit-concurrent-requests); wait for one to end",
                retry_after=CONCURRENCY_RETRY_SECONDS,
            )
        if self._per_minute is None:
            return
        if caller.tokens < 1.0:
            seconds = (1.0 - caller.tokens) * 60.0 / self._per_minute
            raise RateLimitError(
                f"expected at most {self._per_minute} requests a minute from this key (--rate-limit-requests-per-minute); "
                f"ask again in {seconds:.1f} s",
                retry_after=seconds,
            )
        caller.tokens -= 1.0


UNLIMITED = RateLimits()
