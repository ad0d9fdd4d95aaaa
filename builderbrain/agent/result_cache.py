"""Results of tools that only look, kept for as long as the schema of their skill says (`cache_seconds`).

Kept for one domain version, skill, arguments, working root, source (the tool, or the settings it is made of) and whoever asks,
so that nobody is answered from what was given to somebody else. Only successes are kept. Concurrent equal calls in one event
loop share one; when it does not succeed, those who waited make their own.

A call with effects forgets all that is kept of its domain, whoever's it is and below whichever root, and all that is kept of
other domains whose root is its own, within it or around it: when it begins, since it may take hold at any time, and when it is
over. What is changed by others is seen after `cache_seconds` at the latest.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
from anyio.lowlevel import current_token

from builderbrain.agent.clock import Clock, SystemClock
from builderbrain.errors import ConfigError
from builderbrain.grammar.cache import BoundedCache, CacheUse, cache_key
from builderbrain.plan.domain import Domain, Skill

T = TypeVar("T")
_MOST_FOLDERS = 4096


@dataclass(frozen=True, kw_only=True)
class CacheSize:
    """What is kept of one domain at most."""

    entries: int = 512
    bytes: int = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """Results without a call: `kept` for so long, or `shared` with an equal call that was under way."""

    results: Mapping[str, Any]
    how: Literal["kept", "shared"]
    age_seconds: float


@dataclass(frozen=True)
class _Kept:
    text: str
    since: float


class _UnderWay:
    """A call that others wait for. `text` is what it gave, None when it did not succeed."""

    def __init__(self) -> None:
        self.loop: object = current_token().native_token
        self.over = anyio.Event()
        self.text: str | None = None


class ResultCache:
    """What is kept, by domain. Shared by the executions of a process; may be used from any thread.

    Args:
        clock: by which results grow old.
        size: of every domain that `sizes` does not name.
        sizes: by domain.
    """

    def __init__(
        self, clock: Clock | None = None, *, size: CacheSize | None = None, sizes: Mapping[str, CacheSize] | None = None
    ) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._size = size if size is not None else CacheSize()
        self._sizes = dict(sizes or {})
        self._mutex = threading.Lock()
        self._kept: dict[str, BoundedCache[_Kept]] = {}
        self._late: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()
        self._under_way: dict[str, _UnderWay] = {}
        self._changed_domains: Counter[str] = Counter()
        self._changed_folders: Counter[tuple[str, Path]] = Counter()
        self._epoch = 0
        self._sources = _Numbers()

    def use(self) -> dict[str, CacheUse]:
        """By domain; a call that was shared is a hit, a result that had grown too old a miss."""
        with self._mutex:
            kept = dict(self._kept)
            more = {domain: self._shared[domain] - self._late[domain] for domain in kept}
        found = {domain: cache.use() for domain, cache in kept.items()}
        return {
            domain: replace(use, hits=use.hits + more[domain], misses=use.misses - more[domain])
            for domain, use in found.items()
        }

    def key(
        self,
        domain: Domain,
        skill: Skill,
        arguments: Mapping[str, Any],
        *,
        root: Path,
        state: Path | None,
        source: object,
        asker: str,
    ) -> str | None:
        """What a result is known by at this moment; None when it is not kept: the schema does not say so, or the source cannot
        be told from another.

        Args:
            arguments: as the tool gets them, references resolved and defaults filled in.
            root, state: the folders that the tool works in.
            source: what stands for the tool and all that it reaches.
            asker: whoever the result is for.
        """
        number = self._sources.of(source) if skill.cache_seconds is not None and skill.safety == "read_only" else None
        if number is None:
            return None
        named = (domain.name, str(domain.version), domain.schema_sha256, skill.name, str(root), str(state), str(number), asker)
        said = json.dumps(arguments, sort_keys=True, ensure_ascii=True)
        return cache_key(*named, said, *map(str, self._generation(domain.name, root)))

    async def through(
        self, key: str, domain: str, seconds: float, call: Callable[[], Awaitable[tuple[T, Mapping[str, Any] | None]]]
    ) -> T | Found:
        """The result of a key: the one that is kept, or that of an equal call under way; else the outcome of `call`.

        Args:
            seconds: how old it may be.
            call: gives its outcome and the results, None where it did not succeed.
        """
        found = self._find(domain, key, seconds)
        if found is not None:
            return found
        joined = self._join(key)
        if joined is not None:
            await joined.over.wait()
            if joined.text is not None:
                with self._mutex:
                    self._shared[domain] += 1
                return Found(results=json.loads(joined.text), how="shared", age_seconds=0.0)
        mine = self._lead(key)
        try:
            outcome, results = await call()
            if results is not None:
                text = json.dumps(dict(results))
                self._cache(domain).put(key, _Kept(text, self._clock.monotonic()), len(text))
                if mine is not None:
                    mine.text = text
            return outcome
        finally:
            if mine is not None:
                with self._mutex:
                    self._under_way.pop(key, None)
                mine.over.set()

    @contextmanager
    def changing(self, domain: str, root: Path) -> Iterator[None]:
        """A call with effects is made inside the `with`."""
        self._forget(domain, root)
        try:
            yield
        finally:
            self._forget(domain, root)

    def _find(self, domain: str, key: str, seconds: float) -> Found | None:
        kept = self._cache(domain).get(key)
        if kept is None:
            return None
        age = self._clock.monotonic() - kept.since
        if not 0 <= age <= seconds:
            self._cache(domain).discard(key)
            with self._mutex:
                self._late[domain] += 1
            return None
        return Found(results=json.loads(kept.text), how="kept", age_seconds=age)

    def _join(self, key: str) -> _UnderWay | None:
        with self._mutex:
            found = self._under_way.get(key)
        return found if found is not None and found.loop is current_token().native_token else None

    def _lead(self, key: str) -> _UnderWay | None:
        """Let others wait for the call that follows; None where they wait for another one, or in another loop."""
        mine = _UnderWay()
        with self._mutex:
            return mine if self._under_way.setdefault(key, mine) is mine else None

    def _cache(self, domain: str) -> BoundedCache[_Kept]:
        with self._mutex:
            if domain not in self._kept:
                size = self._sizes.get(domain, self._size)
                self._kept[domain] = BoundedCache(max_entries=size.entries, max_bytes=size.bytes)
            return self._kept[domain]

    def _generation(self, domain: str, root: Path) -> tuple[int, int, int]:
        """Changes with every call that could make what is kept untrue; old keys are then never asked for again."""
        around = (*root.parents, root)
        with self._mutex:
            at = sum(self._changed_folders[("at", folder)] for folder in around)
            within = self._changed_folders[("within", root)]
            return self._epoch, self._changed_domains[domain], at + within

    def _forget(self, domain: str, root: Path) -> None:
        with self._mutex:
            self._changed_domains[domain] += 1
            self._changed_folders[("at", root)] += 1
            self._changed_folders.update(("within", folder) for folder in root.parents)
            if len(self._changed_folders) > _MOST_FOLDERS:  # nothing that was kept before is asked for any more
                self._changed_folders.clear()
                self._epoch += 1


def read_sizes(text: str) -> dict[str, CacheSize]:
    """Sizes by domain, from `DOMAIN=ENTRIES:BYTES,...`.

    Raises:
        ConfigError: that is not what it says.
    """
    sizes: dict[str, CacheSize] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*([a-z][a-z0-9_]*)=([0-9]{1,9}):([0-9]{1,12})\s*", part)
        if found is None:
            raise ConfigError(
                f"expected DOMAIN=ENTRIES:BYTES, such as api_json=512:4194304, got {part!r:.80}", field="tool_cache"
            )
        sizes[found[1]] = CacheSize(entries=int(found[2]), bytes=int(found[3]))
    return sizes


class _Numbers:
    """A number for each object for as long as it lives; none for what cannot be watched. No number is given twice."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._known: dict[int, tuple[weakref.ref[object], int]] = {}
        self._next = 0

    def of(self, thing: object) -> int | None:
        with self._mutex:
            known = self._known.get(id(thing))
            if known is not None and known[0]() is thing:
                return known[1]
            try:
                watched = weakref.ref(thing)
            except TypeError:
                return None
            self._known = {place: one for place, one in self._known.items() if one[0]() is not None}
            self._next += 1
            self._known[id(thing)] = (watched, self._next)
            return self._next
