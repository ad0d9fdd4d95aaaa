"""Runs checked plans. The one way from a plan to an effect: policy, ledger, schedule, and compensation when a plan stops.

`run_plan` runs a plan, `run_streamed` one that is still being decoded, `resume` what a crash or a cancellation cut off;
`execute` and `execute_async` give the trace alone. See `scheduler` for when a step runs, `effects` for what happens at most
once, `compensation` for what is taken back.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio

from builderbrain.agent.attempts import Attempts
from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.clock import Clock, SystemClock
from builderbrain.agent.compensation import Undo, compensate
from builderbrain.agent.effects import Effects
from builderbrain.agent.journal import Journal
from builderbrain.agent.ledger import ExecutionStatus, Ledger, LedgerEntry
from builderbrain.agent.locks import PROCESS_LOCKS, ResourceLocks
from builderbrain.agent.policy import Confirm, Policy, ask, decide, refuse_blocked
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.result_cache import ResultCache
from builderbrain.agent.retries import has_effects
from builderbrain.agent.scheduler import Observe, Schedule
from builderbrain.agent.tool_call import (
    ApiSettings,
    PageDriver,
    SiteSettings,
    Source,
    Tool,
    ToolCaller,
    ToolSettings,
    WorkingRoot,
)
from builderbrain.agent.trace import TraceEntry
from builderbrain.errors import LedgerError, PlanRejectedError, PolicyError
from builderbrain.plan import CheckedPlan, Plan, Step, checked, plan_to_json
from builderbrain.plan.domain import Domain

__all__ = [
    "ApiSettings",
    "Observe",
    "PageDriver",
    "Runtime",
    "SiteSettings",
    "Source",
    "Tool",
    "ToolSettings",
    "WorkingRoot",
    "execute",
    "execute_async",
    "resume",
    "run_plan",
    "run_streamed",
]


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What the executions of a process share.

    Args:
        ledger: needed by plans with effects.
        locks: who uses which resource; by default one for the process.
        breakers: circuit breakers of the tools; by default each execution has its own.
        policy: what this deployment blocks or asks about, beside the schema.
        confirm: asks a person; None where nobody can answer, then what needs a yes is refused.
        observe: looks at the world that the plans act on, so that a fact that changed by itself is noticed before a step.
        results: what is kept of calls of tools that only look; None keeps nothing.
        asker: whoever results are kept for and taken from; None keeps and takes none. Give whoever must not see another's.
        settings: what tools need to know of the world: where an API is, which site, which sources.
        journal_folder: where each execution's journal is appended to `<execution>.jsonl`; None keeps it in memory.
        state_folder: where tools keep what lasts beyond a plan, such as the memory; None where nothing is kept.
    """

    ledger: Ledger | None = None
    locks: ResourceLocks = PROCESS_LOCKS
    breakers: ToolBreakers | None = None
    policy: Policy = field(default_factory=Policy)
    confirm: Confirm | None = None
    clock: Clock = field(default_factory=SystemClock)
    observe: Observe | None = None
    journal_folder: Path | None = None
    state_folder: Path | None = None
    settings: ToolSettings = field(default_factory=ToolSettings)
    results: ResultCache | None = None
    asker: str | None = None


def execute(plan: CheckedPlan, root: WorkingRoot, *, runtime: Runtime | None = None) -> tuple[TraceEntry, ...]:
    """`execute_async` for callers without an event loop (from a thread that runs none)."""
    return anyio.run(partial(execute_async, plan, root, runtime=runtime))


async def execute_async(
    plan: CheckedPlan, root: WorkingRoot, *, tools: Mapping[str, Tool] | None = None, runtime: Runtime | None = None
) -> tuple[TraceEntry, ...]:
    """`run_plan`, of which only the trace is wanted: one entry a step, in the order of the plan."""
    return (await run_plan(plan, root, tools=tools, runtime=runtime)).entries


