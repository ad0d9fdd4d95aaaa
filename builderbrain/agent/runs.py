"""Plans run for callers that cannot be asked while a plan waits: what needs a yes is kept until the yes comes.

A plan with such steps is not run; a `Pending` with a token comes back. Whoever answers with the token, within its time and
once, has exactly that plan run or dropped. Pending plans are in memory alone: after a restart nothing of them has run, and
they are asked for anew.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from builderbrain.agent.breaker_board import BreakerBoard
from builderbrain.agent.domain_runtime import LASTING, DomainRuntime, Worlds, open_domain
from builderbrain.agent.executor import Runtime, Tool, WorkingRoot, resume, run_plan
from builderbrain.agent.policy import ConfirmationRequest, Policy, StepDecision, decide, planned_arguments, refuse_blocked
from builderbrain.agent.report import ExecutionReport
from builderbrain.errors import ConfigError, ConfirmationNotFoundError, ConflictError, NoToolsError, SchemaError
from builderbrain.plan import READ_ONLY, CheckedPlan, get_domain, plan_to_json
from builderbrain.plan.domain import SAFETY_LEVELS

WAIT_SECONDS = 600.0
MOST_PENDING = 64
MOST_WORLDS = 64
"""Worlds of a single plan that are kept for executions that are not over."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A plan that waits for a person's yes. Nothing of it has run.

    Args:
        token: to answer with; whoever has it may answer.
        seconds: how long it waits.
        steps: those that need the yes, and why.
        arguments: theirs as planned, by step.
    """

    token: str
    seconds: float
    steps: tuple[StepDecision, ...]
    arguments: Mapping[str, Mapping[str, Any]]
    plan: CheckedPlan

    def to_json(self) -> dict[str, Any]:
        """What a person is shown."""
        return {
            "token": self.token,
            "expires_in_seconds": round(self.seconds, 3),
            "steps": [
                {"id": one.step, "skill": one.skill, "reason": one.reason, "args": dict(self.arguments[one.step])}
                for one in self.steps
            ],
            "plan": plan_to_json(self.plan.plan),
        }


@dataclass(frozen=True, kw_only=True)
class _Kept:
    pending: Pending
    root: WorkingRoot
    home: DomainRuntime
    expires: float


class PlanRuns:
    """The executions of a process, with one runtime.

    Args:
        runtime: its `confirm`, where there is one, is asked at once and nothing waits.
        board: the breakers; those of the tools are used by every execution.
        tools: tools by domain and skill in place of the registry's.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        board: BreakerBoard | None = None,
        tools: Mapping[str, Mapping[str, Tool]] | None = None,
    ) -> None:
        self.board = board if board is not None else BreakerBoard(runtime.clock)
        self.runtime = replace(runtime, breakers=runtime.breakers if runtime.breakers is not None else self.board.tools)
        self._tools = dict(tools or {})
        self._worlds = Worlds()
        self._homes: OrderedDict[str, DomainRuntime] = OrderedDict()
        self._pending: OrderedDict[str, _Kept] = OrderedDict()
        self._running: set[str] = set()

    def home(
        self,
        domain: str,
        root: WorkingRoot,
        *,
        version: int | None = None,
        granted: Set[str] = READ_ONLY,
        asker: str | None = None,
    ) -> DomainRuntime:
        """A domain as its next plan finds it: a world that lasts is as the plan before left it.

        Args:
            asker: see `Runtime`; by default that of these runs.

        Raises:
            SchemaError: there is no such domain or version.
        """
        runtime = replace(self.runtime, asker=asker or self.runtime.asker)
        tools = self._tools.get(domain)
        if tools is not None:
            found = get_domain(domain, version)
            return DomainRuntime(domain=found, root=root, granted=frozenset(granted), runtime=runtime, tools=tools)
        world = self._worlds.world(domain)
        return open_domain(domain, root, version=version, granted=granted, runtime=runtime, world=world)

    async def run(
        self,
        plan: CheckedPlan,
        root: WorkingRoot,
        *,
        home: DomainRuntime | None = None,
        review: bool = False,
        asker: str | None = None,
    ) -> ExecutionReport | Pending:
        """Run a plan, or keep it until somebody says yes.

        Args:
            home: the domain that the plan is of, with its world and tools; by default as `home` gives it.
            review: a person must see the whole plan, whatever its steps are.
            asker: see `Runtime`; by default that of the runtime of `home`, then that of these runs.

        Raises:
            PolicyError: a step is blocked, or the person that the runtime asks did not say yes.
            NoToolsError: the skills of its domain have no tools here.
            and what `run_plan` raises.
        """
        policy = reviewed(self.runtime.policy) if review else self.runtime.policy
        decisions = decide(plan, policy)
        refuse_blocked(decisions)
        wanted = tuple(one for one in decisions if one.decision == "confirm")
        if home is None:
            home = self.home(plan.domain.name, root, version=plan.domain.version, granted=plan.granted)
        if wanted and self.runtime.confirm is None:
            return self._keep(plan, root, home, wanted)
        if asker is None and home is not None:
            asker = home.runtime.asker
        return await self._run(plan, root, home, replace(self.runtime, policy=policy, asker=asker or self.runtime.asker))

    async def answer(self, token: str, *, yes: bool, asker: str | None = None) -> ExecutionReport | None:
        """Run the plan that waits under a token, or drop it (None).

        Args:
            asker: who answers, and so gets the results; see `Runtime`.

        Raises:
            ConfirmationNotFoundError: no plan waits under it; it was answered, or its time is over.
            and what `run_plan` raises.
        """
        self._forget_late()
        found = next((name for name in self._pending if hmac.compare_digest(name.encode(), token.encode())), None)
        if found is None:
            raise ConfirmationNotFoundError(
                "no plan waits under this token; it was answered before, or its time is over: run the plan anew", field="token"
            )
        kept = self._pending.pop(found)
        if not yes:
            return None
        asked = {(one.step, one.skill) for one in kept.pending.steps}

        async def confirm(request: ConfirmationRequest) -> bool:
            return {(one.step, one.skill) for one in request.steps} <= asked

        return await self._run(
            kept.pending.plan, kept.root, kept.home, replace(self.runtime, confirm=confirm, asker=asker or self.runtime.asker)
        )

    async def resume(self, execution: str) -> ExecutionReport:
        """Go on with an execution that was cut off; see `executor.resume`.

        Raises:
            ConflictError: it runs right now.
        """
        if execution in self._running:
            raise ConflictError(f"the execution {execution} runs right now; wait for it", field="execution")
        ledger = self.runtime.ledger
        if ledger is None:
            return await resume(execution, runtime=self.runtime)
        home = self._homes.get(execution)
        if home is None:
            row = ledger.execution(execution)
            home = self.home(str(row.plan.get("domain")), WorkingRoot(row.root))
        runtime = replace(self.runtime, observe=home.runtime.observe)
        return await self._counted(execution, home, resume(execution, runtime=runtime, tools=home.tools))

    @property
    def running(self) -> frozenset[str]:
        """Executions that run right now."""
        return frozenset(self._running)

    async def _run(self, plan: CheckedPlan, root: WorkingRoot, home: DomainRuntime, runtime: Runtime) -> ExecutionReport:
        execution = secrets.token_hex(16)
        runtime = replace(runtime, observe=home.runtime.observe)
        tools = home.tools if home.tools is not None else self._tools.get(plan.domain.name)
        work = run_plan(plan, root, tools=tools, runtime=runtime, execution=execution)
        try:
            return await self._counted(execution, home, work)
        except (SchemaError, ConfigError) as error:
            raise NoToolsError(
                f"plans of {plan.domain.name} can be checked here and not run: {error.message}"
                + (f" ({error.field} in the file of --tools)" if isinstance(error, ConfigError) else ""),
                field="domain",
            ) from error

    async def _counted(self, execution: str, home: DomainRuntime, work: Awaitable[ExecutionReport]) -> ExecutionReport:
        """Do the work of an execution. Until it is over, its world is kept, so that it is resumed in the same one."""
        self._running.add(execution)
        if home.world is not None and home.domain.name not in LASTING:
            self._homes[execution] = home
            while len(self._homes) > MOST_WORLDS:
                self._homes.popitem(last=False)
        try:
            report = await work
        finally:
            self._running.discard(execution)
        if report.status != "unsettled":
            self._homes.pop(execution, None)
        return report

    def _keep(self, plan: CheckedPlan, root: WorkingRoot, home: DomainRuntime, wanted: tuple[StepDecision, ...]) -> Pending:
        self._forget_late()
        if len(self._pending) >= MOST_PENDING:
            raise ConflictError(f"{MOST_PENDING} plans wait for a yes already; answer some of them first", field="plan")
        steps = {step.id: step for step in plan.plan.steps}
        pending = Pending(
            token=secrets.token_urlsafe(24),
            seconds=WAIT_SECONDS,
            steps=wanted,
            arguments={one.step: planned_arguments(steps[one.step]) for one in wanted},
            plan=plan,
        )
        expires = self.runtime.clock.monotonic() + WAIT_SECONDS
        self._pending[pending.token] = _Kept(pending=pending, root=root, home=home, expires=expires)
        return pending

    def _forget_late(self) -> None:
        now = self.runtime.clock.monotonic()
        for token in [token for token, kept in self._pending.items() if kept.expires <= now]:
            del self._pending[token]


def reviewed(policy: Policy) -> Policy:
    """The policy under which a person must agree to every step."""
    return replace(policy, confirmed_levels=frozenset(SAFETY_LEVELS))
