"""`--soak-seconds`: many clients that ask for everything at once, check every answer, and look for what is left behind."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from benchmarks.load.leaks import MIB, Counters, Holding, counters, growth_of, holding, left_behind
from benchmarks.load.visits import VISITS, Busy, Memory, UnequalAnswer, Visitor, WrongAnswer

ANSWER_SECONDS = 120.0
"""A request that is not answered by then is lost."""
SETTLE_SECONDS = 15.0
"""For the server to drop what clients left."""
KINDS_OF_FAULTS = 100
"""Told apart; further ones are only counted."""


@dataclass(frozen=True, kw_only=True)
class SoakOptions:
    """What a soak is told. `server_pid` names a process on this machine, whose memory and handles are then watched."""

    base_url: str
    headers: dict[str, str]
    seconds: float
    clients: int
    seed: int
    server_pid: int | None = None
    growth_mib: float = 32.0
    allow_unequal: bool = False


@dataclass(kw_only=True)
class _Course:
    """What happened while a soak went on."""

    begin: float
    samples: list[Holding] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of each right answer, by visit."""
    faults: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    scrapes: int = 0

    def fault(self, sentence: str) -> None:
        known = sentence in self.faults or len(self.faults) < KINDS_OF_FAULTS
        self.faults[sentence if known else "faults of further kinds"] += 1


async def soak(options: SoakOptions) -> dict[str, Any]:
    """Run it; `faults` of the result is empty when every answer was right and nothing was left behind.

    Raises:
        httpx.HTTPError: the server does not answer before the load begins.
        OSError: `server_pid` cannot be watched.
    """
    async with httpx.AsyncClient(base_url=options.base_url, headers=options.headers, timeout=30, trust_env=False) as probe:
        models = await probe.get("/v1/models")
        models.raise_for_status()
        memory = Memory(models=[model["id"] for model in models.json()["data"]])
        before = await counters(probe)
        course = _Course(begin=time.monotonic())
        if options.server_pid is not None:
            course.samples.append(holding(options.server_pid, 0.0))
        sampler = asyncio.create_task(_sample(options, course))
        try:
            await _load(options, memory, course)
        finally:
            sampler.cancel()
            with suppress(asyncio.CancelledError):
                await sampler
        duration = time.monotonic() - course.begin
        after = await _settled(options, probe, before, course)
    faults = [f"{count} times: {sentence}" for sentence, count in course.faults.most_common()]
    if memory.unequal and not options.allow_unequal:
        faults.append(f"{memory.unequal} seeded requests were answered otherwise than before: {memory.example}")
    faults += left_behind(before, after, course.samples, seconds=options.seconds, growth_mib=options.growth_mib)
    faults += _unaccounted(memory, course, before, after)
    return _result(options, memory, course, after, duration, faults)