async def run_plan(
    plan: CheckedPlan,
    root: WorkingRoot,
    *,
    tools: Mapping[str, Tool] | None = None,
    runtime: Runtime | None = None,
    execution: str | None = None,
) -> ExecutionReport:
    """Run every step that can run.

    Cancelling it cancels the running tools, processes included; what was done by then stays in the ledger for `resume`.

    Args:
        tools: tools by skill in place of the registry's.
        execution: a name of its own for the execution, that no other has; made here by default.

    Raises:
        TypeError: not a `CheckedPlan`.
        PlanRejectedError: a skill's safety level is not among those the plan was checked for.
        PolicyError: the policy blocks a step, or a person did not say yes; nothing was run.
        LedgerError: the plan has effects and there is no ledger, or it cannot be written.
    """
    return await run_streamed(_once(plan), root, tools=tools, runtime=runtime, execution=execution)


async def run_streamed(
    plans: AsyncIterator[CheckedPlan],
    root: WorkingRoot,
    *,
    tools: Mapping[str, Tool] | None = None,
    runtime: Runtime | None = None,
    execution: str | None = None,
) -> ExecutionReport:
    """Run a plan while the rest of it is decoded.

    Steps without effects start as soon as they are there. Steps with effects, those that need a person's yes and those that
    hold a resource in the order of the plan wait until `plans` ends: only then is the whole plan checked.

    Args:
        plans: ever longer beginnings of one plan, each checked; the last is the plan.

    Raises:
        what `run_plan` and `plans` raise; what runs without effects is cancelled then.
        PlanRejectedError: one does not go on from the one before.
    """
    shared = runtime if runtime is not None else Runtime()
    execution = execution if execution is not None else secrets.token_hex(16)
    try:
        first = await anext(plans)
    except StopAsyncIteration:
        raise PlanRejectedError("expected a plan, got none at all", field="plan") from None
    run = _Run(execution, first, root, tools, shared)
    async with AsyncExitStack() as held:
        async with anyio.create_task_group() as group:
            try:
                run.schedule.start(first.plan.steps, group)
                async for longer in plans:
                    run.schedule.start(run.extend(longer), group)
                await run.begin(held)
            except Exception as error:  # noqa: BLE001 - raised again below, outside the group
                run.schedule.broken = error
                group.cancel_scope.cancel()
        return await run.end()


async def resume(execution: str, *, runtime: Runtime, tools: Mapping[str, Tool] | None = None) -> ExecutionReport:
    """Go on with an execution that was cut off, by a crash or a cancellation: no effect is had twice and none is forgotten.

    Steps that ended keep what they gave. Effects that were claimed are settled: the tool is asked whether they happened. A
    plan that had stopped is taken back to the end.

    Raises:
        ExecutionNotFoundError: the ledger holds none of this name.
        LedgerError: it is over, there is no ledger, or the domain changed since.
        PlanRejectedError: the checker does not accept the plan any more.
    """
    ledger = runtime.ledger
    if ledger is None:
        raise LedgerError("resume needs the ledger of the execution; give Runtime(ledger=...)", field="ledger")
    row = await anyio.to_thread.run_sync(ledger.execution, execution)
    if row.status in ("finished", "stopped"):
        raise LedgerError(f"the execution {execution} is over ({row.status}); run the plan anew", field="execution")
    plan = checked(row.plan, granted=row.granted)
    if plan.domain.schema_sha256 != row.schema_sha256:
        raise LedgerError(
            f"{plan.domain.name} version {plan.domain.version} is not as it was when {execution} began; restore its schema",
            field="execution",
        )
    known = await anyio.to_thread.run_sync(ledger.entries, execution)
    looking = replace(runtime, asker=None)  # what is left to do is done on what is seen now
    run = _Run(execution, plan, WorkingRoot(row.root), tools, looking, known)
    run.resumed(row.reason)
    async with AsyncExitStack() as held:
        async with anyio.create_task_group() as group:
            try:
                await run.hold_fixed(held)
                run.schedule.start(plan.plan.steps, group)
                await run.schedule.open()
            except Exception as error:  # noqa: BLE001 - raised again below, outside the group
                run.schedule.broken = error
                group.cancel_scope.cancel()
        return await run.end()


