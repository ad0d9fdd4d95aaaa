"""Whether a plan is sure enough to be run, and what its goal gets when it is not: a question, after a lookup worth its cost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import anyio.to_thread

from builderbrain.agent.deferring import compose_offer
from builderbrain.agent.domain_runtime import DomainRuntime
from builderbrain.agent.lookup import Lookup, LookupGate, weigh_lookup
from builderbrain.agent.proposal import PlanProposal
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import PlanRuns
from builderbrain.agent.trace import TraceEntry
from builderbrain.deferral import Deferral, DeferralPolicy
from builderbrain.errors import PlanRejectedError, PlanSyntaxError, UncalibratedError
from builderbrain.plan import READ_ONLY, Plan, checked


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The question, and the trace of the lookup that was made before it, if one was."""

    answer: str
    trace: tuple[TraceEntry, ...]
    lookup: Lookup | None


class Sureness:
    """Judges the plans of one domain.

    Args:
        policy: says which plans are sure enough; None runs every sound one.
        lookups: says whether to look something up before a person is asked.
    """

    def __init__(self, home: DomainRuntime, runs: PlanRuns, policy: DeferralPolicy | None, lookups: LookupGate | None) -> None:
        self._home, self._runs = home, runs
        self._policy, self._lookups = policy, lookups

    def judge(self, proposal: PlanProposal) -> Deferral | None:
        """The verdict on a proposal; None where nobody asks for one.

        Raises:
            UncalibratedError: the proposal has no confidence.
        """
        if self._policy is None:
            return None
        name, version = self._home.domain.name, proposal.weight_version
        if proposal.confidence is None:
            raise UncalibratedError(
                f"expected a confidence of each plan in {name}, got none from the weights {version}; "
                "fit one with `python -m builderbrain.eval deferral --save FOLDER`",
                field="confidence",
            )
        return self._policy.judge(name, proposal.confidence, weight_version=version, features=proposal.features)

    async def ask(self, goal: str, plan: Plan, proposal: PlanProposal, judged: Deferral, *, dry_run: bool) -> Asked:
        """Ask a person instead of running the plan."""
        lookup: Lookup | None = None
        trace: tuple[TraceEntry, ...] = ()
        if self._lookups is not None:
            lookup = await anyio.to_thread.run_sync(weigh_lookup, self._lookups, self._home.domain.name, goal, plan)
        if lookup is not None and lookup.step is not None and not dry_run:
            first = replace(lookup.step, id="s1")
            only = checked(Plan(plan.domain, plan.version, (first,)), granted=self._home.granted & READ_ONLY)
            outcome = await self._runs.run(only, self._home.root, home=self._home)
            trace = outcome.entries if isinstance(outcome, ExecutionReport) else ()
        offer = judged.offer or "escalate"
        answer = compose_offer(offer, goal, plan, alternatives=self._sound(proposal.alternatives), looked_up=trace)
        return Asked(answer=answer, trace=trace, lookup=lookup)

    def _sound(self, texts: tuple[str, ...]) -> list[Plan]:
        """Those of some plans that may be run."""
        found = []
        for text in texts:
            with suppress(PlanSyntaxError, PlanRejectedError):
                found.append(self._home.check(text).plan)
        return found
