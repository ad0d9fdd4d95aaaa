"""When the steps of a plan run: each as soon as what it needs is there, independent ones at the same time.

What a step waits on decides whether it runs:

- its `if` is evaluated on real results; false means `skipped`;
- a reference to a result that is not there (the step failed, did not run, or found none) means `blocked`;
- a mere `after` on a step that failed or was blocked means `blocked` too, unless the `if` asks about that step, which is how
  a plan handles a failure. After a step that was skipped, it runs;
- a fact that it requires and that does not hold any more, because of what steps did, means `blocked`;
- a fact that it requires and that the world has changed by itself means `failed`, before the tool is called: nothing else has
  dealt with that, so its fallback is run.

One step's failure never stops steps that do not need it, unless its skill is critical: then no further step starts, steps
without effects are cancelled, and those with effects are let end, so that it is known what they did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup

from builderbrain.agent.attempts import Attempts, Failure, Outcome, failure_of
from builderbrain.agent.effects import Effects
from builderbrain.agent.journal import Journal
from builderbrain.agent.ledger import LedgerEntry
from builderbrain.agent.policy import planned_arguments
from builderbrain.agent.report import Fallback
from builderbrain.agent.retries import has_effects
from builderbrain.agent.trace import Status, TraceEntry
from builderbrain.errors import BuilderBrainError
from builderbrain.plan import Reference, Step
from builderbrain.plan.condition import Condition, holds, parse_condition
from builderbrain.plan.domain import OK_RESULT, Domain, Skill

Observe = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Gives facts of the domain as the world is now: those that it can see."""

_UNSUCCESSFUL = ("failed", "blocked", "cancelled", "unknown")


