"""A plan that was not checked cannot reach a tool: read from the syntax tree of the whole package, and from its types."""

from __future__ import annotations

import ast
import inspect
import tomllib
import typing
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import executor
from builderbrain.agent.tool_call import ToolCaller
from builderbrain.errors import PlanRejectedError
from builderbrain.plan import CheckedPlan, checked, parse_text
from builderbrain.tools.base import Tool
from builderbrain.tools.root import WorkingRoot
from tests.repository.tree import PACKAGES, ROOT, call_name, imports, module_name, python_files, syntax

DOOR = "builderbrain.agent.tool_call"
BEHIND_THE_DOOR = {"attempts", "effects", "compensation", "scheduler"}
"""Modules of the agent that see calls through; only the executor uses them."""


def in_tools(module: str) -> bool:
    return module == "builderbrain.tools" or module.startswith("builderbrain.tools.")


def test_one_module_imports_the_tools() -> None:
    importers = {
        module_name(path)
        for path in python_files(*PACKAGES, generated=True)
        for found in imports(path)
        if in_tools(found.module) and not in_tools(module_name(path))
    }
    assert importers == {DOOR}


def test_nothing_is_imported_by_a_name_that_is_made_at_run_time_but_tools_of_a_domain() -> None:
    dynamic = {
        module_name(path)
        for path in python_files(*PACKAGES, generated=True)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call)
        and call_name(node).rpartition(".")[2] in {"import_module", "__import__"}
        and not all(isinstance(argument, ast.Constant) for argument in node.args[:1])
    }
    assert dynamic & {name for name in dynamic if name.startswith(("builderbrain.agent", "builderbrain.tools"))} == {
        "builderbrain.tools.registry"
    }


def test_tools_are_called_in_one_place_and_callers_are_made_by_the_executor() -> None:
    runs, callers, seals = set(), set(), set()
    for path in python_files(*PACKAGES, generated=True):
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.Call) and call_name(node) in {"tool.run", "tool.was_done"}:
                runs.add(module_name(path))
            if isinstance(node, ast.Call) and call_name(node).rpartition(".")[2] == "ToolCaller":
                callers.add(module_name(path))
            if isinstance(node, ast.Name) and node.id == "_SEAL":
                seals.add(module_name(path))
    assert runs == {DOOR}
    assert callers == {"builderbrain.agent.executor"}
    assert seals == {"builderbrain.plan.check"}


def test_what_sees_calls_through_is_used_by_the_executor_alone() -> None:
    for path in python_files(*PACKAGES, generated=True):
        name = module_name(path)
        for found in imports(path):
            module, _, last = found.module.rpartition(".")
            inside = name == "builderbrain.agent.executor" or name.rpartition(".")[2] in {*BEHIND_THE_DOOR, "report"}
            if module == "builderbrain.agent" and last in BEHIND_THE_DOOR:
                assert inside, f"{name} imports {found.module}"


def test_the_import_contracts_say_the_same() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    protected = {name: contract for contract in contracts for name in contract.get("protected_modules", ())}
    assert protected["builderbrain.tools"]["allowed_importers"] == [DOOR]
    assert {f"builderbrain.agent.{name}" for name in BEHIND_THE_DOOR} <= set(protected)


def test_every_way_in_takes_a_checked_plan_by_its_type() -> None:
    assert typing.get_type_hints(ToolCaller.__init__)["checked"] is CheckedPlan
    for name in ("execute", "execute_async", "run_plan"):
        assert typing.get_type_hints(getattr(executor, name))["plan"] is CheckedPlan
    streamed = typing.get_type_hints(executor.run_streamed)["plans"]
    assert typing.get_args(streamed) == (CheckedPlan,)
    public = {name for name in executor.__all__ if inspect.isfunction(getattr(executor, name))}
    assert public == {"execute", "execute_async", "run_plan", "run_streamed", "resume"}  # resume checks the plan of its ledger


class Impostor:
    """Has all that a checked plan has."""

    def __init__(self, real: CheckedPlan) -> None:
        self.plan, self.domain, self.granted = real.plan, real.domain, real.granted


def forgeries() -> list[Any]:
    real = checked(parse_text("s1=list()"))
    blank = object.__new__(CheckedPlan)
    return [real.plan, Impostor(real), blank, None]


@pytest.mark.parametrize("forged", forgeries(), ids=["plan", "impostor", "blank", "none"])
def test_what_only_looks_like_a_checked_plan_reaches_no_tool(forged: Any, tmp_path: Path) -> None:
    called: list[str] = []

    async def run(*_: Any) -> dict[str, Any]:
        called.append("list")
        return {}

    async def main() -> None:
        await executor.execute_async(forged, WorkingRoot(tmp_path), tools={"list": Tool(skill="list", run=run)})

    with pytest.raises((TypeError, AttributeError)):
        anyio.run(main)
    assert called == []


def test_a_skill_outside_the_plan_is_not_called(tmp_path: Path) -> None:
    plan = checked(parse_text("s1=list()"))
    caller = ToolCaller(plan, WorkingRoot(tmp_path))
    call = anyio.run(lambda: caller.call(plan.domain.skills["read"], {"path": "x"}, key=None, attempt=1))
    assert isinstance(call.error, PlanRejectedError)
    assert "neither a step of the checked plan" in call.error.message
