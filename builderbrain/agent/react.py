"""Reason, act, observe: plans for one goal, each made knowing what those before saw, until nothing is open or a bound is hit.

    plan (checked, repaired) --> run --> what was seen goes into the next request, as data --> ...

What tools gave never widens what may be done: from the second round on, a plan with effects waits for a person's yes, whatever
the schema says of its steps. A bound that is hit ends the loop with what is there, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio

from builderbrain.agent.answer import compose_answer, compose_refusal
from builderbrain.agent.domain_runtime import DomainRuntime
from builderbrain.agent.executor import WorkingRoot, plan_has_effects
from builderbrain.agent.goal import check_goal
from builderbrain.agent.observation import known_values, observations
from builderbrain.agent.planning import Planned, Planner
from builderbrain.agent.proposal import PlanRequest
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import Pending, PlanRuns
from builderbrain.agent.trace import TraceEntry
from builderbrain.errors import BuilderBrainError, ContextLengthError
from builderbrain.plan import CheckedPlan, plan_to_json
from builderbrain.plan.domain import OK_RESULT

Ending = Literal[
    "done",  # nothing is open, or the model proposes nothing more
    "repeated",  # the model proposes what was done before
    "refused",  # no plan was accepted
    "stopped",  # a critical step failed, or an effect is unknown
    "failed",  # a later plan could not be made or run
    "pending",  # a plan waits for a person's yes
    "rounds",  # the bounds, each with what was done by then
    "steps",
    "tokens",
    "time",
]
_ENDINGS: dict[Ending, str] = {
    "repeated": "What is open stays open: no other plan was found.",
    "refused": "No further plan was accepted.",
    "stopped": "The plan stopped, so nothing more was done.",
    "failed": "A further plan could not be made or run.",
    "pending": "A further plan waits for a person's yes.",
    "rounds": "Stopped at the limit on plans; above is how far it came.",
    "steps": "Stopped at the limit on steps; above is how far it came.",
    "tokens": "Stopped at the limit on tokens; above is how far it came.",
    "time": "Stopped at the limit on time; above is how far it came.",
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Of one goal: plans, steps that run, tokens of all proposals, seconds."""

    rounds: int = 4
    steps: int = 32
    tokens: int = 2_048
    seconds: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Round:
    """One plan. `report` is None when it was not run to its end: refused, waiting, repeated or cut off."""

    planned: Planned
    report: ExecutionReport | None
    observations: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a reply."""
        plan = self.planned.plan
        return {
            "plan": None if plan is None else plan_to_json(plan),
            "verdict": self.planned.verdict.to_json(),
            "repair": None if self.planned.repair is None else self.planned.repair.to_json(),
            "fallback": [step.to_json() for step in self.planned.tried],
            "execution": None if self.report is None else self.report.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """What became of a goal: every round in order, why it ended, and the answer made of what was done."""

    answer: str
    ended: Ending
    rounds: tuple[Round, ...]
    tokens: int
    pending: Pending | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is open."""
        return self.ended == "done"

    def to_json(self) -> dict[str, Any]:
        """For a reply."""
        return {
            "answer": self.answer,
            "ended": self.ended,
            "complete": self.complete,
            "tokens": self.tokens,
            "rounds": [one.to_json() for one in self.rounds],
            "confirmation": None if self.pending is None else self.pending.to_json(),
        }


GoesOn = Callable[[ExecutionReport, Sequence[TraceEntry]], bool]
"""Whether another plan is wanted after an execution; given what ran in the rounds before it."""


def leaves_something_open(report: ExecutionReport, earlier: Sequence[TraceEntry]) -> bool:
    """After the first plan: whether a step was not done (but for those whose own `if` was false), or found nothing.

    A later plan is there to make that good: something is open until a step that was not there before gave something.
    """
    if not earlier:
        return any(entry.status not in ("done", "skipped") or _gave_nothing(entry) for entry in report.entries)
    tried = [(entry.skill, dict(entry.args)) for entry in earlier]
    new = [entry for entry in report.entries if (entry.skill, dict(entry.args)) not in tried]
    return not any(entry.ok and not _gave_nothing(entry) for entry in new)


def _gave_nothing(entry: TraceEntry) -> bool:
    """Whether all that a step gave is null, zero or empty; its text, which may say just that, counts where nothing else is."""
    given = {name: value for name, value in (entry.output or {}).items() if name != OK_RESULT}
    facts = {name: value for name, value in given.items() if name != "text"} or given
    return entry.status == "done" and bool(facts) and not any(facts.values())


