"""One domain, ready to run plans: its tools and the world they act on, what is granted, and what its executions share.

This is the way in for whoever has a plan of any domain: the server, a bench, a program. A domain whose tools work below the
working root has no world of its own; others act on one, such as a simulator, which also says what the facts are now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Final

from builderbrain.agent.executor import Observe, Runtime, WorkingRoot, resume, run_plan
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.tool_call import Tool, simulated_tools
from builderbrain.domains.phone_flow import PhoneCall, load_script
from builderbrain.domains.robot_cell import RobotCell
from builderbrain.domains.simulator import Simulator
from builderbrain.errors import PlanRejectedError
from builderbrain.plan import READ_ONLY, CheckedPlan, Plan, checked, get_domain, parse_text
from builderbrain.plan.domain import Domain

WORLDS: Final[Mapping[str, Callable[[], Simulator]]] = {
    "robot_cell": RobotCell,
    "phone_flow": lambda: PhoneCall(load_script("usual")),
}
"""By domain, what makes a world to act on where nobody brings one."""

LASTING: Final[frozenset[str]] = frozenset({"robot_cell"})
"""Domains whose world is the same for every plan: a cell is as the last plan left it. A call is over with its plan, and the
next plan begins, as its checker takes it to, with one that rings."""


class Worlds:
    """The simulated worlds of a process, each made when it is first asked for."""

    def __init__(self) -> None:
        self._lasting: dict[str, Simulator] = {}

    def world(self, domain: str) -> Simulator | None:
        """The world that the next plan of a domain acts on; None for the files below the root."""
        if domain not in WORLDS:
            return None
        if domain not in LASTING:
            return WORLDS[domain]()
        return self._lasting.setdefault(domain, WORLDS[domain]())


@dataclass(frozen=True, kw_only=True)
class DomainRuntime:
    """Runs plans of one domain. `open_domain` makes one.

    Args:
        root: where tools may read and write files.
        granted: safety levels that plans may use.
        tools: tools by skill; None takes those of the registry.
        world: what the tools act on, None for the files below the root.
    """

    domain: Domain
    root: WorkingRoot
    granted: frozenset[str] = READ_ONLY
    runtime: Runtime = field(default_factory=Runtime)
    tools: Mapping[str, Tool] | None = None
    world: Simulator | None = None

    def parse(self, text: str) -> Plan:
        """The plan that a text form of this domain says; not checked yet.

        Raises:
            PlanSyntaxError: it is no plan.
        """
        return parse_text(text, domain=self.domain.name, version=self.domain.version)

    def check(self, plan: Plan | str) -> CheckedPlan:
        """A plan, or the text form of one, checked for what is granted here.

        Raises:
            PlanSyntaxError: the text is no plan.
            PlanRejectedError: the checker found faults; `verdict` holds them all.
        """
        return checked(self.parse(plan) if isinstance(plan, str) else plan, granted=self.granted)

    async def run(self, plan: CheckedPlan) -> ExecutionReport:
        """Run a checked plan; raises what `run_plan` raises.

        Raises:
            PlanRejectedError: it is a plan of another domain.
        """
        if type(plan) is CheckedPlan and plan.domain is not self.domain:
            raise PlanRejectedError(
                f"expected a plan of {self.domain.name} version {self.domain.version}, got one of {plan.domain.name} version"
                f" {plan.domain.version}",
                field="plan",
            )
        return await run_plan(plan, self.root, tools=self.tools, runtime=self.runtime)

    async def resume(self, execution: str) -> ExecutionReport:
        """Go on with an execution of this domain; raises what `executor.resume` raises."""
        return await resume(execution, tools=self.tools, runtime=self.runtime)


def open_domain(
    name: str,
    root: WorkingRoot,
    *,
    version: int | None = None,
    granted: Set[str] = READ_ONLY,
    runtime: Runtime | None = None,
    world: Simulator | None = None,
) -> DomainRuntime:
    """A domain with its tools.

    Args:
        version: by default the newest.
        runtime: ledger, policy, who confirms, clock; simulated worlds take their time by its clock.
        world: what the tools act on; by default a new one where the domain has one.

    Raises:
        SchemaError: there is no such domain or version.
    """
    domain = get_domain(name, version)
    shared = runtime if runtime is not None else Runtime()
    acted_on = world if world is not None else WORLDS[name]() if name in WORLDS else None
    if acted_on is None:
        return DomainRuntime(domain=domain, root=root, granted=frozenset(granted), runtime=shared)
    return DomainRuntime(
        domain=domain,
        root=root,
        granted=frozenset(granted),
        runtime=replace(shared, observe=_observer(acted_on)),
        tools=simulated_tools(domain, acted_on, shared.clock.sleep),
        world=acted_on,
    )


def _observer(world: Simulator) -> Observe:
    async def observe() -> Mapping[str, str | None]:
        return dict(world.facts())

    return observe
