"""Wall time of plans beside their critical path and beside the same steps one after the other, with real confined processes.

`python -m benchmarks.plan_execution --json benchmarks/results/2026-11-29-plan-execution.json`

- `waiting`: plans whose steps run `sleep` in the sandbox, as tools wait for a service or a disk. Critical path: the longest
  chain of the steps' own measured times. `times_faster`: the same steps run one after the other. Targets: `over_ms`, which is
  wall - 1.05 x critical path, at most 20; `times_faster` at least 3.
- `shipped_waiting`: the domain's golden plans that have steps side by side, with the same waiting tools.
- `shipped`: those plans with the real tools over the project's own files. Their steps are short and use the processor, so that
  the cores, and the longest step, bound them.
- `examples`: the plans of `examples/plans/api_json` with the real tools, against a bookshop behind HTTP on this machine that
  takes `--latency` seconds for an answer. Target: `times_faster` at least 3.

Every plan runs `--rounds` times; the round with the least wall time counts, since other programs share the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from builderbrain.agent.executor import WorkingRoot, execute_async
from builderbrain.agent.trace import TraceEntry
from builderbrain.plan import CheckedPlan, Plan, check, checked, get_domain, parse_text, plan_from_json
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.api.domain import api_tools
from builderbrain.tools.base import Tool, ToolContext
from builderbrain.tools.process import run_process
from builderbrain.tools.sandbox.choose import this_machine
from tests.domains.bookshop import Bookshop, serving

ROOT = Path(__file__).resolve().parent.parent
PATHS = {"count": 1, "first_path": "README.md", "last_path": "README.md", "paths": ["README.md"], "text": "README.md"}


def waiting_tools(seconds: float) -> dict[str, Tool]:
    """The domain's tools, each a process that waits."""

    async def wait(context: ToolContext) -> None:
        await run_process(
            ["sleep", str(seconds)],
            folder="/",
            timeout_seconds=context.timeout_seconds,
            max_output_bytes=100,
            confinement=context.confinement,
        )

    async def search(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await wait(context)
        return PATHS

    async def read(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await wait(context)
        return {"path": arguments["path"], "lines": 1, "text": "x"}

    async def talk(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"text": arguments["text"]}

    runs = {"search": search, "list": search, "read": read, "talk": talk}
    return {skill: Tool(skill=skill, run=run) for skill, run in runs.items()}


def waiting_plans() -> dict[str, CheckedPlan]:
    """Wide plans by name: side by side, side by side in two ranks, a diamond."""
    wide = [f's{at}=search(pattern="p{at}")' for at in range(1, 9)]
    ranks = [f's{at}=search(pattern="p{at}")' for at in range(1, 5)] + [
        f"s{at + 4}=read(path=s{at}.first_path)" for at in range(1, 5)
    ]
    diamond = ['s1=search(pattern="p")', *(f"s{at}=read(path=s1.first_path)" for at in range(2, 8))]
    texts = {"eight side by side": wide, "four chains of two": ranks, "one, then six": diamond}
    return {name: checked(parse_text("\n".join(lines))) for name, lines in texts.items()}


def shipped_plans() -> dict[str, CheckedPlan]:
    """Golden plans with a step that waits for no other beside another."""
    found = {}
    for path in sorted((ROOT / "schemas" / "golden" / "repo_assistant.v1" / "valid").glob("*.json")):
        plan = plan_from_json(json.loads(path.read_text(encoding="utf-8")).get("plan"))
        if sum(not step.needs for step in plan.steps) > 1:
            found[path.stem] = checked(plan)
    return found


def example_plans() -> dict[str, CheckedPlan]:
    """The examples over an API, by name."""
    folder = ROOT / "examples" / "plans" / "api_json"
    return {
        path.stem: checked(parse_text(path.read_text(encoding="utf-8"), domain="api_json"))
        for path in sorted(folder.glob("*.plan"))
    }


@contextmanager
def bookshop_tools(latency: float) -> Iterator[Mapping[str, Tool]]:
    """The tools of `api_json` for a bookshop whose every answer takes `latency` seconds."""
    shop = Bookshop().app

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(latency)
        await shop(scope, receive, send)

    with serving(slow) as base:
        yield api_tools(get_domain("api_json"), ApiSettings(base_url=base))


def critical_path(plan: Plan, trace: Sequence[TraceEntry]) -> float:
    """Seconds of the longest chain, by the steps' own times."""
    ends: dict[str, float] = {}
    for step, entry in zip(plan.steps, trace, strict=True):
        ends[step.id] = entry.seconds + max((ends[name] for name in step.needs), default=0.0)
    return max(ends.values())


def measure(plan: CheckedPlan, tools: Mapping[str, Tool] | None, rounds: int) -> dict[str, float]:
    """The round with the least wall time."""
    best: dict[str, float] = {}
    for _ in range(rounds):

        async def run() -> tuple[float, tuple[TraceEntry, ...]]:
            started = time.perf_counter()
            trace = await execute_async(plan, WorkingRoot(ROOT), tools=tools)
            return time.perf_counter() - started, trace

        wall, trace = anyio.run(run)
        critical = critical_path(plan.plan, trace)
        row = {
            "wall_ms": round(1000 * wall, 2),
            "critical_path_ms": round(1000 * critical, 2),
            "over_ms": round(1000 * (wall - 1.05 * critical), 2),
        }
        best = row if not best or row["wall_ms"] < best["wall_ms"] else best
    return best


def one_after_the_other(plan: CheckedPlan) -> CheckedPlan | None:
    """The same steps, each after the one before it; None when the domain allows no plan as deep."""
    before: list[str] = []
    steps = []
    for step in plan.plan.steps:
        steps.append(replace(step, needs=tuple(dict.fromkeys((*step.needs, *before[-1:])))))
        before.append(step.id)
    chained = replace(plan.plan, steps=tuple(steps))
    return checked(chained) if check(chained).accepted else None


def compare(plan: CheckedPlan, tools: Mapping[str, Tool] | None, rounds: int) -> dict[str, float]:
    """A plan, and how many times longer its steps take one after the other."""
    row = measure(plan, tools, rounds)
    chained = one_after_the_other(plan)
    if chained is not None:
        row["times_faster"] = round(measure(chained, tools, rounds)["wall_ms"] / row["wall_ms"], 2)
    return row


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each waiting step waits")
    parser.add_argument("--latency", type=float, default=0.2, help="how long the API of the examples takes for an answer")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    this_machine()  # found once, before anything is timed
    tools = waiting_tools(options.seconds)
    report: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "sandbox": "bubblewrap" if this_machine().bubblewrap else "landlock",
        "waiting": {name: compare(plan, tools, options.rounds) for name, plan in waiting_plans().items()},
        "shipped_waiting": {name: compare(plan, tools, options.rounds) for name, plan in shipped_plans().items()},
        "shipped": {name: compare(plan, None, options.rounds) for name, plan in shipped_plans().items()},
    }
    with bookshop_tools(options.latency) as shop:
        report["examples"] = {name: compare(plan, shop, options.rounds) for name, plan in example_plans().items()}
    print(json.dumps(report, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
