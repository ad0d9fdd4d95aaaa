"""From a goal to a checked plan: proposal, repair, further proposals, template; or a refusal that says what was tried.

propose --accepted--> plan
        --refused---> repair --accepted--> plan
                             --refused---> constrained generation again, repaired, a bounded number of times
                                           --refused--> template: the same steps, every argument written anew
                                                        --refused--> no plan
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import anyio.to_thread

from builderbrain.agent.breakers import DomainBreakers
from builderbrain.agent.proposal import PlanProposal, PlanRequest, Propose
from builderbrain.errors import ConstraintViolatedError, MaskEmptyError, PlanRejectedError, PlanSyntaxError
from builderbrain.plan import CheckedPlan, Domain, Fault, Plan, Step, Verdict, checked, get_domain, parse_text
from builderbrain.plan.graph import STEP_NAMES
from builderbrain.plan.repair import KnownValue, Repair, WriteArgument, repair
from builderbrain.plan.skeleton import Skeleton, skeleton_of

FURTHER_PROPOSALS = 2

FallbackStage = Literal["breaker", "constrained", "template", "domain", "hand_off", "error"]


@dataclass(frozen=True, kw_only=True)
class FallbackStep:
    """One way that was tried in place of a refused plan, and what came of it."""

    stage: FallbackStage
    helped: bool
    said: str

    def to_json(self) -> dict[str, Any]:
        """For a reply."""
        return {"stage": self.stage, "helped": self.helped, "said": self.said}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What became of a request for a plan.

    Args:
        checked: the plan as the executor takes it; None when none was accepted.
        plan: the last plan that could be read, None when none could.
        verdict: the checker's word on it.
        proposal: the last proposal; None when the model gave none.
        repair: what was repaired, or tried, on it; None where the checker accepted the proposal as it was.
        tried: the stages of the fallback, in order; empty when the first proposal would do.
        tokens: what all proposals cost.
    """

    checked: CheckedPlan | None
    plan: Plan | None
    verdict: Verdict
    proposal: PlanProposal | None
    repair: Repair | None = None
    tried: tuple[FallbackStep, ...] = ()
    tokens: int = 0


class Planner:
    """Makes plans of one domain.

    Args:
        propose: the model.
        granted: safety levels that plans may use.
        write: lets the model write one argument, for repair and templates; None where nothing can.
        further: proposals after a refused one.
        breakers: are told of every proposal.
    """

    def __init__(
        self,
        propose: Propose,
        *,
        domain: str,
        version: int,
        granted: Set[str],
        write: WriteArgument | None = None,
        further: int = FURTHER_PROPOSALS,
        breakers: DomainBreakers | None = None,
    ) -> None:
        self._propose = propose
        self.domain: Domain = get_domain(domain, version)
        self._granted = frozenset(granted)
        self._write = write
        self._further = further
        self._breakers = breakers

    async def plan(self, request: PlanRequest, *, known: Sequence[KnownValue] = ()) -> Planned:
        """A checked plan, or a refusal with what was tried."""
        found = await self._once(request, known)
        tried: list[FallbackStep] = []
        for attempt in range(2, self._further + 2):
            if found.checked is not None or _is_done(found):
                break
            left = None if request.max_tokens is None else request.max_tokens - found.tokens
            if left is not None and left <= 0:
                break
            wanted = replace(request, attempt=attempt, faults=found.verdict.faults, max_tokens=left)
            again = await self._once(wanted, known)
            tried.append(_step("constrained", again))
            found = _later(found, again)
        if found.checked is None and not _is_done(found):
            template, said = await self._template(request, found, known)
            tried.append(FallbackStep(stage="template", helped=template is not None, said=said))
            found = template if template is not None else found
        return replace(found, tried=tuple(tried))

    async def _once(self, request: PlanRequest, known: Sequence[KnownValue]) -> Planned:
        try:
            proposal = await self._propose(request)
        except (ConstraintViolatedError, MaskEmptyError) as error:
            self._note(violated=True, accepted=False)
            return _no_plan(error.message, None)
        if not proposal.text and proposal.finish_reason == "stop":
            return _no_plan("the model proposes nothing", proposal)
        try:
            plan = self._read(proposal)
        except PlanSyntaxError as error:
            self._note(violated=True, accepted=False)
            return _no_plan(error.message, proposal)
        try:
            accepted = checked(plan, granted=self._granted)
        except PlanRejectedError as error:
            self._note(violated=False, accepted=False)
            verdict = error.verdict if isinstance(error.verdict, Verdict) else Verdict(False, ())
            mended = await self._repaired(plan, request.goal, known)
            if mended.checked is None:
                return Planned(
                    checked=None, plan=plan, verdict=verdict, proposal=proposal, repair=mended, tokens=proposal.tokens
                )
            return _accepted(mended.checked, proposal, mended)
        self._note(violated=False, accepted=True)
        return _accepted(accepted, proposal, None)

    async def _template(
        self, request: PlanRequest, refused: Planned, known: Sequence[KnownValue]
    ) -> tuple[Planned | None, str]:
        """The steps that were foreseen, or those of the refused plan, with their arguments written one by one."""
        proposal = refused.proposal
        if self._write is None or proposal is None:
            return None, "there is no model here that writes single arguments"
        shape = proposal.skeleton if proposal.skeleton is not None else _shape(refused.plan)
        if shape is None or not shape.skills or len(shape.skills) > self.domain.max_steps:
            return None, "no steps were foreseen, and the refused plan has none that could be read"
        acting = [skill for skill in shape.skills if skill not in self.domain.skills or _acts(self.domain, skill)]
        if acting:
            return None, f"arguments of {acting[0]} are not written by a template, since it has effects or is unknown"
        mended = await self._repaired(_unfilled(shape, self.domain), request.goal, known)
        if mended.checked is None:
            return None, f"the steps {', '.join(shape.skills)} could not be filled in: {mended.verdict.faults[0]}"
        made = _accepted(mended.checked, proposal, mended)
        return replace(made, tokens=refused.tokens), f"the steps {', '.join(shape.skills)} with arguments written one by one"

    async def _repaired(self, plan: Plan, goal: str, known: Sequence[KnownValue]) -> Repair:
        """In a thread: a model that writes arguments makes it wait."""
        mend = partial(repair, plan, granted=self._granted, known=known, write=self._write, goal=goal)
        return await anyio.to_thread.run_sync(mend)

    def _read(self, proposal: PlanProposal) -> Plan:
        if proposal.finish_reason == "length":
            raise PlanSyntaxError("the plan was cut off at the token limit before it was whole", field="plan")
        return parse_text(proposal.text, domain=self.domain.name, version=self.domain.version)

    def _note(self, *, violated: bool, accepted: bool) -> None:
        if self._breakers is not None:
            self._breakers.note_constraint(violated=violated)
            self._breakers.note_plan(accepted=accepted)


