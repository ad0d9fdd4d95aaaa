"""One call of a skill seen through: resources held, breaker asked, repeated where that is right, every attempt told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import anyio

from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.clock import Clock
from builderbrain.agent.journal import Journal
from builderbrain.agent.locks import ResourceLocks
from builderbrain.agent.result_cache import Found, ResultCache
from builderbrain.agent.retries import has_effects, may_repeat, wait_before
from builderbrain.agent.tool_call import Call, Failure, ToolCaller
from builderbrain.errors import BuilderBrainError, ToolCoolingDownError, ToolError
from builderbrain.plan.domain import Domain, Skill

__all__ = ["Attempts", "Claim", "Failure", "Outcome", "failure_of"]

Claim = Callable[[], Awaitable[str]]
"""Claims the effect in the ledger and gives its idempotency key."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a skill. `attempts` is how often its tool was called; `uncertain` that an effect may have happened.

    `details` is what a tool that failed left for its fallback; `age_seconds` how old results are that no call was made for."""

    status: Literal["done", "failed", "unknown"]
    results: Mapping[str, Any] | None = None
    error: str | None = None
    error_code: str | None = None
    seconds: float = 0.0
    attempts: int = 0
    uncertain: bool = False
    details: Mapping[str, Any] | None = None
    age_seconds: float | None = None


class Attempts:
    """Calls skills of one plan.

    Args:
        width: how many tools run at the same time at most.
        results: what is kept of earlier calls, or None.
        asker: whoever results are kept for; None keeps and takes none.
    """

    def __init__(
        self,
        caller: ToolCaller,
        domain: Domain,
        *,
        locks: ResourceLocks,
        breakers: ToolBreakers,
        clock: Clock,
        journal: Journal,
        width: int,
        results: ResultCache | None = None,
        asker: str | None = None,
    ) -> None:
        self.caller = caller
        self._domain = domain
        self._locks = locks
        self._breakers = breakers
        self._clock = clock
        self._journal = journal
        self._slots = anyio.CapacityLimiter(width)
        self._results = results
        self._asker = asker

    async def run(
        self,
        step: str,
        role: str,
        skill: Skill,
        arguments: Mapping[str, Any],
        *,
        claim: Claim | None = None,
        failure: Failure | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Call a skill until it succeeds, fails for good, or `given_up` says so before a repetition.

        Args:
            claim: awaited once, just before the tool is called for the first time.
            failure: what the skill is the fallback for.
        """
        made = partial(self._made, step, role, skill, arguments, claim, failure, given_up)
        if self._results is None:
            return await made()
        if has_effects(skill):
            with self._results.changing(self._domain.name, self.caller.folder):
                return await made()
        key = None if failure is not None else self._key(skill, arguments)
        if key is None or skill.cache_seconds is None:
            return await made()

        async def call() -> tuple[Outcome, Mapping[str, Any] | None]:
            outcome = await made()
            return outcome, outcome.results if outcome.status == "done" else None

        found = await self._results.through(key, self._domain.name, skill.cache_seconds, call)
        return self._taken(step, role, skill, arguments, found) if isinstance(found, Found) else found

    def _key(self, skill: Skill, arguments: Mapping[str, Any]) -> str | None:
        if self._results is None or self._asker is None:
            return None
        caller = self.caller
        return self._results.key(
            self._domain,
            skill,
            arguments,
            root=caller.folder,
            state=caller.state,
            source=caller.source(skill),
            asker=self._asker,
        )

    def _taken(self, step: str, role: str, skill: Skill, arguments: Mapping[str, Any], found: Found) -> Outcome:
        """The outcome of a step for which no call was made."""
        whose = "a result that is kept" if found.how == "kept" else "the result of an equal call that was under way"
        self._journal.note(
            "cached",
            step,
            f"{step} ({skill.name}) takes {whose}, {found.age_seconds:.3f} s old",
            skill=skill.name,
            role=role,
            input=dict(arguments),
            output=dict(found.results),
            age_seconds=round(found.age_seconds, 6),
            how=found.how,
            verdict="done",
        )
        return Outcome(status="done", results=found.results, age_seconds=found.age_seconds)

    async def _made(
        self,
        step: str,
        role: str,
        skill: Skill,
        arguments: Mapping[str, Any],
        claim: Claim | None,
        failure: Failure | None,
        given_up: Callable[[], bool],
    ) -> Outcome:
        key: str | None = None
        seconds = 0.0
        attempt = 1
        while True:
            async with self._resources(step, skill), self._slots:
                with self._breakers.admit(skill.name) as admission:
                    if admission.refusal is not None:
                        return self._refused(step, role, skill, admission.refusal, seconds, attempt - 1)
                    if key is None and claim is not None:
                        key = await claim()
                    call = await self._call(step, role, skill, arguments, key, attempt, failure)
                    admission.faulty = call.faulty
            seconds += call.seconds
            if call.error is None:
                return Outcome(status="done", results=call.results, seconds=seconds, attempts=attempt)
            if not may_repeat(skill, attempt, call.error) or given_up():
                return _failed(call.error, seconds, attempt, uncertain=call.uncertain)
            attempt += 1
            pause = wait_before(skill, attempt)
            said = f"{step} ({skill.name}) waits {pause:g} s before attempt {attempt} of {skill.retry_attempts}"
            self._journal.note("wait", step, said, skill=skill.name, seconds=pause, reason=call.error.message)
            await self._clock.sleep(pause)

    def _refused(self, step: str, role: str, skill: Skill, refusal: str, seconds: float, attempts: int) -> Outcome:
        error = ToolCoolingDownError(f"{skill.name} is not called: {refusal}")
        self._journal.note("breaker", step, f"{step}: {error.message}", skill=skill.name, role=role)
        return _failed(error, seconds, attempts)

    async def _call(
        self,
        step: str,
        role: str,
        skill: Skill,
        arguments: Mapping[str, Any],
        key: str | None,
        attempt: int,
        failure: Failure | None,
    ) -> Call:
        call = await self.caller.call(skill, arguments, key=key, attempt=attempt, failure=failure)
        verdict = "done" if call.error is None else "failed"
        reason = "" if call.error is None else f": {call.error.message}"
        self._journal.note(
            "attempt",
            step,
            f"{step} ({skill.name}) {'succeeded' if call.error is None else 'failed'} after {call.seconds:.3f} s{reason}",
            skill=skill.name,
            role=role,
            attempt=attempt,
            key=key,
            input=dict(arguments),
            output=None if call.results is None else dict(call.results),
            seconds=round(call.seconds, 6),
            verdict=verdict,
            error_code=None if call.error is None else call.error.code,
            **({} if call.error is None else call.error.classification.to_json()),
        )
        return call

    def _resources(self, step: str, skill: Skill) -> _Held:
        wanted = {
            (self._domain.name, name): self._domain.resources[name].capacity
            for name in skill.uses
            if not self._domain.resources[name].fixed_order
        }
        return _Held(self._locks, wanted, step, skill.name, self._journal, self._clock)


