"""A goal from its text to its answer: planned and run; where no plan is accepted, by what the domain falls back on."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import anyio

from builderbrain.agent.aftermath import compose_aftermath
from builderbrain.agent.answer import compose_answer, compose_dry_run, compose_fallback, compose_pending
from builderbrain.agent.breaker import BreakerRecord
from builderbrain.agent.domain_runtime import DomainRuntime
from builderbrain.agent.hand_off import HandOff, HandOver
from builderbrain.agent.lookup import Lookup, LookupGate
from builderbrain.agent.planning import FURTHER_PROPOSALS, FallbackStep, Planned, Planner
from builderbrain.agent.proposal import PlanProposal, PlanRequest, Propose
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import Pending, PlanRuns
from builderbrain.agent.sureness import Sureness
from builderbrain.agent.trace import TraceEntry
from builderbrain.deferral import Deferral, DeferralPolicy
from builderbrain.errors import BuilderBrainError, InvalidRequestError, PlanRejectedError
from builderbrain.plan import CheckedPlan, Domain, Fault, Plan, Step, Verdict, checked, plan_to_json
from builderbrain.plan.repair import Repair, WriteArgument
from builderbrain.plan.skeleton import Disagreement, disagreements

__all__ = ["MAX_GOAL_CHARACTERS", "GoalResult", "GoalRunner", "PlanProposal", "check_goal"]

MAX_GOAL_CHARACTERS = 4_000


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """What became of a goal. `plan` is None when no proposal parses; `trace` is empty when nothing was run.

    Args:
        disagreements: where an accepted plan leaves the call graph that the model foresaw; None when it foresaw none. They are
            reported and stop nothing: the checker alone decides what may run.
        repair: what was changed in the proposal, or tried on it; None where nothing was.
        fallback: what was tried in place of a refused plan.
        report: the execution, of the plan or of the domain's fallback; None when nothing was run.
        pending: the plan waits for a person's yes, and nothing was run.
        breakers: changes of circuit breakers while the goal was worked on.
        review: a breaker asks that a person reviews the plans of this domain.
        deferral: whether the plan was sure enough, where somebody asks that. Else it is not run, and `trace` is that of
            the `lookup` that was worth it.
    """

    answer: str
    plan: Plan | None
    verdict: Verdict
    trace: tuple[TraceEntry, ...]
    weight_version: str
    disagreements: tuple[Disagreement, ...] | None = None
    repair: Repair | None = None
    fallback: tuple[FallbackStep, ...] = ()
    report: ExecutionReport | None = None
    pending: Pending | None = None
    breakers: tuple[BreakerRecord, ...] = ()
    review: bool = False
    deferral: Deferral | None = None
    lookup: Lookup | None = None

    def to_json(self) -> dict[str, Any]:
        """The reply of `POST /v1/goals`; what there is nothing to say of is left out."""
        told: dict[str, Any] = {}
        if self.disagreements is not None:
            told["disagreements"] = [one.to_json() for one in self.disagreements]
        if self.repair is not None:
            told["repair"] = self.repair.to_json()
        if self.fallback:
            told["fallback"] = [step.to_json() for step in self.fallback]
        if self.report is not None and (self.report.status != "finished" or self.report.undos or self.report.fallbacks):
            told["execution"] = {key: value for key, value in self.report.to_json().items() if key != "steps"}
        if self.pending is not None:
            told["confirmation"] = {key: value for key, value in self.pending.to_json().items() if key != "plan"}
        if self.breakers:
            told["breakers"] = [record.to_json() for record in self.breakers]
        if self.review:
            told["review_required"] = True
        if self.deferral is not None:
            told["deferral"] = self.deferral.to_json()
        if self.lookup is not None:
            told["lookup"] = self.lookup.to_json()
        return {
            "answer": self.answer,
            "plan": plan_to_json(self.plan) if self.plan is not None else None,
            "verdict": self.verdict.to_json(),
            "trace": [entry.to_json() for entry in self.trace],
            "weight_version": self.weight_version,
            **told,
        }


class GoalRunner:
    """Runs goals in one domain.

    Args:
        propose: the model.
        home: the domain, with its tools and what is granted.
        runs: runs the plans, and has the breakers; by default one over the runtime of `home`.
        write: lets the model write single arguments, for repair and templates.
        further: proposals after a refused one.
        hand_over: hands a goal to a person; None where nobody is there.
        deferral: says which plans are sure enough to be run; None runs every sound one.
        lookups: says whether to look something up before a person is asked about a plan that is not.
    """

    def __init__(
        self,
        propose: Propose,
        home: DomainRuntime,
        *,
        runs: PlanRuns | None = None,
        write: WriteArgument | None = None,
        further: int = FURTHER_PROPOSALS,
        hand_over: HandOver | None = None,
        deferral: DeferralPolicy | None = None,
        lookups: LookupGate | None = None,
    ) -> None:
        self.home = home
        self.runs = runs if runs is not None else PlanRuns(home.runtime)
        self._sureness = Sureness(home, self.runs, deferral, lookups)
        self._hand_over = hand_over
        self._breakers = self.runs.board.domain(home.domain.name)
        self.planner = Planner(
            propose,
            domain=home.domain.name,
            version=home.domain.version,
            granted=home.granted,
            write=write,
            further=further,
            breakers=self._breakers,
        )

    def run(self, goal: str, dry_run: bool = False) -> GoalResult:
        """`run_async` for callers without an event loop (from a thread that runs none)."""
        return anyio.run(self.run_async, goal, dry_run)

    async def run_async(self, goal: str, dry_run: bool = False) -> GoalResult:
        """Propose, check, repair, run, answer. A refused plan is a result, not an error.

        Args:
            dry_run: check only; nothing is run.

        Raises:
            InvalidRequestError: the goal is empty or too long.
            PolicyError: the policy blocks a step, or the person that the runtime asks did not say yes.
            LedgerError, NoToolsError: the plan cannot be run here.
        """
        check_goal(goal)
        changed = self.runs.board.watch()
        asked_for = self._breakers.actions
        if "fallback" in asked_for:
            said = "too many plans in a row broke the grammar, so none is made for now"
            planned = _not_planned(said)
            return await self._fall_back(goal, planned, dry_run, changed())
        planned = await self.planner.plan(PlanRequest(goal=goal))
        if planned.checked is None:
            return await self._fall_back(goal, planned, dry_run, changed())
        review = "review" in self._breakers.actions
        plan, proposal = planned.checked, planned.proposal
        pending, report, lookup, answer = None, None, None, compose_dry_run(plan.plan)
        trace: tuple[TraceEntry, ...] = ()
        judged = None if proposal is None else self._sureness.judge(proposal)
        if proposal is not None and judged is not None and judged.offer is not None:
            asked = await self._sureness.ask(goal, plan.plan, proposal, judged, dry_run=dry_run)
            answer, trace, lookup = asked.answer, asked.trace, asked.lookup
        elif not dry_run:
            outcome = await self.runs.run(plan, self.home.root, home=self.home, review=review)
            if isinstance(outcome, Pending):
                pending, answer = outcome, compose_pending(plan.plan, [one.step for one in outcome.steps])
            else:
                report, answer, trace = outcome, _answer(outcome), outcome.entries
        foreseen = proposal.skeleton if proposal is not None else None
        return GoalResult(
            answer=answer,
            plan=plan.plan,
            verdict=planned.verdict,
            trace=trace,
            weight_version=_version(planned),
            disagreements=None if foreseen is None else disagreements(plan.plan, foreseen),
            repair=planned.repair,
            fallback=planned.tried,
            report=report,
            pending=pending,
            breakers=changed(),
            review=review,
            deferral=judged,
            lookup=lookup,
        )

    async def _fall_back(self, goal: str, planned: Planned, dry_run: bool, breakers: tuple[BreakerRecord, ...]) -> GoalResult:
        """No plan was accepted: what the domain does then, a person, and in any case an answer that says why."""
        steps = list(planned.tried)
        domain = self.planner.domain
        report = None
        if domain.fallback is not None:
            report, said = await self._domain_fallback(domain, domain.fallback, dry_run)
            done = report is not None and all(entry.ok for entry in report.entries)
            steps.append(FallbackStep(stage="domain", helped=done, said=said))
        if self._hand_over is not None and not dry_run:
            tried = tuple(f"{step.stage}: {step.said}" for step in steps)
            try:
                await self._hand_over(
                    HandOff(goal=goal, domain=domain.name, plan=planned.plan, verdict=planned.verdict, tried=tried)
                )
                steps.append(FallbackStep(stage="hand_off", helped=True, said="the goal was handed to a person"))
            except OSError as error:
                said = f"the goal could not be handed to a person: {error.strerror or error}"
                steps.append(FallbackStep(stage="hand_off", helped=False, said=said))
        if not any(step.helped for step in steps):
            steps.append(FallbackStep(stage="error", helped=False, said="nothing else is left to try"))
        told = [(step.stage, step.helped, step.said) for step in steps]
        return GoalResult(
            answer=compose_fallback(planned.verdict, told, asks_back=domain.mode == "flexible"),
            plan=planned.plan,
            verdict=planned.verdict,
            trace=report.entries if report is not None else (),
            weight_version=_version(planned),
            repair=planned.repair,
            fallback=tuple(steps),
            report=report,
            breakers=breakers,
        )

    async def _domain_fallback(self, domain: Domain, skill: str, dry_run: bool) -> tuple[ExecutionReport | None, str]:
        """Run the skill that the schema names, as a plan of its own that the checker sees like any other."""
        try:
            plan: CheckedPlan = checked(Plan(domain.name, domain.version, (Step("s1", skill),)), granted=self.home.granted)
        except PlanRejectedError as error:
            return None, f"{skill}, which {domain.name} falls back on, cannot be run: {error.message}"
        if dry_run:
            return None, f"{skill} would be run, which {domain.name} falls back on"
        try:
            outcome = await self.runs.run(plan, self.home.root, home=self.home)
        except BuilderBrainError as error:  # the answer still has to say that there was no plan
            return None, f"{skill}, which {domain.name} falls back on, was not run: {error.message}"
        if isinstance(outcome, Pending):
            return None, f"{skill}, which {domain.name} falls back on, waits for a person's yes here"
        done = "was run" if outcome.entries[0].ok else f"was run and is {outcome.entries[0].status}"
        return outcome, f"{skill} {done}, which {domain.name} falls back on"


def check_goal(goal: object) -> None:
    """Refuse what is no goal.

    Raises:
        InvalidRequestError: `field` is `goal`.
    """
    if not isinstance(goal, str) or not goal.strip():
        got = f"a {type(goal).__name__}" if not isinstance(goal, str) else "nothing but blanks"
        raise InvalidRequestError(f"expected a goal in words, got {got}; say what to find, read or list", field="goal")
    if len(goal) > MAX_GOAL_CHARACTERS:
        message = f"a goal has at most {MAX_GOAL_CHARACTERS} characters, got {len(goal)}; say it in fewer words"
        raise InvalidRequestError(message, field="goal")
    control = next((c for c in goal if unicodedata.category(c) in ("Cc", "Cs") and not c.isspace()), None)
    if control is not None:
        message = f"expected a goal in words, got U+{ord(control):04X}, which stands in no text; leave it out"
        raise InvalidRequestError(message, field="goal")


def _answer(report: ExecutionReport) -> str:
    return "\n\n".join(part for part in (compose_answer(report.entries), compose_aftermath(report)) if part)


def _not_planned(said: str) -> Planned:
    fault = Fault("malformed", None, said, "ask again later")
    step = FallbackStep(stage="breaker", helped=False, said=said)
    return Planned(checked=None, plan=None, verdict=Verdict(False, (fault,)), proposal=None, tried=(step,))


def _version(planned: Planned) -> str:
    return planned.proposal.weight_version if planned.proposal is not None else ""
