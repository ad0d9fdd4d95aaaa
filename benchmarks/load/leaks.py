"""What a server holds before, during and after a soak, and what of it did not come back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

MIB = 1024 * 1024
WARM_SHARE = 0.25
"""Of a soak's time: until then caches fill and allocators take what they keep, so growth is counted from there on."""


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What a process holds at one moment. `seconds` since the soak began; `rss` in bytes, resident."""

    seconds: float
    rss: int
    handles: int
    threads: int


def holding(pid: int, seconds: float) -> Holding:
    """Read it from /proc.

    Raises:
        OSError: no such process, or one of somebody else.
    """
    folder = Path("/proc") / str(pid)
    pages = int((folder / "statm").read_text().split()[1])
    return Holding(
        seconds=seconds,
        rss=pages * os.sysconf("SC_PAGE_SIZE"),
        handles=len(list((folder / "fd").iterdir())),
        threads=len(list((folder / "task").iterdir())),
    )


def growth_of(samples: Sequence[Holding], seconds: float) -> int | None:
    """Bytes that the resident memory grew by after `WARM_SHARE` of a soak of that many seconds: the median of the last fifth
    less that of the first fifth of the samples since then. None with fewer than five of these."""
    warm = [sample.rss for sample in samples if sample.seconds >= WARM_SHARE * seconds]
    if len(warm) < 5:
        return None
    fifth = len(warm) // 5
    return int(np.median(warm[-fifth:]) - np.median(warm[:fifth]))


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What /metrics tells. `pages` is the share of cache pages that outputs hold, None where the server has no pages."""

    running: float
    waiting: float
    pages: float | None
    responses: dict[int, int]
    """Replies by status since the server started."""

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self.running == self.waiting == 0


async def counters(client: httpx.AsyncClient) -> Counters:
    """Scrape the server.

    Raises:
        httpx.HTTPError: it does not answer.
    """
    reply = await client.get("/metrics")
    reply.raise_for_status()
    values: dict[str, float] = {}
    responses: dict[int, int] = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
            if sample.name == "bb:http_responses_total":
                responses[int(sample.labels["status"])] = int(sample.value)
    return Counters(
        running=values["vllm:num_requests_running"],
        waiting=values["vllm:num_requests_waiting"],
        pages=values.get("vllm:kv_cache_usage_perc"),
        responses=responses,
    )


def left_behind(
    before: Counters, after: Counters, samples: Sequence[Holding], *, seconds: float, growth_mib: float
) -> list[str]:
    """What did not come back, one sentence each. `samples` begin before the load and end after it; empty without a process."""
    found = []
    if not after.idle:
        found.append(f"{after.running:g} outputs run and {after.waiting:g} wait, though no client asks for anything")
    if after.pages != before.pages:
        found.append(f"outputs hold {after.pages} of the cache pages, before the load it was {before.pages}")
    if samples:
        first, last = samples[0], samples[-1]
        if last.handles > first.handles:
            found.append(f"{last.handles} file handles are open, before the load it was {first.handles}")
        growth = growth_of(samples, seconds)
        if growth is not None and growth > growth_mib * MIB:
            found.append(f"resident memory grew by {growth / MIB:.1f} MiB after the warm-up, allowed are {growth_mib:g}")
    return found
