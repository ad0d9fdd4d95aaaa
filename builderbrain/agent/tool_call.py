"""The only door to the tools: one call of one tool, for a skill of a checked plan.

Nothing else of the project imports `builderbrain.tools`, and a `ToolCaller` can only be made with a `CheckedPlan`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio

from builderbrain.errors import (
    BrokenToolError,
    BuilderBrainError,
    LostAnswerError,
    PlanRejectedError,
    ToolError,
    ToolTimeoutError,
    TransientToolError,
    UncertainToolError,
)
from builderbrain.plan import CheckedPlan
from builderbrain.plan.domain import OK_RESULT, Skill
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.base import Failure, Results, Tool, ToolContext
from builderbrain.tools.chat.sources import Source
from builderbrain.tools.configured import ToolSettings
from builderbrain.tools.mcp import (
    KeptSessions,
    McpDeclaredResult,
    McpServer,
    McpSkill,
    definitions_sha256,
    list_definitions,
    mcp_tool,
)
from builderbrain.tools.pages.driver import PageDriver
from builderbrain.tools.pages.settings import SiteSettings
from builderbrain.tools.registry import tools_of
from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.simulated import simulated_tools

__all__ = [
    "ApiSettings",
    "Call",
    "Failure",
    "KeptSessions",
    "McpDeclaredResult",
    "McpServer",
    "McpSkill",
    "PageDriver",
    "Settled",
    "SiteSettings",
    "Source",
    "Tool",
    "ToolCaller",
    "ToolSettings",
    "WorkingRoot",
    "definitions_sha256",
    "list_definitions",
    "mcp_tool",
    "simulated_tools",
]

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "text": (str,),
    "path": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call gave: results (without `ok`), or an error.

    Args:
        uncertain: the tool did not say what it did (it was stopped, or broke), so an effect may have happened.
        faulty: the failure is the tool's own (not an answer such as "there is no such file").
    """

    results: Mapping[str, Any] | None
    error: BuilderBrainError | None
    seconds: float
    uncertain: bool = False
    faulty: bool = False


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Whether an effect that was claimed happened."""

    verdict: Literal["done", "not_done", "unknown"]
    results: Mapping[str, Any] | None = None
    reason: str = ""


class ToolCaller:
    """Calls the tools of one checked plan, beneath one root.

    Args:
        tools: tools by skill in place of the registry's.
        state: folder in which tools keep what lasts; None for none.
        settings: what the registry's tools need to know of the world.

    Raises:
        TypeError: not a `CheckedPlan`.
        PlanRejectedError: a skill's safety level is not among those the plan was checked for.
        ConfigError: the settings lack what tools of the domain need.
    """

    def __init__(
        self,
        checked: CheckedPlan,
        root: WorkingRoot,
        tools: Mapping[str, Tool] | None = None,
        *,
        state: Path | None = None,
        settings: ToolSettings | None = None,
    ) -> None:
        if type(checked) is not CheckedPlan:
            raise TypeError(f"expected a CheckedPlan, got {type(checked).__name__}; make one with builderbrain.plan.checked")
        domain = checked.domain
        for step in checked.plan.steps:
            if domain.skills[step.skill].safety not in checked.granted:
                raise PlanRejectedError(f"{step.id}: {step.skill} is {domain.skills[step.skill].safety}, which is not granted")
        self._checked = checked
        self._root = root
        self._state = state
        self._given = tools is not None
        self._settings = settings
        self._tools = tools if tools is not None else tools_of(domain.name, domain.version, settings)

    @property
    def folder(self) -> Path:
        """The working root."""
        return self._root.folder

    @property
    def state(self) -> Path | None:
        """Where tools keep what lasts."""
        return self._state

    def source(self, skill: Skill) -> object:
        """What stands for the tool of a skill and all that it reaches: the tool that was given, or what it is made of."""
        return self._tools.get(skill.name) if self._given else self._settings

    async def call(
        self, skill: Skill, arguments: Mapping[str, Any], *, key: str | None, attempt: int, failure: Failure | None = None
    ) -> Call:
        """Call the tool of a skill once, for at most the skill's time. Raises nothing but cancellation.

        Args:
            key: idempotency key of a call with effects.
            failure: what the skill is the fallback for.
        """
        started = time.monotonic()
        results: Mapping[str, Any] | None = None
        error: BuilderBrainError | None = None
        uncertain = faulty = False
        try:
            tool = self._tool(skill)
            with anyio.fail_after(skill.timeout_seconds):
                returned = await tool.run(self._context(skill, tool, key, attempt, failure), arguments)
            uncertain = faulty = True  # until the results are known to be what the schema declares
            results = declared_results(skill, returned)
            uncertain = faulty = False
        except (ToolTimeoutError, LostAnswerError, BrokenToolError) as broken:
            error, uncertain, faulty = broken, True, True
        except UncertainToolError as unsure:
            error, uncertain = unsure, True
        except TransientToolError as transient:
            error, faulty = transient, True
        except BuilderBrainError as known:
            error = known
        except TimeoutError:
            error = ToolTimeoutError(f"{skill.name} ran longer than {skill.timeout_seconds:g} s and was stopped")
            uncertain = faulty = True
        except Exception as unknown:  # noqa: BLE001 - a tool's own defect fails its step, never the plan or the server
            error = ToolError(f"{skill.name} broke: {type(unknown).__name__}: {str(unknown)[:200]}")
            uncertain = faulty = True
        seconds = time.monotonic() - started
        return Call(results=results, error=error, seconds=seconds, uncertain=uncertain, faulty=faulty)

    async def settle(self, skill: Skill, arguments: Mapping[str, Any], *, key: str) -> Settled:
        """Ask the tool whether the effect of `key` happened. Raises nothing but cancellation."""
        tool = self._tools.get(skill.name)
        if tool is None or tool.was_done is None:
            return Settled(verdict="unknown", reason=f"{skill.name} cannot say whether it was done")
        try:
            with anyio.fail_after(skill.timeout_seconds):
                found = await tool.was_done(self._context(skill, tool, key, 1), arguments)
            if found is None:
                return Settled(verdict="not_done", reason=f"{skill.name} says that it was not done")
            return Settled(verdict="done", results=declared_results(skill, found), reason=f"{skill.name} says that it was done")
        except Exception as error:  # noqa: BLE001 - whatever it is, the question was not answered
            return Settled(verdict="unknown", reason=f"{skill.name} could not say whether it was done: {str(error)[:200]}")

    def _tool(self, skill: Skill) -> Tool:
        domain = self._checked.domain
        planned = [domain.skills[step.skill] for step in self._checked.plan.steps]
        callable_here = {name for one in planned for name in (one.name, one.undo, *domain.fallbacks(one)) if name is not None}
        if skill.name not in callable_here or domain.skills.get(skill.name) is not skill:
            raise PlanRejectedError(f"{skill.name} is neither a step of the checked plan nor its undo or fallback")
        if skill.safety not in self._checked.granted:
            raise PlanRejectedError(f"{skill.name} is {skill.safety}, which is not granted")
        if skill.name not in self._tools:
            raise ToolError(f"the skill {skill.name} has no tool here")
        return self._tools[skill.name]

    def _context(self, skill: Skill, tool: Tool, key: str | None, attempt: int, failure: Failure | None = None) -> ToolContext:
        return ToolContext(
            root=self._root,
            timeout_seconds=skill.timeout_seconds,
            key=key,
            attempt=attempt,
            writes=skill.safety != "read_only",
            network=tool.network,
            state=self._state,
            failure=failure,
        )


def declared_results(skill: Skill, results: Results) -> Mapping[str, Any]:
    """The results, when they are those that the schema declares.

    Raises:
        ToolError: one is missing, unknown, or of another type.
    """
    expected = [name for name in skill.results if name != OK_RESULT]
    if sorted(expected) != sorted(results):
        raise ToolError(f"{skill.name} broke its declaration: expected {', '.join(expected)}, got {', '.join(results)}")
    for name in expected:
        if not _has_type(results[name], skill.results[name]):
            raise ToolError(f"{skill.name} broke its declaration: {name} must be a {skill.results[name]}")
    return {name: results[name] for name in expected}


def _has_type(value: object, kind: str) -> bool:
    if value is None:
        return True
    if kind.startswith("list of "):
        return isinstance(value, list) and all(_has_type(item, kind.removeprefix("list of ")) for item in value)
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
