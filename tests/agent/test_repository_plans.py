"""Plans of the repository assistant, version 2, from end to end: chained steps, what is taken back, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import Ledger, Runtime, WorkingRoot, resume, run_plan
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.tool_call import Tool
from builderbrain.errors import NotConfirmedError, PlanRejectedError, ToolError
from builderbrain.plan import checked, parse_text
from builderbrain.tools.memory_store import MemoryStore
from builderbrain.tools.registry import tools_of

LEVELS = frozenset({"read_only", "mutating", "meta"})


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(ledger=Ledger(tmp_path / "ledger.db"), state_folder=tmp_path / "state")


@pytest.fixture
def root(tmp_path: Path) -> WorkingRoot:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "README.md").write_text("# Sample\n\n[guide](guide.md)\n")
    (folder / "calc.py").write_text("def one():\n    return 2\n")
    (folder / "fix.diff").write_text(
        "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def one():\n-    return 2\n+    return 1\n"
    )
    return WorkingRoot(folder)


def run(text: str, root: WorkingRoot, runtime: Runtime, tools: Mapping[str, Tool] | None = None) -> ExecutionReport:
    plan = checked(parse_text(text, domain="repo_assistant", version=2), granted=LEVELS)
    found = None if tools is None else {**tools_of("repo_assistant", 2), **tools}
    return anyio.run(lambda: run_plan(plan, root, runtime=runtime, tools=found))


def outputs(report: ExecutionReport) -> dict[str, Any]:
    return {entry.id: entry.output for entry in report.entries}


def test_what_a_step_finds_is_what_the_next_one_uses(root: WorkingRoot, runtime: Runtime) -> None:
    report = run(
        "s1=docs_lint()\ns2=read(path=s1.first_path) if not s1.clean\ns3=memory_add(text=s1.text)\n"
        's4=memory_search(query="faults") after s3\ns5=talk(text="Look.",about=s2.text)',
        root,
        runtime,
    )
    assert report.status == "finished"
    found = outputs(report)
    assert found["s2"]["path"] == "README.md"
    assert "guide.md leads nowhere" in found["s4"]["first"]


def test_a_patch_of_the_root_is_read_and_judged(root: WorkingRoot, runtime: Runtime) -> None:
    plan = (
        's1=read(path="fix.diff")\ns2=patch_dry_run(patch=s1.text)\n'
        's3=talk(text="Yes.") if s2.applies\ns4=talk(text="No.") if not s2.applies'
    )
    report = run(plan, root, runtime)
    assert [entry.status for entry in report.entries] == ["done", "done", "done", "skipped"]
    (root.folder / "calc.py").write_text("other\n")
    report = run(f"{plan}\ns5=fix_tests(patch=s2.patch)", root, runtime)
    assert [entry.status for entry in report.entries] == ["done", "done", "skipped", "done", "blocked"]


def test_when_a_fix_fails_what_was_remembered_is_forgotten(root: WorkingRoot, runtime: Runtime, tmp_path: Path) -> None:
    async def fails(*_: Any) -> Any:
        raise ToolError("the tests cannot be run")

    report = run(
        's1=memory_add(text="mended the gate")\ns2=fix_tests() after s1',
        root,
        runtime,
        {"fix_tests": Tool(skill="fix_tests", run=fails)},
    )
    assert report.status == "stopped"
    assert [entry.status for entry in report.entries] == ["undone", "failed"]
    assert MemoryStore(tmp_path / "state").search("gate") == ()


def test_a_crash_between_adding_and_recording_adds_nothing_twice(root: WorkingRoot, runtime: Runtime, tmp_path: Path) -> None:
    real = tools_of("repo_assistant", 2)["memory_add"]

    class CrashError(BaseException):
        pass

    async def crashes(*arguments: Any) -> Any:
        await real.run(*arguments)
        raise CrashError

    with pytest.raises((CrashError, BaseExceptionGroup)):
        run('s1=memory_add(text="only once")', root, runtime, {"memory_add": Tool(skill="memory_add", run=crashes)})
    ledger = runtime.ledger
    assert ledger is not None
    (execution,) = ledger.unfinished()
    name = execution if isinstance(execution, str) else execution.execution
    report = anyio.run(lambda: resume(name, runtime=runtime))
    assert report.status == "finished"
    assert [entry.text for entry in MemoryStore(tmp_path / "state").search("once")] == ["only once"]


def test_training_waits_for_a_person(root: WorkingRoot, runtime: Runtime) -> None:
    with pytest.raises(NotConfirmedError):
        run('s1=train(output="runs/a")', root, runtime)
    assert not (root.folder / "runs").exists()


@pytest.mark.parametrize("text", ['s1=memory_add(text="x")', "s1=run_tests()", 's1=patch_dry_run(patch="x")', "s1=evaluate()"])
def test_what_only_looks_is_all_that_is_granted_by_default(text: str) -> None:
    with pytest.raises(PlanRejectedError):
        checked(parse_text(text, domain="repo_assistant", version=2))
