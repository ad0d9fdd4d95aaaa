"""A bounded cache, and what is told of any cache.

Keys are SHA-256 over everything that decides the result. Both the number of entries and their bytes are capped: thousands
of different schemas, say, cost recompilation, not memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


def cache_key(*parts: str) -> str:
    """SHA-256 over the parts; lengths are hashed too, so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class CacheUse:
    """What a cache was asked for, what it dropped for want of room, and what it holds; None where that is not known."""

    hits: int
    misses: int
    entries: int | None = None
    size_bytes: int | None = None
    evictions: int | None = None


def lru_use(information: Any) -> CacheUse:
    """Of a function under `functools.lru_cache`, from its `cache_info()`."""
    hits, misses, _, entries = information
    return CacheUse(hits=hits, misses=misses, entries=entries)


class BoundedCache(Generic[Value]):
    """Least recently used entries leave first. Safe to share between threads."""

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        """The entry, which becomes the most recently used, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return entry[0]

    def peek(self, key: str) -> Value | None:
        """The entry or None, without counting that it was looked for or making it the most recently used."""
        with self._lock:
            entry = self._entries.get(key)
            return None if entry is None else entry[0]

    def discard(self, key: str) -> None:
        """Drop an entry, if it is there."""
        with self._lock:
            dropped = self._entries.pop(key, None)
            self.size_bytes -= 0 if dropped is None else dropped[1]

    def use(self) -> CacheUse:
        """What it was asked for so far, and what it holds now."""
        with self._lock:
            return CacheUse(
                hits=self.hits,
                misses=self.misses,
                entries=len(self._entries),
                size_bytes=self.size_bytes,
                evictions=self.evictions,
            )

    def put(self, key: str, value: Value, size_bytes: int) -> None:
        """Add an entry and drop old ones until both caps hold; one larger than the whole cache is not kept."""
        if size_bytes > self._max_bytes:
            return
        with self._lock:
            if key in self._entries:
                self.size_bytes -= self._entries.pop(key)[1]
            self._entries[key] = (value, size_bytes)
            self.size_bytes += size_bytes
            while len(self._entries) > self._max_entries or self.size_bytes > self._max_bytes:
                _, (_, dropped) = self._entries.popitem(last=False)
                self.size_bytes -= dropped
                self.evictions += 1