async def _load(options: SoakOptions, memory: Memory, course: _Course) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=options.clients)
    shared: dict[str, Any] = {
        "base_url": options.base_url,
        "headers": options.headers,
        "timeout": ANSWER_SECONDS,
        "trust_env": False,
    }
    small = httpx.AsyncHTTPTransport(limits=limits, socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    async with (
        httpx.AsyncClient(**shared, limits=limits) as client,
        httpx.AsyncClient(**shared, transport=small) as slow_client,
    ):
        visitors = [
            Visitor(client=client, slow_client=slow_client, memory=memory, draw=random.Random(f"{options.seed} {index}"))
            for index in range(options.clients)
        ]
        await asyncio.gather(*(_visit_until(course.begin + options.seconds, visitor, course) for visitor in visitors))


async def _visit_until(end: float, visitor: Visitor, course: _Course) -> None:
    while time.monotonic() < end:
        (visit,) = visitor.draw.choices(list(VISITS), list(VISITS.values()))
        start = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await visit(visitor)
        except Busy:
            course.busy += 1
            await asyncio.sleep(visitor.draw.uniform(0.1, 0.5))
        except UnequalAnswer as error:
            visitor.memory.unequal += 1
            visitor.memory.example = str(error)
        except TimeoutError:
            course.fault(f"{visit.__name__}: lost, no answer within {ANSWER_SECONDS:g} s")
        except (WrongAnswer, httpx.HTTPError, ValueError, KeyError, IndexError) as error:
            course.fault(f"{visit.__name__}: {type(error).__name__}: {error}")
        else:
            course.seconds[visit.__name__].append(time.monotonic() - start)


async def _sample(options: SoakOptions, course: _Course) -> None:
    """Watch the server's process while the load goes on."""
    while options.server_pid is not None:
        await asyncio.sleep(min(1.0, options.seconds / 50))
        course.samples.append(holding(options.server_pid, time.monotonic() - course.begin))


async def _settled(options: SoakOptions, probe: httpx.AsyncClient, before: Counters, course: _Course) -> Counters:
    """The counters once nothing is held any more, or after `SETTLE_SECONDS`; adds the last sample of the process."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        after = await counters(probe)
        course.scrapes += 1
        last = [] if options.server_pid is None else [holding(options.server_pid, time.monotonic() - course.begin)]
        everything = course.samples + last
        held = left_behind(before, after, everything, seconds=options.seconds, growth_mib=float("inf"))
        if not held or time.monotonic() > end:
            course.samples += last
            return after
        await asyncio.sleep(0.2)


def _unaccounted(memory: Memory, course: _Course, before: Counters, after: Counters) -> list[str]:
    """Where the server's count of its replies and the clients' do not agree. Nobody saw the replies to those who left."""
    found = []
    counted = {status: number - before.responses.get(status, 0) for status, number in after.responses.items()}
    for status, number in sorted(memory.seen.items()):
        if counted.get(status, 0) < number:
            found.append(f"clients saw {number} replies of status {status}, the server counted {counted.get(status, 0)}")
    for status, number in sorted(counted.items()):
        if status >= 500 and status != 503 and number:
            found.append(f"the server counted {number} replies of status {status}")
    surplus = sum(counted.values()) - sum(memory.seen.values()) - course.scrapes
    if surplus > memory.left:
        found.append(f"the server counted {surplus} replies that no client saw, and only {memory.left} clients left")
    return found


def _result(
    options: SoakOptions, memory: Memory, course: _Course, after: Counters, duration: float, faults: list[str]
) -> dict[str, Any]:
    def percentiles(seconds: list[float]) -> dict[str, Any]:
        p50, p99 = np.percentile(seconds, [50, 99]) * 1000
        return {"count": len(seconds), "p50_ms": float(p50), "p99_ms": float(p99)}

    answered = [second for seconds in course.seconds.values() for second in seconds]
    found: dict[str, Any] = {
        "duration": duration,
        "clients": options.clients,
        "models": memory.models,
        "num_requests": memory.sent,
        "completed": len(answered),
        "left": memory.left,
        "busy": course.busy,
        "unequal": memory.unequal,
        "responses": {str(status): number for status, number in sorted(memory.seen.items())},
        "faults": faults,
        "visits": {name: percentiles(seconds) for name, seconds in sorted(course.seconds.items())},
        "all": percentiles(answered) if answered else None,
        "kv_cache_usage_perc": after.pages,
    }
    if course.samples:
        first, last = course.samples[0], course.samples[-1]
        growth = growth_of(course.samples, options.seconds)
        found["server"] = {
            "rss_mib": [round(sample.rss / MIB, 1) for sample in course.samples[:: max(1, len(course.samples) // 50)]],
            "rss_growth_mib": None if growth is None else growth / MIB,
            "handles": {"before": first.handles, "most": max(each.handles for each in course.samples), "after": last.handles},
            "threads": {"before": first.threads, "most": max(each.threads for each in course.samples), "after": last.threads},
        }
    return found


def soak_table(found: dict[str, Any]) -> str:
    """The result as lines for people, the faults last."""
    lines = [
        f"{found['num_requests']} requests of {found['clients']} clients in {found['duration']:.1f} s: {found['completed']} "
        f"visits right, {found['left']} left by their client, {found['busy']} told to come back later, "
        f"{found['unequal']} unequal repeats",
        f"replies by status: {', '.join(f'{status}: {number}' for status, number in found['responses'].items())}",
        f"{'visit':<20}{'count':>8}{'p50 ms':>12}{'p99 ms':>12}",
    ]
    rows = dict(found["visits"]) | ({"all": found["all"]} if found["all"] else {})
    lines += [f"{name:<20}{row['count']:>8}{row['p50_ms']:>12.1f}{row['p99_ms']:>12.1f}" for name, row in rows.items()]
    if "server" in found:
        server = found["server"]
        growth = server["rss_growth_mib"]
        lines.append(
            f"server: {server['rss_mib'][0]} MiB before, {server['rss_mib'][-1]} after, growth after the warm-up "
            f"{'too short to tell' if growth is None else f'{growth:.1f} MiB'}; file handles "
            f"{server['handles']['before']} before, {server['handles']['after']} after"
        )
    lines += [f"FAULT: {fault}" for fault in found["faults"]] or ["no wrong answer, nothing left behind"]
    return "\n".join(lines)
