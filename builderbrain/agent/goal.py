"""A goal from its text to its answer. The model is a function that proposes a plan, so that this module knows no tensors."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import anyio
import anyio.to_thread

from builderbrain.agent.answer import compose_answer, compose_dry_run, compose_refusal
from builderbrain.agent.deferring import compose_offer
from builderbrain.agent.executor import WorkingRoot, execute_async
from builderbrain.agent.lookup import Lookup, LookupGate, weigh_lookup
from builderbrain.agent.trace import TraceEntry
from builderbrain.deferral import Deferral, DeferralPolicy
from builderbrain.errors import InvalidRequestError, PlanRejectedError, PlanSyntaxError, UncalibratedError
from builderbrain.plan import READ_ONLY, Fault, Plan, Verdict, checked, parse_text, plan_to_json
from builderbrain.plan.skeleton import Disagreement, Skeleton, disagreements

MAX_GOAL_CHARACTERS = 4_000


@dataclass(frozen=True, kw_only=True)
class PlanProposal:
    """What the model proposes.

    Args:
        text: the plan in its text form.
        weight_version: version of the weights that decoded it.
        finish_reason: `length` when decoding was cut off, then the text is no plan.
        skeleton: the call graph that the model foresaw before it wrote the plan; None when it foresees none.
        confidence: calibrated probability that the plan is right; None when it is not known.
        features: of the goal, for the test of a shift; see `DeferralPolicy.judge`.
        alternatives: other plans in their text form, the likeliest first.
    """

    text: str
    weight_version: str
    finish_reason: Literal["stop", "length"] = "stop"
    skeleton: Skeleton | None = None
    confidence: float | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """What became of a goal. `plan` is None when the proposal does not parse; `trace` is empty when nothing was run.

    `disagreements` says where an accepted plan leaves the call graph that the model foresaw; None when it foresaw none. They
    are reported and stop nothing: the checker decides what may run. `deferral` says whether the plan was sure enough, where
    somebody asks that; a deferred plan is not run, and `trace` is that of the `lookup` that was worth it.
    """

    answer: str
    plan: Plan | None
    verdict: Verdict
    trace: tuple[TraceEntry, ...]
    weight_version: str
    disagreements: tuple[Disagreement, ...] | None = None
    deferral: Deferral | None = None
    lookup: Lookup | None = None

    def to_json(self) -> dict[str, Any]:
        """The reply of `POST /v1/goals`; the last three stand in it only where there is something to say."""
        told: dict[str, Any] = {}
        if self.disagreements is not None:
            told["disagreements"] = [one.to_json() for one in self.disagreements]
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


PlanSource = Callable[[str], PlanProposal]
"""From a goal to a proposed plan. May block; is called in a thread."""


class GoalRunner:
    """Runs goals in one domain below one root.

    Args:
        plan_source: proposes a plan for a goal.
        root: where tools may read.
        granted: safety levels that plans may use.
        domain, version: what the proposals are written in.
        deferral: says which plans are sure enough to be run; None runs every sound one.
        lookups: says whether to look something up before a person is asked about a plan that is not.
    """

    def __init__(
        self,
        plan_source: PlanSource,
        root: WorkingRoot,
        *,
        granted: Set[str] = READ_ONLY,
        domain: str = "repo_assistant",
        version: int = 1,
        deferral: DeferralPolicy | None = None,
        lookups: LookupGate | None = None,
    ) -> None:
        self.plan_source = plan_source
        self.root = root
        self.granted = granted
        self.domain = domain
        self.version = version
        self.deferral = deferral
        self.lookups = lookups

    def run(self, goal: str, dry_run: bool = False) -> GoalResult:
        """`run_async` for callers without an event loop (from a thread that runs none)."""
        return anyio.run(self.run_async, goal, dry_run)

    async def run_async(self, goal: str, dry_run: bool = False) -> GoalResult:
        """Propose, check, run, answer. A refused plan is a result, not an error.

        Args:
            dry_run: check only; nothing is run.

        Raises:
            InvalidRequestError: the goal is empty or too long.
            UncalibratedError: plans are to be deferred by their confidence, and this one has none.
        """
        check_goal(goal)
        proposal = await anyio.to_thread.run_sync(self.plan_source, goal)
        try:
            plan = self._parse(proposal)
        except PlanSyntaxError as error:
            remedy = "ask again, or say it in fewer words"
            verdict = Verdict(False, (Fault("malformed", None, error.message, remedy),))
            return _refused(verdict, None, proposal)
        try:
            accepted = checked(plan, granted=self.granted)
        except PlanRejectedError as error:
            verdict = error.verdict if isinstance(error.verdict, Verdict) else Verdict(False, ())
            return _refused(verdict, plan, proposal)
        foreseen = None if proposal.skeleton is None else disagreements(accepted.plan, proposal.skeleton)
        judged = self._judge(proposal)
        if judged is not None and judged.offer is not None:
            return await self._ask(goal, accepted.plan, proposal, judged, foreseen, dry_run=dry_run)
        trace = () if dry_run else await execute_async(accepted, self.root)
        return GoalResult(
            answer=compose_dry_run(accepted.plan) if dry_run else compose_answer(trace),
            plan=accepted.plan,
            verdict=Verdict(True, ()),
            trace=trace,
            weight_version=proposal.weight_version,
            disagreements=foreseen,
            deferral=judged,
        )

    def _judge(self, proposal: PlanProposal) -> Deferral | None:
        if self.deferral is None:
            return None
        if proposal.confidence is None:
            raise UncalibratedError(
                f"expected a confidence of each plan in {self.domain}, got none from the weights {proposal.weight_version}; "
                "fit one with `python -m builderbrain.eval deferral --save FOLDER`",
                field="confidence",
            )
        version = proposal.weight_version
        return self.deferral.judge(self.domain, proposal.confidence, weight_version=version, features=proposal.features)

    async def _ask(
        self,
        goal: str,
        plan: Plan,
        proposal: PlanProposal,
        judged: Deferral,
        foreseen: tuple[Disagreement, ...] | None,
        *,
        dry_run: bool,
    ) -> GoalResult:
        """Ask a person instead of running the plan, after a lookup where that is worth its cost."""
        lookup: Lookup | None = None
        trace: tuple[TraceEntry, ...] = ()
        if self.lookups is not None:
            lookup = await anyio.to_thread.run_sync(weigh_lookup, self.lookups, self.domain, goal, plan)
        if lookup is not None and lookup.step is not None and not dry_run:
            first = replace(lookup.step, id="s1")
            only = checked(Plan(plan.domain, plan.version, (first,)), granted=self.granted & READ_ONLY)
            trace = await execute_async(only, self.root)
        return GoalResult(
            answer=compose_offer(
                judged.offer or "escalate", goal, plan, alternatives=self._sound(proposal.alternatives), looked_up=trace
            ),
            plan=plan,
            verdict=Verdict(True, ()),
            trace=trace,
            weight_version=proposal.weight_version,
            disagreements=foreseen,
            deferral=judged,
            lookup=lookup,
        )

    def _sound(self, texts: tuple[str, ...]) -> list[Plan]:
        """Those of some plans that may be run."""
        found = []
        for text in texts:
            with suppress(PlanSyntaxError, PlanRejectedError):
                found.append(checked(parse_text(text, domain=self.domain, version=self.version), granted=self.granted).plan)
        return found

    def _parse(self, proposal: PlanProposal) -> Plan:
        if proposal.finish_reason == "length":
            raise PlanSyntaxError("the plan was cut off at the token limit before it was whole", field="plan")
        return parse_text(proposal.text, domain=self.domain, version=self.version)


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


def _refused(verdict: Verdict, plan: Plan | None, proposal: PlanProposal) -> GoalResult:
    return GoalResult(
        answer=compose_refusal(verdict), plan=plan, verdict=verdict, trace=(), weight_version=proposal.weight_version
    )
