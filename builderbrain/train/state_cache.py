"""The section `state_cache` of a run, and the host that it makes of the base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.hosts.cached_states import CachedStates
from builderbrain.hosts.state_rows import StorageType
from builderbrain.hosts.state_store import FolderStore, MemoryStore, StateStore

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class StateCacheSection:
    """Whether states of rows are kept, at most `memory_gib` in memory (0 for none) and, with a `folder`, `disk_gib` in files
    there. `dtype` float32 is exact; bfloat16 takes half of it, float8 a quarter.

    It pays where rows come again, as those of a file do. Generated goals never repeat a row: leave it off.
    """

    enabled: bool = False
    memory_gib: float = 1.0
    folder: str = ""
    disk_gib: float = 16.0
    dtype: StorageType = "bfloat16"

    def __post_init__(self) -> None:
        check_bounds(self, {"memory_gib": (0, math.inf), "disk_gib": (1e-6, math.inf)})
        if self.enabled and not self.memory_gib and not self.folder:
            raise ConfigError("expected memory_gib > 0 or a folder while the cache is on, got neither", field="memory_gib")


def with_state_cache(host: Host, section: StateCacheSection) -> Host:
    """The host, behind a cache if the section asks for one.

    Raises:
        ConfigError: the folder cannot be made or read.
    """
    if not section.enabled:
        return host
    stores: list[StateStore] = []
    if section.memory_gib:
        stores.append(MemoryStore(int(section.memory_gib * _GIB)))
    if section.folder:
        try:
            stores.append(FolderStore(Path(section.folder), int(section.disk_gib * _GIB)))
        except OSError as error:
            raise ConfigError(
                f"expected state_cache.folder to be a folder that can be made, got {section.folder!r}: {error.strerror}",
                field="state_cache.folder",
            ) from error
    return CachedStates(host, stores, kind=section.dtype)
