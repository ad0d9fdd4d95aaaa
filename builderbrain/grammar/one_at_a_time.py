"""A lock for each key: the same constraint is compiled once, and different ones do not wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OneAtATime:
    """Locks by key, which exist only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def holding(self, key: str) -> Iterator[None]:
        """Wait until no other thread holds `key`, and hold it."""
        with self._lock:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._held.pop(key)
                if users > 1:
                    self._held[key] = (lock, users - 1)
