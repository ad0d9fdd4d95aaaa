"""A goal from its text to its answer. The model is a function that proposes a plan, so that this module knows no tensors."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.to_thread

from builderbrain.agent.answer import compose_answer, compose_dry_run, compose_refusal
from builderbrain.agent.executor import WorkingRoot, execute_async
from builderbrain.agent.trace import TraceEntry
from builderbrain.errors import InvalidRequestError, PlanRejectedError, PlanSyntaxError
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
    """

    text: str
    weight_version: str
    finish_reason: Literal["stop", "length"] = "stop"
    skeleton: Skeleton | None = None


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """What became of a goal. `plan` is None when the proposal does not parse; `trace` is empty when nothing was run.

    `disagreements` says where an accepted plan leaves the call graph that the model foresaw; None when it foresaw none. They
    are reported and stop nothing: the checker alone decides what may run.
    """

    answer: str
    plan: Plan | None
    verdict: Verdict
    trace: tuple[TraceEntry, ...]
    weight_version: str
    disagreements: tuple[Disagreement, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The reply of `POST /v1/goals`; `disagreements` stands in it only where a call graph was foreseen."""
        told = {} if self.disagreements is None else {"disagreements": [one.to_json() for one in self.disagreements]}
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
        domain, version: what the proposals are written in; by default the version in use.
    """

    def __init__(
        self,
        plan_source: PlanSource,
        root: WorkingRoot,
        *,
        granted: Set[str] = READ_ONLY,
        domain: str = "repo_assistant",
        version: int | None = None,
    ) -> None:
        self.plan_source = plan_source
        self.root = root
        self.granted = granted
        self.domain = domain
        self.version = version

    def run(self, goal: str, dry_run: bool = False) -> GoalResult:
        """`run_async` for callers without an event loop (from a thread that runs none)."""
        return anyio.run(self.run_async, goal, dry_run)

    async def run_async(self, goal: str, dry_run: bool = False) -> GoalResult:
        """Propose, check, run, answer. A refused plan is a result, not an error.

        Args:
            dry_run: check only; nothing is run.

        Raises:
            InvalidRequestError: the goal is empty or too long.
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
        trace = () if dry_run else await execute_async(accepted, self.root)
        return GoalResult(
            answer=compose_dry_run(accepted.plan) if dry_run else compose_answer(trace),
            plan=accepted.plan,
            verdict=Verdict(True, ()),
            trace=trace,
            weight_version=proposal.weight_version,
            disagreements=None if proposal.skeleton is None else disagreements(accepted.plan, proposal.skeleton),
        )

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
