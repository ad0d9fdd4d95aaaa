"""Results of tools that only look stand for equal calls: for their time, for whoever asked, until something has effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent.executor import WorkingRoot, run_plan
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.result_cache import CacheSize, ResultCache, read_sizes
from builderbrain.agent.runs import PlanRuns
from builderbrain.errors import ConfigError, ToolError
from builderbrain.tools.base import Tool, ToolContext
from tests.agent.shop import RESERVE, Shop, statuses
from tests.agent.workshop import plan_of, workshop

HERE, THERE = {"skill": "look"}, {"skill": "look", "args": {"at": "there"}}
LATER = {**HERE, "needs": ["s1"]}


class Seen:
    """A tool for `look` that counts its calls and gives what it is told to, or fails."""

    def __init__(self, shop: Shop) -> None:
        self.calls: list[str] = []
        self.text = "first"
        self.error: Exception | None = None
        self.release: anyio.Event | None = None
        shop.tools["look"] = Tool(skill="look", run=self._run)

    async def _run(self, context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(arguments["at"])
        if self.release is not None:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        return {"text": self.text}


@pytest.fixture
def seen(shop: Shop) -> Seen:
    shop.runtime = replace(shop.runtime, results=ResultCache(shop.clock), asker="anna")
    return Seen(shop)


def kept(shop: Shop) -> ResultCache:
    assert shop.runtime.results is not None
    return shop.runtime.results


def texts(report: ExecutionReport) -> list[Any]:
    return [entry.output and entry.output.get("text") for entry in report.entries]


def test_an_equal_call_is_answered_by_the_result_of_the_first_and_the_trace_says_how_old_it_is(shop: Shop, seen: Seen) -> None:
    first = shop.run(HERE).entries[0]
    assert (first.attempts, first.age_seconds) == (1, None)
    shop.clock.time += 12.5
    seen.text = "second"
    report = shop.run(HERE)
    entry = report.entries[0]
    assert (entry.status, texts(report), entry.attempts, entry.age_seconds) == ("done", ["first"], 0, 12.5)
    assert entry.to_json()["age_seconds"] == 12.5
    (event,) = [event for event in report.events if event.kind == "cached"]
    assert event.said == "s1 (look) takes a result that is kept, 12.500 s old"
    assert (event.details["how"], event.details["output"]) == ("kept", {"text": "first"})
    assert not [event for event in report.events if event.kind == "attempt"]
    assert seen.calls == ["here"]


def test_a_default_and_the_same_value_written_out_are_one_call_and_another_value_is_another(shop: Shop, seen: Seen) -> None:
    shop.run(HERE)
    shop.run({"skill": "look", "args": {"at": "here"}})
    shop.run(THERE)
    assert seen.calls == ["here", "there"]


def test_a_result_that_has_grown_too_old_is_not_used(shop: Shop, seen: Seen) -> None:
    shop.run(HERE)
    shop.clock.time += 60
    assert texts(shop.run(HERE)) == ["first"]
    shop.clock.time += 0.001
    seen.text = "second"
    assert texts(shop.run(HERE)) == ["second"]
    use = kept(shop).use()["workshop"]
    assert (use.hits, use.misses, use.entries) == (1, 2, 1)


def test_a_skill_whose_schema_does_not_say_so_is_called_every_time(shop: Shop, seen: Seen) -> None:
    assert [shop.run("inspect").entries[0].attempts for _ in range(2)] == [1, 1]
    assert kept(shop).use() == {}


def test_nobody_gets_what_was_kept_for_somebody_else_below_another_root_or_of_another_tool(shop: Shop, seen: Seen) -> None:
    shop.run(HERE)
    shop.run(HERE, asker="bert")
    assert len(seen.calls) == 2
    shop.folder = shop.folder / "below"
    shop.folder.mkdir()
    shop.run(HERE)
    assert len(seen.calls) == 3
    shop.run(HERE, state_folder=shop.folder)
    assert len(seen.calls) == 4
    other = Seen(shop)
    shop.run(HERE)
    assert (len(seen.calls), len(other.calls)) == (4, 1)


def test_where_nobody_is_said_to_ask_nothing_is_kept_or_taken(shop: Shop, seen: Seen) -> None:
    shop.run(HERE)
    for _ in range(2):
        assert shop.run(HERE, asker=None).entries[0].age_seconds is None
    assert len(seen.calls) == 3


def test_a_failure_is_not_kept(shop: Shop, seen: Seen) -> None:
    seen.error = ToolError("there is nothing there")
    assert statuses(shop.run(HERE)) == ["failed"]
    seen.error = None
    assert statuses(shop.run(HERE)) == ["done"]
    assert len(seen.calls) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_with_effects_forgets_what_is_kept_whether_it_succeeds_or_not(shop: Shop, seen: Seen, fails: bool) -> None:
    shop.run(HERE)
    shop.run(HERE, asker="bert")
    if fails:
        shop.effects.fail["reserve"] = ToolError("sold out")
    shop.run(RESERVE, asker="carl")
    seen.text = "second"
    assert texts(shop.run(HERE)) == ["second"]
    assert texts(shop.run(HERE, asker="bert")) == ["second"]


def test_what_was_seen_while_an_effect_was_under_way_is_not_kept_beyond_it(shop: Shop, seen: Seen) -> None:
    """A step looks in the middle of another's effect; after it the tool is asked again."""
    release = anyio.Event()
    done = shop.tools["reserve"].run

    async def slow(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await release.wait()
        return await done(context, arguments)

    shop.tools["reserve"] = Tool(skill="reserve", run=slow)

    async def look() -> ExecutionReport:
        return await run_plan(plan_of(HERE), WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime)

    async def main() -> ExecutionReport:
        async with anyio.create_task_group() as group:
            plan = plan_of(RESERVE)
            group.start_soon(lambda: run_plan(plan, WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime))
            await anyio.wait_all_tasks_blocked()
            await look()
            seen.text = "second"
            release.set()
        return await look()

    assert texts(anyio.run(main)) == ["second"]


@pytest.mark.parametrize(("where", "forgotten"), [(".", True), ("a", True), ("a/b", True), ("a/b/c", True), ("z", False)])
def test_effects_of_another_domain_forget_what_was_seen_in_their_folder_within_it_and_around_it(
    tmp_path: Path, where: str, forgotten: bool
) -> None:
    cache, domain, source = ResultCache(), workshop(), ResultCache()

    def key() -> str | None:
        return cache.key(domain, domain.skills["look"], {}, root=tmp_path / "a/b", state=None, source=source, asker="anna")

    before = key()
    assert before == key()
    with cache.changing("elsewhere", tmp_path / where):
        during = key()
    assert (before != during, during != key()) == (forgotten, forgotten)


def test_folders_beyond_the_most_that_are_counted_forget_everything_and_never_bring_it_back(tmp_path: Path) -> None:
    cache, domain = ResultCache(), workshop()
    keys = set()
    for number in range(5_000):
        keys.add(cache.key(domain, domain.skills["look"], {}, root=tmp_path, state=None, source=cache, asker="anna"))
        with cache.changing("elsewhere", tmp_path / str(number % 4_500)):
            pass
    assert len(keys) == 5_000


def test_the_least_recently_used_results_leave_when_a_domain_has_its_entries_or_bytes(shop: Shop, seen: Seen) -> None:
    def look(at: str) -> None:
        shop.run({"skill": "look", "args": {"at": at}})

    shop.runtime = replace(shop.runtime, results=ResultCache(shop.clock, sizes={"workshop": CacheSize(entries=2)}))
    for at in ("a", "b", "a", "c", "a", "b"):
        look(at)
    assert seen.calls == ["a", "b", "c", "b"]
    use = kept(shop).use()["workshop"]
    assert (use.hits, use.misses, use.entries, use.evictions) == (2, 4, 2, 2)
    shop.runtime = replace(shop.runtime, results=ResultCache(shop.clock, size=CacheSize(bytes=40)))
    seen.text = "x" * 100
    for _ in range(2):
        look("a")
    use = kept(shop).use()["workshop"]
    assert (use.hits, use.entries, use.size_bytes) == (0, 0, 0)


def test_who_changes_a_result_changes_his_own_copy(shop: Shop, seen: Seen) -> None:
    for _ in range(2):
        output = shop.run(HERE).entries[0].output
        assert isinstance(output, dict)
        assert output == {"ok": True, "text": "first"}
        output["text"] = "spoiled"


async def _together(shop: Shop, seen: Seen, *askers: str, cancel_first: bool = False) -> list[ExecutionReport]:
    """Equal plans at the same time; the tool answers when all of them wait."""
    seen.release = anyio.Event()
    reports: dict[int, ExecutionReport] = {}
    scopes = [anyio.CancelScope() for _ in askers]

    async def one(number: int, asker: str) -> None:
        with scopes[number]:
            runtime = replace(shop.runtime, asker=asker)
            reports[number] = await run_plan(plan_of(HERE), WorkingRoot(shop.folder), tools=shop.tools, runtime=runtime)

    async with anyio.create_task_group() as group:
        for number, asker in enumerate(askers):
            group.start_soon(one, number, asker)
            await anyio.wait_all_tasks_blocked()
        if cancel_first:
            scopes[0].cancel()
            await anyio.wait_all_tasks_blocked()
        seen.release.set()
    return [reports[number] for number in sorted(reports)]


def test_equal_calls_at_the_same_time_are_one(shop: Shop, seen: Seen) -> None:
    reports = anyio.run(_together, shop, seen, "anna", "anna", "anna", "bert")
    assert [statuses(report) for report in reports] == [["done"]] * 4
    assert len(seen.calls) == 2, "one for each who asks"
    assert [report.entries[0].age_seconds for report in reports] == [None, 0.0, 0.0, None]
    (event,) = [event for event in reports[1].events if event.kind == "cached"]
    assert event.said == "s1 (look) takes the result of an equal call that was under way, 0.000 s old"


def test_two_equal_steps_of_one_plan_are_one_call(shop: Shop, seen: Seen) -> None:
    async def main() -> ExecutionReport:
        seen.release = anyio.Event()
        async with anyio.create_task_group() as group:
            reports: list[ExecutionReport] = []

            async def run() -> None:
                plan = plan_of(HERE, HERE)
                reports.append(await run_plan(plan, WorkingRoot(shop.folder), tools=shop.tools, runtime=shop.runtime))

            group.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            seen.release.set()
        return reports[0]

    assert statuses(anyio.run(main)) == ["done", "done"]
    assert seen.calls == ["here"]


def test_when_the_call_that_others_wait_for_fails_they_make_their_own(shop: Shop, seen: Seen) -> None:
    seen.error = ToolError("no answer")
    reports = anyio.run(_together, shop, seen, "anna", "anna", "anna")
    assert [statuses(report) for report in reports] == [["failed"]] * 3
    assert len(seen.calls) == 3


def test_when_the_call_that_others_wait_for_is_cancelled_they_make_their_own(shop: Shop, seen: Seen) -> None:
    async def main() -> list[ExecutionReport]:
        return await _together(shop, seen, "anna", "anna", cancel_first=True)

    (report,) = anyio.run(main)
    assert (statuses(report), report.entries[0].age_seconds) == (["done"], None)


def test_a_resumed_execution_looks_anew(shop: Shop, seen: Seen) -> None:
    """Cut off before its second look, which another execution has meanwhile kept."""

    async def cut_off() -> str:
        never = anyio.Event()

        async def hang(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            await never.wait()
            return {}

        tools = {**shop.tools, "write": Tool(skill="write", run=hang)}
        with anyio.move_on_after(0.2):
            plan = plan_of({"skill": "write"}, LATER)
            await run_plan(plan, WorkingRoot(shop.folder), tools=tools, runtime=shop.runtime, execution="cut")
        return "cut"

    execution = anyio.run(cut_off)
    shop.run(HERE)
    seen.text = "second"
    report = shop.resume(execution)
    assert (statuses(report), texts(report)[1], report.entries[1].age_seconds) == (["done", "done"], "second", None)
    assert statuses(shop.run(HERE)) == ["done"]


def test_runs_take_the_asker_they_are_told_and_none_by_themselves(shop: Shop, seen: Seen) -> None:
    runs = PlanRuns(replace(shop.runtime, asker=None), tools={"workshop": shop.tools})

    async def main(asker: str | None) -> float | None:
        report = await runs.run(plan_of(HERE), WorkingRoot(shop.folder), asker=asker)
        assert isinstance(report, ExecutionReport)
        return report.entries[0].age_seconds

    assert [anyio.run(main, asker) for asker in (None, None, "anna", "anna", "bert")] == [None, None, None, 0.0, None]


def test_sizes_are_read_by_domain() -> None:
    assert read_sizes("api_json=8:4096, garden=1:2") == {
        "api_json": CacheSize(entries=8, bytes=4096),
        "garden": CacheSize(entries=1, bytes=2),
    }
    with pytest.raises(ConfigError, match="expected DOMAIN=ENTRIES:BYTES") as refused:
        read_sizes("api_json=8")
    assert refused.value.field == "tool_cache"


def test_without_a_cache_nothing_is_kept(shop: Shop) -> None:
    seen = Seen(shop)
    assert shop.runtime.results is None
    shop.run(HERE, asker="anna")
    shop.run(HERE, asker="anna")
    assert len(seen.calls) == 2
