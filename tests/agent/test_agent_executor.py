"""The executor: only checked plans, each step as soon as it can, conditions on real results, failures that stay local."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import TraceEntry, WorkingRoot, execute, execute_async
from builderbrain.agent import executor as executor_module
from builderbrain.errors import PathEscapeError, PlanRejectedError
from builderbrain.plan import checked, parse_text
from builderbrain.tools.base import Tool, ToolContext

Run = Callable[[ToolContext, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
PATHS = {"count": 2, "first_path": "a", "last_path": "b", "paths": ["a", "b"], "text": "a\nb"}
NONE = {"count": 0, "first_path": None, "last_path": None, "paths": [], "text": ""}


@pytest.fixture
def root(tmp_path: Path) -> WorkingRoot:
    (tmp_path / "README.md").write_text("# Sample\nneedle\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("needle = 1\n")
    return WorkingRoot(tmp_path)


def giving(results: Mapping[str, Any], seconds: float = 0.0) -> Run:
    async def run(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await anyio.sleep(seconds)
        return dict(results)

    return run


def failing(error: Exception) -> Run:
    async def run(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        raise error

    return run


async def echo(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"text": arguments["text"]}


async def read(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"path": arguments["path"], "lines": 1, "text": "x"}


def run_with(root: WorkingRoot, text: str, **tools: Run) -> dict[str, TraceEntry]:
    runs: dict[str, Run] = {"search": giving(PATHS), "list": giving(PATHS), "read": read, "talk": echo, **tools}
    registered = {skill: Tool(skill=skill, run=run) for skill, run in runs.items()}

    async def main() -> tuple[TraceEntry, ...]:
        return await execute_async(checked(parse_text(text)), root, tools=registered)

    return {entry.id: entry for entry in anyio.run(main)}


def test_real_tools_run_in_order_with_resolved_arguments(root: WorkingRoot) -> None:
    trace = execute(checked(parse_text('s1=search(pattern="needle",path="src")\ns2=read(path=s1.first_path)')), root)
    assert [(entry.id, entry.status, entry.ok) for entry in trace] == [("s1", "done", True), ("s2", "done", True)]
    assert trace[1].args == {"path": "src/a.py"}
    assert trace[1].output == {"ok": True, "path": "src/a.py", "lines": 1, "text": "needle = 1\n"}
    assert all(entry.seconds > 0 for entry in trace)
    written = trace[0].to_json()
    assert {"id", "skill", "args", "ok", "output", "seconds"} <= set(written)
    assert json.loads(json.dumps(written)) == written


def test_only_a_checked_plan_is_taken(root: WorkingRoot) -> None:
    plan = parse_text("s1=list()")
    for forged in (plan, object(), {"plan": plan}, None):
        with pytest.raises(TypeError, match="CheckedPlan"):
            execute(forged, root)  # type: ignore[arg-type]


def test_independent_steps_run_at_the_same_time_and_a_chain_in_order(root: WorkingRoot) -> None:
    text = 's1=search(pattern="a")\ns2=search(pattern="b")\ns3=search(pattern="c")\ns4=read(path=s3.first_path)'
    running = 0
    together = anyio.Event()

    async def search(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal running
        running += 1
        if running == 3:
            together.set()
        await together.wait()  # ends only when all three have started
        return PATHS

    trace = run_with(root, text, search=search)
    assert all(entry.ok for entry in trace.values())


def test_a_step_starts_as_soon_as_its_own_inputs_are_there(root: WorkingRoot) -> None:
    order: list[str] = []
    noted = anyio.Event()

    async def search(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if arguments["pattern"] == "slow":
            await noted.wait()
        order.append(str(arguments["pattern"]))
        return PATHS

    async def note(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        order.append("read")
        noted.set()
        return {"path": "a", "lines": 1, "text": "x"}

    text = 's1=search(pattern="slow")\ns2=search(pattern="fast")\ns3=read(path=s2.first_path)'
    run_with(root, text, search=search, read=note)
    assert order == ["fast", "read", "slow"]


@pytest.mark.parametrize(
    ("condition", "results", "status"),
    [
        ("s1.count > 0", PATHS, "done"),
        ("s1.count > 0", NONE, "skipped"),
        ("not s1.ok", PATHS, "skipped"),
        ('s1.first_path == "a"', PATHS, "done"),
        ('s1.first_path != "a"', NONE, "skipped"),
    ],
)
def test_conditions_are_evaluated_on_real_results(
    root: WorkingRoot, condition: str, results: Mapping[str, Any], status: str
) -> None:
    trace = run_with(root, f's1=search(pattern="x")\ns2=talk(text="y") if {condition}', search=giving(results))
    assert trace["s2"].status == status


def test_a_result_that_is_not_there_blocks_the_step_that_wants_it(root: WorkingRoot) -> None:
    trace = run_with(
        root, 's1=search(pattern="x")\ns2=read(path=s1.first_path)\ns3=talk(text="y") after s2', search=giving(NONE)
    )
    assert [entry.status for entry in trace.values()] == ["done", "blocked", "blocked"]
    assert trace["s2"].error == "search found nothing, so there is no s1.first_path"
    assert trace["s2"].args == {"path": "${s1.first_path}"}
    assert trace["s2"].output is None


def test_a_failure_stays_with_what_needs_it(root: WorkingRoot) -> None:
    text = (
        's1=search(pattern="x")\ns2=read(path=s1.first_path)\ns3=list()\ns4=read(path=s3.first_path)\n'
        's5=talk(text="failed") if not s1.ok\ns6=talk(text="after") after s1\ns7=talk(text="end") after s4'
    )
    trace = run_with(root, text, search=failing(PathEscapeError("no", field="path")))
    assert [entry.status for entry in trace.values()] == ["failed", "blocked", "done", "done", "done", "blocked", "done"]
    assert (trace["s1"].error, trace["s1"].error_code) == ("no", "path_escape")
    assert trace["s1"].output == {"ok": False}


def test_a_step_after_a_skipped_one_runs(root: WorkingRoot) -> None:
    trace = run_with(root, 's1=list()\ns2=read(path="a") if s1.count > 9\ns3=talk(text="end") after s2')
    assert [entry.status for entry in trace.values()] == ["done", "skipped", "done"]


def test_a_defect_in_a_tool_fails_its_step_alone(root: WorkingRoot) -> None:
    trace = run_with(root, 's1=search(pattern="x")\ns2=list()', search=failing(ZeroDivisionError("oops")))
    assert trace["s1"].status == "failed"
    assert "ZeroDivisionError" in str(trace["s1"].error)
    assert trace["s2"].ok


@pytest.mark.parametrize(
    "results",
    [
        {},
        {**PATHS, "more": 1},
        {**PATHS, "count": "2"},
        {**PATHS, "count": True},
        {**PATHS, "paths": "a"},
        {**PATHS, "paths": [1]},
    ],
)
def test_results_that_the_schema_does_not_declare_fail_the_step(root: WorkingRoot, results: Mapping[str, Any]) -> None:
    trace = run_with(root, "s1=list()", list=giving(results))
    assert trace["s1"].status == "failed"
    assert "broke its declaration" in str(trace["s1"].error)


def test_a_step_over_its_time_fails_and_the_rest_goes_on(root: WorkingRoot) -> None:
    trace = run_with(root, 's1=talk(text="x")\ns2=list()', talk=giving({"text": "x"}, 30.0))  # talk may take 1 s
    assert (trace["s1"].status, trace["s1"].error_code) == ("failed", "tool_timeout")
    assert 0.9 < trace["s1"].seconds < 15
    assert trace["s2"].ok


def test_cancelling_cancels_the_tools(root: WorkingRoot) -> None:
    cancelled: list[bool] = []

    async def slow(_: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            await anyio.sleep(60)
        except anyio.get_cancelled_exc_class():
            cancelled.append(True)
            raise
        return PATHS

    async def main() -> None:
        with anyio.move_on_after(0.2):
            await execute_async(checked(parse_text("s1=list()")), root, tools={"list": Tool(skill="list", run=slow)})

    anyio.run(main)
    assert cancelled == [True]


def test_a_level_that_was_not_granted_is_refused_again(root: WorkingRoot) -> None:
    accepted = checked(parse_text("s1=list()"))
    object.__setattr__(accepted, "granted", frozenset())
    with pytest.raises(PlanRejectedError, match="not granted"):
        anyio.run(execute_async, accepted, root)


def test_only_one_module_imports_tools_that_perform_effects() -> None:
    folder = Path(executor_module.__file__).parent
    for path in folder.glob("*.py"):
        if path.name != "tool_call.py":
            assert "builderbrain.tools" not in path.read_text(encoding="utf-8"), path.name