class Schedule:
    """The steps of one execution: entries so far, and an event for each step that is set when its entry is there.

    Args:
        effects: has effects once and remembers outcomes; None in a plan that has none.
        waits: whether a step may start only when the whole plan is there.
        observe: looks at the world whose facts these are; None where it cannot be looked at.
    """

    def __init__(
        self,
        domain: Domain,
        attempts: Attempts,
        effects: Effects | None,
        journal: Journal,
        waits: Callable[[Step], bool],
        observe: Observe | None = None,
    ) -> None:
        self.entries: dict[str, TraceEntry] = {}
        self.fallbacks: list[Fallback] = []
        self.stopped: str | None = None
        self.broken: Exception | None = None
        self._domain = domain
        self._attempts = attempts
        self._effects = effects
        self._journal = journal
        self._waits = waits
        self._observe = observe
        self._whole = anyio.Event()
        self._finished: dict[str, anyio.Event] = {}
        self._scopes: set[anyio.CancelScope] = set()
        self._unrecorded: list[tuple[str, Skill, dict[str, Any], Outcome]] = []
        self._facts: dict[str, str | None] = {name: fact.initial for name, fact in domain.facts.items()}

    def start(self, steps: tuple[Step, ...], group: TaskGroup) -> None:
        """Start steps that come after all those that were started before."""
        for step in steps:
            self._finished[step.id] = anyio.Event()
        for step in steps:
            group.start_soon(self._guarded, step, group)

    async def open(self) -> None:
        """The whole plan is there, allowed and in the ledger: steps with effects may start."""
        while self._effects is not None and self._unrecorded:
            await self._effects.note_result(*self._unrecorded.pop(0))
        self._whole.set()

    def forget_effects(self) -> None:
        """The plan has no effects, so that nothing of it has to be remembered."""
        self._effects = None
        self._unrecorded.clear()

    def stop(self, reason: str) -> None:
        """Start no further step and cancel those without effects."""
        if self.stopped is None:
            self.stopped = reason
            self._journal.note("stopped", None, f"the plan stops: {reason}", reason=reason)
        for scope in self._scopes:
            scope.cancel()

    async def _guarded(self, step: Step, group: TaskGroup) -> None:
        try:
            await self._run(step)
        except BuilderBrainError as error:  # the ledger cannot be written: without it nothing may run
            self.broken = error
            group.cancel_scope.cancel()

    async def _run(self, step: Step) -> None:
        for name in step.needs:
            await self._finished[name].wait()
        if self._waits(step):
            await self._whole.wait()
        entry = await self._entry(step)
        if entry.status in ("skipped", "blocked", "cancelled"):
            said = f"{step.id} ({step.skill}) was {entry.status}: {entry.error}"
            self._journal.note("held_back", step.id, said, skill=step.skill, input=dict(entry.args), verdict=entry.status)
        self.entries[step.id] = entry
        self._finished[step.id].set()

    async def _entry(self, step: Step) -> TraceEntry:
        skill = self._domain.skills[step.skill]
        known = self._effects.known(step.id, "step") if self._effects is not None else None
        held_back = self._held_back(step, skill) if known is None else None
        if held_back is not None:
            return held_back
        arguments = dict(known.arguments) if known is not None else self._resolved(step, skill)
        lost = await self._lost(step, skill) if known is None else None
        if lost is not None:
            outcome = lost
            await self._remember(step, skill, arguments, lost)
        elif self._effects is not None and (has_effects(skill) or _ended(known)):
            outcome = await self._effects.perform(step.id, "step", skill, arguments, given_up=lambda: self.stopped is not None)
        else:
            looked = await self._look(step, skill, arguments)
            if looked is None:
                return _not_run(step, "cancelled", f"the plan stopped: {self.stopped}")
            outcome = looked
        self._set_facts(skill, outcome)
        if outcome.status != "done":
            if skill.critical:
                self.stop(f"{step.id} ({step.skill}) is critical and {_what(outcome)}: {outcome.error}")
            await self._fall_back(step, skill, failure_of(step.id, skill, outcome))
        return _entry(step, arguments, outcome)

    async def _look(self, step: Step, skill: Skill, arguments: dict[str, Any]) -> Outcome | None:
        """A step without effects; None when it was cancelled because the plan stops."""
        outcome: Outcome | None = None
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            outcome = await self._attempts.run(step.id, "step", skill, arguments, given_up=lambda: self.stopped is not None)
        self._scopes.discard(scope)
        if outcome is not None:
            await self._remember(step, skill, arguments, outcome)
        return outcome

    async def _remember(self, step: Step, skill: Skill, arguments: dict[str, Any], outcome: Outcome) -> None:
        """Keep an outcome without an effect for a restart, as soon as the plan is in the ledger."""
        if self._effects is None:
            return
        if self._whole.is_set():
            await self._effects.note_result(step.id, skill, arguments, outcome)
        else:
            self._unrecorded.append((step.id, skill, arguments, outcome))

    async def _fall_back(self, step: Step, skill: Skill, failure: Failure) -> None:
        """Run the fallback of a step, and where that fails for good, the fallback of the fallback, until one is done.

        A chain that was done before a restart stays as it is: what failed in it then is not tried again.
        """
        chain = self._domain.fallbacks(skill)
        roles = ["fallback", *(f"fallback of {name}" for name in chain[:-1])] if chain else []
        before = [self._effects.known(step.id, role) if self._effects is not None else None for role in roles]
        if any(entry is not None and entry.status == "done" for entry in before):
            for entry in before:
                if entry is not None:
                    ended = entry.status if entry.status == "done" or entry.status == "failed" else "unknown"
                    outcome = Outcome(status=ended, results=entry.results, error=entry.error)
                    self._fell_back(step, self._domain.skills[entry.skill], outcome)
            return
        failed = skill.name
        for name, role in zip(chain, roles, strict=True):
            self._journal.note("fallback", step.id, f"{step.id} ({failed}) failed for good: {name} is run instead", skill=name)
            fallback = self._domain.skills[name]
            outcome = await self._one_fallback(step, role, fallback, failure)
            self._fell_back(step, fallback, outcome)
            if outcome.status == "done":
                return
            failed = name

    async def _one_fallback(self, step: Step, role: str, fallback: Skill, failure: Failure) -> Outcome:
        arguments = {name: declared.default for name, declared in fallback.arguments.items() if declared.default is not None}
        if self._effects is not None and has_effects(fallback):
            await self._whole.wait()
            return await self._effects.perform(step.id, role, fallback, arguments, failure=failure)
        return await self._attempts.run(step.id, role, fallback, arguments, failure=failure)

    def _fell_back(self, step: Step, fallback: Skill, outcome: Outcome) -> None:
        """Note what a fallback came to; one that did not end well leaves the facts that it sets unknown."""
        self.fallbacks.append(
            Fallback(
                step=step.id, skill=fallback.name, status=outcome.status, error=outcome.error, results=outcome.results or {}
            )
        )
        self._set_facts(fallback, outcome)

    def _set_facts(self, skill: Skill, outcome: Outcome) -> None:
        for fact, value in skill.sets.items():
            self._facts[fact] = value if outcome.status == "done" else None

    def _held_back(self, step: Step, skill: Skill) -> TraceEntry | None:
        """The entry of a step that does not run, or None when it does."""
        if self.stopped is not None:
            return _not_run(step, "blocked", f"the plan stopped: {self.stopped}")
        condition = parse_condition(step.condition) if step.condition is not None else None
        handled = {term.reference.step for term in condition.terms} if condition is not None else set()
        for name in step.needs:
            if name not in handled and self.entries[name].status in _UNSUCCESSFUL:
                return _not_run(step, "blocked", f"{name} ({self.entries[name].skill}) did not succeed")
        if condition is not None and not self._holds(condition):
            return _not_run(step, "skipped", f"its condition, {condition}, does not hold")
        for value in step.args.values():
            if isinstance(value, Reference) and self._lookup(value) is None:
                return _not_run(step, "blocked", f"{self._why_missing(value)}, so there is no {value}")
        fault = _fact_fault(skill, self._facts)
        return None if fault is None else _not_run(step, "blocked", fault, code="precondition_lost")

    async def _lost(self, step: Step, skill: Skill) -> Outcome | None:
        """The failure of a step whose required facts the world has changed by itself; None when they hold."""
        if self._observe is None or not skill.requires:
            return None
        seen = await self._observe()
        fault = _fact_fault(skill, {**self._facts, **seen})
        if fault is None:
            return None
        self._facts.update({fact: value for fact, value in seen.items() if fact in self._facts})
        said = f"{step.id} ({step.skill}) was not started: {fault}, as the world is now"
        self._journal.note("precondition_lost", step.id, said, skill=step.skill, verdict="failed", facts=dict(seen))
        return Outcome(status="failed", error=f"{fault}, as the world is now", error_code="precondition_lost")

    def _holds(self, condition: Condition) -> bool:
        return holds(condition, self._lookup)

    def _lookup(self, reference: Reference) -> Any:
        entry = self.entries[reference.step]
        if reference.result == OK_RESULT:
            return entry.ok
        return entry.output.get(reference.result) if entry.output is not None else None

    def _why_missing(self, reference: Reference) -> str:
        entry = self.entries[reference.step]
        if entry.status == "done":
            return f"{entry.skill} found nothing"
        not_run = entry.status in ("skipped", "blocked", "cancelled")
        return f"{entry.id} ({entry.skill}) did not run" if not_run else f"{entry.id} failed"

    def _resolved(self, step: Step, skill: Skill) -> dict[str, Any]:
        """Arguments with references resolved and defaults filled in."""
        arguments: dict[str, Any] = {}
        for name, declared in skill.arguments.items():
            value = step.args.get(name, declared.default)
            if isinstance(value, Reference):
                value = self._lookup(value)
            if value is not None:
                arguments[name] = list(value) if isinstance(value, tuple) else value
        return arguments


