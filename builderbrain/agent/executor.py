"""Runs a checked plan: each step as soon as what it needs is there, steps that do not depend on each other at the same time.

What a step waits on decides whether it runs:

- its `if` is evaluated on real results; false means `skipped`;
- a reference to a result that is not there (the step failed, did not run, or found none) means `blocked`;
- a mere `after` on a step that failed or was blocked means `blocked` too, unless the `if` asks about that step, which is how
  a plan handles a failure. After a step that was skipped, it runs.

One step's failure never stops steps that do not need it: what could be done is done, and the trace says what could not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anyio

from builderbrain.agent.trace import TraceEntry
from builderbrain.errors import BuilderBrainError, PlanRejectedError, ToolError, ToolTimeoutError
from builderbrain.plan import CheckedPlan, Reference, Step
from builderbrain.plan.condition import Condition, holds, parse_condition
from builderbrain.plan.domain import OK_RESULT, Skill
from builderbrain.tools.base import Tool, ToolContext
from builderbrain.tools.registry import tools_of
from builderbrain.tools.root import WorkingRoot

__all__ = ["WorkingRoot", "execute", "execute_async"]  # other modules reach the tools' package only through here

MAX_CONCURRENT_STEPS = 8
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "text": (str,),
    "path": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def execute(checked: CheckedPlan, root: WorkingRoot) -> tuple[TraceEntry, ...]:
    """`execute_async` for callers without an event loop (from a thread that runs none)."""
    return anyio.run(execute_async, checked, root)


async def execute_async(
    checked: CheckedPlan, root: WorkingRoot, *, tools: Mapping[str, Tool] | None = None
) -> tuple[TraceEntry, ...]:
    """Run every step that can run; one entry a step, in the order of the plan.

    Cancelling it cancels the running tools, processes included.

    Args:
        tools: tools by skill in place of the registry's.

    Raises:
        TypeError: not a `CheckedPlan`.
        PlanRejectedError: a skill's safety level is not among those the plan was checked for.
    """
    if type(checked) is not CheckedPlan:
        raise TypeError(f"expected a CheckedPlan, got {type(checked).__name__}; make one with builderbrain.plan.checked")
    domain = checked.domain
    for step in checked.plan.steps:
        if domain.skills[step.skill].safety not in checked.granted:
            raise PlanRejectedError(f"{step.id}: {step.skill} is {domain.skills[step.skill].safety}, which is not granted")
    registered = tools if tools is not None else tools_of(domain.name, domain.version)
    run = _Run(checked, root, registered)
    async with anyio.create_task_group() as group:
        for step in checked.plan.steps:
            group.start_soon(run.step, step)
    return tuple(run.entries[step.id] for step in checked.plan.steps)


class _Run:
    """One execution: the entries so far, and an event for each step that is set when its entry is there."""

    def __init__(self, checked: CheckedPlan, root: WorkingRoot, tools: Mapping[str, Tool]) -> None:
        self.skills = checked.domain.skills
        self.root = root
        self.tools = tools
        self.entries: dict[str, TraceEntry] = {}
        self.finished = {step.id: anyio.Event() for step in checked.plan.steps}
        self.slots = anyio.CapacityLimiter(MAX_CONCURRENT_STEPS)

    async def step(self, step: Step) -> None:
        for name in step.needs:
            await self.finished[name].wait()
        self.entries[step.id] = self.held_back(step) or await self.call(step)
        self.finished[step.id].set()

    def held_back(self, step: Step) -> TraceEntry | None:
        """The entry of a step that does not run, or None when it does."""
        condition = parse_condition(step.condition) if step.condition is not None else None
        handled = {term.reference.step for term in condition.terms} if condition is not None else set()
        for name in step.needs:
            if name not in handled and self.entries[name].status in ("failed", "blocked"):
                return _not_run(step, "blocked", f"{name} ({self.entries[name].skill}) did not succeed")
        if condition is not None and not self.holds(condition):
            return _not_run(step, "skipped", f"its condition, {condition}, does not hold")
        for value in step.args.values():
            if isinstance(value, Reference) and self.lookup(value) is None:
                return _not_run(step, "blocked", f"{self.why_missing(value)}, so there is no {value}")
        return None

    def holds(self, condition: Condition) -> bool:
        return holds(condition, self.lookup)

    def lookup(self, reference: Reference) -> Any:
        entry = self.entries[reference.step]
        if reference.result == OK_RESULT:
            return entry.ok
        return entry.output.get(reference.result) if entry.output is not None else None

    def why_missing(self, reference: Reference) -> str:
        entry = self.entries[reference.step]
        if entry.status == "done":
            return f"{entry.skill} found nothing"
        return f"{entry.id} ({entry.skill}) did not run" if entry.status in ("skipped", "blocked") else f"{entry.id} failed"

    async def call(self, step: Step) -> TraceEntry:
        skill = self.skills[step.skill]
        arguments = self.resolved(step, skill)
        context = ToolContext(root=self.root, timeout_seconds=skill.timeout_seconds)
        output: dict[str, Any] | None = None
        error: BuilderBrainError | None = None
        async with self.slots:
            started = time.monotonic()
            try:
                with anyio.fail_after(skill.timeout_seconds):
                    results = await self.tools[step.skill].run(context, arguments)
                output = {OK_RESULT: True, **_declared(skill, results)}
            except BuilderBrainError as known:
                error = known
            except TimeoutError:
                error = ToolTimeoutError(f"{step.skill} ran longer than {skill.timeout_seconds:g} s and was stopped")
            except Exception as unknown:  # noqa: BLE001 - a tool's own defect fails its step, never the plan or the server
                error = ToolError(f"{step.skill} broke: {type(unknown).__name__}: {str(unknown)[:200]}")
            seconds = time.monotonic() - started
        return TraceEntry(
            id=step.id,
            skill=step.skill,
            args=arguments,
            status="done" if error is None else "failed",
            output=output if error is None else {OK_RESULT: False},
            seconds=seconds,
            error=error.message if error is not None else None,
            error_code=error.code if error is not None else None,
        )

    def resolved(self, step: Step, skill: Skill) -> dict[str, Any]:
        """Arguments with references resolved and defaults filled in."""
        arguments: dict[str, Any] = {}
        for name, declared in skill.arguments.items():
            value = step.args.get(name, declared.default)
            if isinstance(value, Reference):
                value = self.lookup(value)
            if value is not None:
                arguments[name] = list(value) if isinstance(value, tuple) else value
        return arguments


def _not_run(step: Step, status: Any, reason: str) -> TraceEntry:
    planned = {name: f"${{{value}}}" if isinstance(value, Reference) else value for name, value in step.args.items()}
    return TraceEntry(id=step.id, skill=step.skill, args=planned, status=status, output=None, seconds=0.0, error=reason)


def _declared(skill: Skill, results: Mapping[str, Any]) -> Mapping[str, Any]:
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