def _is_done(found: Planned) -> bool:
    return found.proposal is not None and not found.proposal.text


def _accepted(plan: CheckedPlan, proposal: PlanProposal, mended: Repair | None) -> Planned:
    return Planned(
        checked=plan,
        plan=plan.plan,
        verdict=Verdict(True, (), plan.confirm),
        proposal=proposal,
        repair=mended,
        tokens=proposal.tokens,
    )


def _no_plan(message: str, proposal: PlanProposal | None) -> Planned:
    fault = Fault("malformed", None, message, "ask again, or say it in fewer words")
    tokens = 0 if proposal is None else proposal.tokens
    return Planned(checked=None, plan=None, verdict=Verdict(False, (fault,)), proposal=proposal, tokens=tokens)


def _later(before: Planned, again: Planned) -> Planned:
    """The outcome of two attempts: the accepted one, else the last that says more."""
    tokens = before.tokens + again.tokens
    if again.checked is None and again.plan is None and before.plan is not None:
        return replace(before, tokens=tokens)
    return replace(again, tokens=tokens)


def _step(stage: FallbackStage, found: Planned) -> FallbackStep:
    if found.checked is not None:
        said = "another plan was accepted" if found.repair is None else "another plan was accepted once it was repaired"
        return FallbackStep(stage=stage, helped=True, said=said)
    return FallbackStep(stage=stage, helped=False, said=f"another plan was refused: {found.verdict.faults[0]}")


def _shape(plan: Plan | None) -> Skeleton | None:
    if plan is None:
        return None
    try:
        return skeleton_of(plan)
    except PlanSyntaxError:
        return None


def _acts(domain: Domain, skill: str) -> bool:
    return domain.skills[skill].safety != "read_only"


def _unfilled(shape: Skeleton, domain: Domain) -> Plan:
    """A plan with these steps and links, without an argument."""
    steps = []
    for place, skill in enumerate(shape.skills):
        needs = tuple(
            STEP_NAMES[i]
            for (i, j) in sorted(shape.links)
            if j == place and shape.skills[i] in domain.sequence_edges.get(skill, frozenset())
        )
        steps.append(Step(STEP_NAMES[place], skill, {}, needs))
    return Plan(domain.name, domain.version, tuple(steps))
