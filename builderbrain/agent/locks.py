"""Resources that steps share: at most so many users at a time, also between executions in one process.

All resources of a caller are taken at once or not at all, first come first served, so that no order of taking them can
deadlock. Executions may run in event loops of different threads: a waiter is woken in its own loop.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import current_token

ResourceName = tuple[str, str]
"""(domain, resource): versions of a domain share its resources."""


class _Waiter:
    def __init__(self, wanted: Mapping[ResourceName, int]) -> None:
        self.wanted = wanted
        self.granted = False
        self._event = anyio.Event()
        self._token = current_token()

    def wake(self) -> None:
        """Set the event in the loop that waits for it; from any thread."""
        native = self._token.native_token
        schedule = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon  # type: ignore[attr-defined]
        schedule(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()


class ResourceLocks:
    """Who uses what, in this process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._used: Counter[ResourceName] = Counter()
        self._queue: deque[_Waiter] = deque()

    @asynccontextmanager
    async def hold(self, wanted: Mapping[ResourceName, int]) -> AsyncIterator[bool]:
        """Hold one unit of each resource inside the `with`; gives whether it had to wait.

        Args:
            wanted: capacity by resource, the same for every caller.
        """
        if not wanted:
            yield False
            return
        waited = await self._take(wanted)
        try:
            yield waited
        finally:
            self._give_back(wanted)

    async def _take(self, wanted: Mapping[ResourceName, int]) -> bool:
        with self._mutex:
            if not self._blocked(wanted, ahead=self._queue):
                self._used.update(dict.fromkeys(wanted, 1))
                return False
            waiter = _Waiter(wanted)
            self._queue.append(waiter)
        try:
            await waiter.wait()
        except BaseException:
            with self._mutex:
                if waiter.granted:  # granted and cancelled at the same time
                    self._used.subtract(dict.fromkeys(wanted, 1))
                else:
                    self._queue.remove(waiter)
                self._grant()
            raise
        return True

    def _give_back(self, wanted: Mapping[ResourceName, int]) -> None:
        with self._mutex:
            self._used.subtract(dict.fromkeys(wanted, 1))
            self._grant()

    def _grant(self) -> None:
        """Give what is free to those who wait, in their order; one who cannot have all lets nobody pass who wants the same."""
        ahead: deque[_Waiter] = deque()
        while self._queue:
            waiter = self._queue.popleft()
            if self._blocked(waiter.wanted, ahead=ahead):
                ahead.append(waiter)
                continue
            self._used.update(dict.fromkeys(waiter.wanted, 1))
            waiter.granted = True
            waiter.wake()
        self._queue = ahead

    def _blocked(self, wanted: Mapping[ResourceName, int], *, ahead: deque[_Waiter]) -> bool:
        return any(
            self._used[name] >= capacity or any(name in waiter.wanted for waiter in ahead) for name, capacity in wanted.items()
        )


PROCESS_LOCKS = ResourceLocks()
"""The resources of this process, which its executions share unless they are told otherwise."""