class _Held:
    """The resources of one call that any order may use, held inside the `with`; a wait for them is told."""

    def __init__(
        self,
        locks: ResourceLocks,
        wanted: Mapping[tuple[str, str], int],
        step: str,
        skill: str,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._manager = locks.hold(wanted)
        self._named = ", ".join(name for _, name in wanted)
        self._step, self._skill = step, skill
        self._journal, self._clock = journal, clock

    async def __aenter__(self) -> None:
        before = self._clock.monotonic()
        if await self._manager.__aenter__():
            seconds = self._clock.monotonic() - before
            said = f"{self._step} ({self._skill}) waited {seconds:.3f} s for {self._named}"
            self._journal.note("wait", self._step, said, skill=self._skill, seconds=round(seconds, 6), reason=self._named)

    async def __aexit__(self, *raised: Any) -> bool | None:
        return await self._manager.__aexit__(*raised)


def failure_of(step: str, skill: Skill, outcome: Outcome) -> Failure:
    """What a fallback is told of the step that it is called for."""
    return Failure(step=step, skill=skill.name, code=outcome.error_code, message=outcome.error or "", details=outcome.details)


def _failed(error: BuilderBrainError, seconds: float, attempts: int, *, uncertain: bool = False) -> Outcome:
    return Outcome(
        status="failed",
        error=error.message,
        error_code=error.code,
        seconds=seconds,
        attempts=attempts,
        uncertain=uncertain,
        details=error.details if isinstance(error, ToolError) else None,
    )