def _entry(step: Step, arguments: dict[str, Any], outcome: Outcome) -> TraceEntry:
    done = outcome.status == "done"
    return TraceEntry(
        id=step.id,
        skill=step.skill,
        args=arguments,
        status=outcome.status,
        output={OK_RESULT: True, **(outcome.results or {})} if done else {OK_RESULT: False},
        seconds=outcome.seconds,
        error=outcome.error,
        error_code=outcome.error_code,
        attempts=outcome.attempts,
        age_seconds=outcome.age_seconds,
    )


def _not_run(step: Step, status: Status, reason: str, code: str | None = None) -> TraceEntry:
    planned = planned_arguments(step)
    return TraceEntry(
        id=step.id, skill=step.skill, args=planned, status=status, output=None, seconds=0.0, error=reason, error_code=code
    )


def _fact_fault(skill: Skill, facts: Mapping[str, str | None]) -> str | None:
    """Which fact has no value that the skill requires, in words; None when all have."""
    for fact, legal in skill.requires.items():
        if facts.get(fact) not in legal:
            return f"{fact} must be {' or '.join(sorted(legal))} and is {facts.get(fact) or 'unknown'}"
    return None


def _ended(known: LedgerEntry | None) -> bool:
    """Whether an earlier run of this execution saw the end of a step."""
    return known is not None and known.status != "claimed"


def _what(outcome: Outcome) -> str:
    return "failed" if outcome.status == "failed" else "may or may not have had its effect"
