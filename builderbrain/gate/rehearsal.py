"""What an accepted plan does, tried in a simulated world: the effects of an answer. Nothing outside the process is touched.

The plan goes through the checker and the executor that run it for real, with tools made for the simulated world alone, a clock
that is turned instead of waited for, and a ledger in a temporary folder. What needs a person's yes gets it: what is judged is
what the plan would do once somebody agreed. Domains without such a world have no effects, and no tool of theirs is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio

from builderbrain.agent.domain_runtime import open_domain
from builderbrain.agent.executor import Runtime, WorkingRoot
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.locks import ResourceLocks
from builderbrain.agent.policy import ConfirmationRequest
from builderbrain.agent.report import ExecutionReport
from builderbrain.domains.api_json import SimulatedShop
from builderbrain.domains.robot_cell.arm import TOOL_SPEED_MM_S
from builderbrain.domains.simulator import Simulator
from builderbrain.errors import PlanSyntaxError
from builderbrain.gate.measured_cell import GRIPS, MeasuredCell, target_of
from builderbrain.gate.scenes import SCENES, world_of
from builderbrain.gate.signals import Effect
from builderbrain.plan import READ_ONLY, CheckedPlan, Plan, Reference, check, checked, parse_text
from builderbrain.plan.domain import SAFETY_LEVELS

if TYPE_CHECKING:
    from builderbrain.gate.evaluate import SubjectAnswer

SHOP = "the shop"
CENTS = 100.0
REMEMBERED = 4096
"""Rehearsals kept: live, live again and the candidate mostly give the same plan."""


def granted_in(domain: str) -> frozenset[str]:
    """Safety levels that plans may use where the gate judges them: the working root is only read; elsewhere nothing is real."""
    return READ_ONLY if domain == "repo_assistant" else frozenset(SAFETY_LEVELS)


def rehearsed(answer: SubjectAnswer, domain: str, scene: str | None = None) -> SubjectAnswer:
    """The answer, with what its plan did in the simulated world of its domain added to its effects.

    Args:
        scene: how the world is (see `scenes`), by default as usual.
    """
    found = effects_of_plan(answer.plan_text, domain, scene)
    return replace(answer, effects=(*answer.effects, *found)) if found else answer


@lru_cache(maxsize=REMEMBERED)
def effects_of_plan(plan_text: str, domain: str, scene: str | None = None) -> tuple[Effect, ...]:
    """What a plan did in a new simulated world; nothing where it does not parse, or the checker refuses it.

    Raises:
        KeyError: the domain has no such scene.
        BuilderBrainError: the plan was accepted and could not be run.
    """
    if domain not in SCENES:
        return ()
    try:
        plan = parse_text(plan_text, domain=domain)
    except PlanSyntaxError:
        return ()
    if not check(plan, granted=granted_in(domain)).accepted:
        return ()
    accepted = checked(plan, granted=granted_in(domain))
    world = world_of(domain, scene)
    report = anyio.run(partial(_run, accepted, world))
    if isinstance(world, MeasuredCell):
        return (*world.effects, *_never_begun(accepted.plan, report, world))
    return tuple(_money(world)) if isinstance(world, SimulatedShop) else ()


async def _run(plan: CheckedPlan, world: Simulator) -> ExecutionReport:
    with TemporaryDirectory(prefix="rehearsal-") as folder:
        ledger = Ledger(Path(folder) / "ledger.db")
        try:
            runtime = Runtime(ledger=ledger, locks=ResourceLocks(), clock=_TurnedClock(), confirm=_yes)
            opened = open_domain(
                plan.domain.name,
                WorkingRoot(Path(folder)),
                version=plan.domain.version,
                granted=plan.granted,
                runtime=runtime,
                world=world,
            )
            return await opened.run(plan)
        finally:
            ledger.close()


async def _yes(request: ConfirmationRequest) -> bool:
    return True


class _TurnedClock:
    """Sleeping turns it, and takes no time."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> float:
        return self._seconds

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        self._seconds += seconds
        await anyio.sleep(0)


def _never_begun(plan: Plan, report: ExecutionReport, cell: MeasuredCell) -> Iterator[Effect]:
    """What steps asked for that came to nothing because the cell had refused an earlier one, such as a route too near a zone.

    The cell was the last barrier then. It counts like a motion, or else the plan that goes too far would look calmer than one
    that goes just as far as it may.
    """
    entries = {entry.id: entry for entry in report.entries}
    for step in plan.steps:
        if entries[step.id].status not in ("blocked", "cancelled"):
            continue
        route, force = step.args.get("route"), step.args.get("force_n")
        target = target_of(entries[route.step].args) if isinstance(route, Reference) else None
        known = float(force) if step.skill in GRIPS and isinstance(force, int | float) else None
        speed = step.args.get("speed_mm_s", TOOL_SPEED_MM_S)
        fast = float(speed) if isinstance(speed, int | float) else TOOL_SPEED_MM_S
        numbers = cell.asked(target, force_n=known, speed_mm_s=fast)
        if numbers:
            yield Effect(kind="motion", numbers=numbers, names={"skill": step.skill})


def _money(shop: SimulatedShop) -> Iterator[Effect]:
    """A payment is a transfer to the shop. A payback is a refund of what was sold, so that the same book bought and paid back
    again and again is refunded again and again, whatever number each order has."""
    for movement in shop.movements:
        amount = movement.cents / CENTS
        if movement.kind == "payment":
            yield Effect(kind="transfer", numbers={"amount": amount}, names={"source": movement.account, "target": SHOP})
        else:
            sold = f"{movement.book} from {movement.account}"
            yield Effect(kind="refund", numbers={"amount": amount, "paid": movement.paid_cents / CENTS}, names={"order": sold})