class ReActLoop:
    """Works on goals of one domain below one root.

    Args:
        home: the domain with the world that all plans of a goal act on; by default each plan has what `PlanRuns.home` gives.
        goes_on: whether another plan is wanted after an execution.
    """

    def __init__(
        self,
        planner: Planner,
        runs: PlanRuns,
        root: WorkingRoot,
        *,
        home: DomainRuntime | None = None,
        bounds: Bounds | None = None,
        goes_on: GoesOn = leaves_something_open,
    ) -> None:
        self._planner = planner
        self._runs = runs
        self._root = root
        self._home = home
        self._bounds = bounds if bounds is not None else Bounds()
        self._goes_on = goes_on

    async def run(self, goal: str) -> LoopResult:
        """Plan and run until nothing is open or a bound is hit.

        Raises:
            InvalidRequestError: the goal is empty or too long.
            and what making and running the first plan raises. What a later one raises ends the loop as `failed`, and as
            `tokens` where what was seen leaves no room for a plan, so that what was done by then is told.
        """
        check_goal(goal)
        state = _State(ends=self._runs.runtime.clock.monotonic() + self._bounds.seconds)
        ended: Ending | None = None
        while ended is None:
            try:
                ended = await self._round(goal, state)
            except BuilderBrainError as error:
                if not state.rounds:
                    raise
                ended = "tokens" if isinstance(error, ContextLengthError) else "failed"
                state.failure = error.message if ended == "failed" else ""
        return LoopResult(
            answer=" ".join(part for part in (_answer(state.rounds, ended), state.failure) if part),
            ended=ended,
            rounds=tuple(state.rounds),
            tokens=state.tokens,
            pending=state.pending,
        )

    async def _round(self, goal: str, state: _State) -> Ending | None:
        """One plan; why it is the last, or None."""
        if len(state.rounds) >= self._bounds.rounds:
            return "rounds"
        left = self._bounds.tokens - state.tokens
        if left <= 0:
            return "tokens"
        if self._seconds_left(state) <= 0:
            return "time"
        seen = tuple(line for one in state.rounds for line in one.observations)
        planned: Planned | None = None
        with anyio.move_on_after(self._seconds_left(state)):
            request = PlanRequest(goal=goal, observations=seen, max_tokens=left)
            planned = await self._planner.plan(request, known=known_values(state.entries, self._planner.domain))
        if planned is None:
            return "time"
        state.tokens += planned.tokens
        if planned.checked is None:
            if planned.proposal is not None and not planned.proposal.text:
                return "done"
            state.rounds.append(Round(planned=planned, report=None))
            cut = planned.proposal is not None and planned.proposal.finish_reason == "length"
            return "tokens" if cut and state.tokens >= self._bounds.tokens else "refused"
        if any(planned.plan == one.planned.plan for one in state.rounds):
            return "repeated"
        if state.steps + len(planned.checked.plan.steps) > self._bounds.steps:
            state.rounds.append(Round(planned=planned, report=None))
            return "steps"
        return await self._act(planned, planned.checked, state)

    async def _act(self, planned: Planned, plan: CheckedPlan, state: _State) -> Ending | None:
        """Run a plan. One that only looks is cut off when the time is over; one with effects comes to its end."""
        acts = plan_has_effects(plan.plan, plan.domain)
        outcome: ExecutionReport | Pending | None = None
        with anyio.move_on_after(None if acts else self._seconds_left(state)):
            outcome = await self._runs.run(plan, self._root, home=self._home, review=acts and bool(state.rounds))
        if isinstance(outcome, Pending) or outcome is None:
            state.pending = outcome
            state.rounds.append(Round(planned=planned, report=None))
            return "time" if outcome is None else "pending"
        earlier = state.entries
        state.steps += len(outcome.entries)
        state.rounds.append(Round(planned=planned, report=outcome, observations=observations(outcome.entries)))
        if outcome.status != "finished":
            return "stopped"
        if not self._goes_on(outcome, earlier):
            return "done"
        return None

    def _seconds_left(self, state: _State) -> float:
        return max(0.0, state.ends - self._runs.runtime.clock.monotonic())


@dataclass
class _State:
    """Of one goal while it is worked on."""

    ends: float
    rounds: list[Round] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0
    pending: Pending | None = None
    failure: str = ""

    @property
    def entries(self) -> list[TraceEntry]:
        """What ran so far."""
        return [entry for one in self.rounds if one.report is not None for entry in one.report.entries]


def _answer(rounds: list[Round], ended: Ending) -> str:
    """What was done, round by round, and how it ended. Nothing is made up."""
    parts = [compose_answer(one.report.entries) for one in rounds if one.report is not None]
    if not parts and rounds and rounds[-1].planned.checked is None:
        parts = [compose_refusal(rounds[-1].planned.verdict)]
    if ended in _ENDINGS:
        parts.append(_ENDINGS[ended])
    return "\n\n".join(part for part in parts if part) or "There is nothing to do."