class _Run:
    """One execution and what belongs to it."""

    def __init__(
        self,
        execution: str,
        plan: CheckedPlan,
        root: WorkingRoot,
        tools: Mapping[str, Tool] | None,
        runtime: Runtime,
        known: tuple[LedgerEntry, ...] = (),
    ) -> None:
        caller = ToolCaller(plan, root, tools, state=runtime.state_folder, settings=runtime.settings)
        self.execution = execution
        self.plan = plan
        self.runtime = runtime
        self._root, self._tools, self._known = root, tools, known
        refuse_blocked(decide(plan, runtime.policy))
        folder = runtime.journal_folder
        self.journal = Journal(runtime.clock, folder / f"{execution}.jsonl" if folder is not None else None)
        domain = plan.domain
        self.attempts = Attempts(
            caller,
            domain,
            locks=runtime.locks,
            breakers=runtime.breakers if runtime.breakers is not None else ToolBreakers(runtime.clock),
            clock=runtime.clock,
            journal=self.journal,
            width=domain.max_width,
            results=runtime.results,
            asker=runtime.asker,
        )
        self.effects = Effects(execution, runtime.ledger, self.attempts, self.journal, known) if runtime.ledger else None
        self.schedule = Schedule(domain, self.attempts, self.effects, self.journal, self._waits, runtime.observe)
        self._check_ledger()

    def extend(self, longer: CheckedPlan) -> tuple[Step, ...]:
        """Take a longer beginning of the plan; returns its new steps."""
        before = self.plan.plan.steps
        same = type(longer) is CheckedPlan and longer.domain is self.plan.domain and longer.granted == self.plan.granted
        if not same or longer.plan.steps[: len(before)] != before:
            raise PlanRejectedError("expected a plan that goes on from what already runs, got another one", field="plan")
        self.attempts.caller = ToolCaller(
            longer, self._root, self._tools, state=self.runtime.state_folder, settings=self.runtime.settings
        )
        refuse_blocked(decide(longer, self.runtime.policy))
        self.plan = longer
        self._check_ledger()
        return longer.plan.steps[len(before) :]

    async def begin(self, held: AsyncExitStack) -> None:
        """The whole plan is there: ask, hold what it holds throughout, write it into the ledger, open the gate."""
        decisions = decide(self.plan, self.runtime.policy)
        try:
            asked = await ask(self.plan, decisions, self.execution, self.runtime.confirm)
        except PolicyError as error:
            self.journal.note("refused", error.field, error.message)
            raise
        if asked:
            named = ", ".join(one.step for one in decisions if one.decision == "confirm")
            self.journal.note("confirmed", None, f"a person said yes to {named}")
        await self.hold_fixed(held)
        if self._needs_ledger() and self.runtime.ledger is not None:
            record = partial(
                self.runtime.ledger.begin,
                plan=plan_to_json(self.plan.plan),
                schema_sha256=self.plan.domain.schema_sha256,
                granted=self.plan.granted,
                root=str(self._root.folder),
            )
            await anyio.to_thread.run_sync(record, self.execution)
        elif self.effects is not None:
            self.schedule.forget_effects()
        self.journal.note("started", None, f"a plan of {len(self.plan.plan.steps)} steps", plan=plan_to_json(self.plan.plan))
        await self.schedule.open()

    def resumed(self, reason: str | None) -> None:
        """Note what is known, and stop at once where the plan had stopped before."""
        self.journal.note("resumed", None, f"goes on with {len(self._known)} entries of the ledger", known=len(self._known))
        skills = self.plan.domain.skills
        for entry in self._known:
            if (
                reason is None
                and entry.role == "step"
                and entry.status in ("failed", "unknown")
                and skills[entry.skill].critical
            ):
                reason = f"{entry.step} ({entry.skill}) is critical and {entry.status}: {entry.error}"
        if reason is not None:
            self.schedule.stop(reason)

    async def hold_fixed(self, held: AsyncExitStack) -> None:
        """Hold the resources whose order the plan fixes until the execution is over: no other plan gets in between."""
        fixed = {
            (self.plan.domain.name, name): self.plan.domain.resources[name].capacity
            for step in self.plan.plan.steps
            for name in _fixed(self.plan.domain, step)
        }
        if await held.enter_async_context(self.runtime.locks.hold(fixed)):
            self.journal.note("wait", None, f"waited for {', '.join(name for _, name in fixed)}")

    async def end(self) -> ExecutionReport:
        """Take back what a stopped plan did, and say what became of everything."""
        schedule = self.schedule
        if schedule.broken is not None:
            raise schedule.broken
        undos: tuple[Undo, ...] = ()
        if schedule.stopped is not None and self.effects is not None and self._needs_ledger():
            await self._move("stopping", schedule.stopped)
            ledger_entries = await anyio.to_thread.run_sync(self._ledger_entries)
            undos = await compensate(self.plan.plan, self.plan.domain, self.effects, self.journal, ledger_entries)
        undone = {undo.step for undo in undos if undo.status == "undone"}
        entries = tuple(
            _undone(entry, schedule.stopped) if entry.id in undone else entry
            for entry in (schedule.entries[step.id] for step in self.plan.plan.steps)
        )
        unknown = any(entry.status == "unknown" for entry in entries) or any(
            one.status == "unknown" for one in schedule.fallbacks
        )
        unsettled = unknown or not all(undo.settled for undo in undos)
        status: ExecutionStatus = "unsettled" if unsettled else "finished" if schedule.stopped is None else "stopped"
        if self._needs_ledger():
            await self._move(status, schedule.stopped)
        self.journal.note("ended", None, f"the execution is {status}", verdict=status)
        return ExecutionReport(
            execution=self.execution,
            status="unsettled" if unsettled else "finished" if schedule.stopped is None else "stopped",
            reason=schedule.stopped,
            entries=entries,
            undos=undos,
            fallbacks=tuple(schedule.fallbacks),
            events=tuple(self.journal.events),
        )

    def _ledger_entries(self) -> tuple[LedgerEntry, ...]:
        return self.runtime.ledger.entries(self.execution) if self.runtime.ledger is not None else ()

    async def _move(self, status: ExecutionStatus, reason: str | None) -> None:
        if self.runtime.ledger is not None:
            await anyio.to_thread.run_sync(self.runtime.ledger.move, self.execution, status, reason)

    def _needs_ledger(self) -> bool:
        return plan_has_effects(self.plan.plan, self.plan.domain)

    def _check_ledger(self) -> None:
        if self.runtime.ledger is None and self._needs_ledger():
            raise LedgerError(
                "the plan has steps with effects, which need a ledger so that none happens twice; give Runtime(ledger=...)",
                field="ledger",
            )

    def _waits(self, step: Step) -> bool:
        skill = self.plan.domain.skills[step.skill]
        policy = self.runtime.policy
        asked = skill.confirm or step.skill in policy.confirmed or skill.safety in policy.confirmed_levels
        return asked or has_effects(skill) or bool(_fixed(self.plan.domain, step))


def plan_has_effects(plan: Plan, domain: Domain) -> bool:
    """Whether a step, or the fallback of one, has effects."""
    skills = [domain.skills[step.skill] for step in plan.steps]
    return any(has_effects(skill) for skill in skills) or any(
        has_effects(domain.skills[skill.fallback]) for skill in skills if skill.fallback is not None
    )


def _fixed(domain: Domain, step: Step) -> tuple[str, ...]:
    return tuple(name for name in domain.skills[step.skill].uses if domain.resources[name].fixed_order)


def _undone(entry: TraceEntry, reason: str | None) -> TraceEntry:
    return replace(entry, status="undone", error=f"it was taken back, since the plan stopped: {reason}")


async def _once(plan: CheckedPlan) -> AsyncIterator[CheckedPlan]:
    yield plan
