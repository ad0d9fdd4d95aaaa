"""Effects happen at most once: claimed in the ledger before the tool is called, settled after a crash, never repeated blindly.

claimed --tool is back--> done | failed
        --it does not say what it did, or a crash--> ask it: done | not done (run again, same key) | unknown
unknown stays for a person, whatever happens
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio

from builderbrain.agent.attempts import Attempts, Outcome
from builderbrain.agent.journal import Journal
from builderbrain.agent.ledger import Ledger, LedgerEntry, Role, idempotency_key
from builderbrain.agent.retries import is_repeatable
from builderbrain.agent.tool_call import Failure, Settled
from builderbrain.plan.domain import Skill


class Effects:
    """Steps, undos and fallbacks with effects, of one execution.

    Args:
        known: what the ledger held of this execution when it was resumed.
    """

    def __init__(
        self, execution: str, ledger: Ledger, attempts: Attempts, journal: Journal, known: tuple[LedgerEntry, ...] = ()
    ) -> None:
        self._execution = execution
        self._ledger = ledger
        self._attempts = attempts
        self._journal = journal
        self._known = {(entry.step, entry.role): entry for entry in known}

    def known(self, step: str, role: Role) -> LedgerEntry | None:
        """What an earlier run of this execution left of a step, undo or fallback."""
        return self._known.get((step, role))

    async def perform(
        self,
        step: str,
        role: Role,
        skill: Skill,
        arguments: Mapping[str, Any],
        *,
        failure: Failure | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Have an effect, unless it was had before.

        A step that failed before a restart has failed; an undo or fallback that failed is tried again.
        """
        entry = self.known(step, role)
        again = False
        if entry is not None:
            if entry.status != "claimed" and not (entry.status == "failed" and role != "step"):
                return _as_before(entry)
            if entry.status == "claimed":
                settled = await self._settle_claim(entry, skill)
                if settled.verdict != "not_done":
                    return await self._settled(step, role, settled)
            again, arguments = True, entry.arguments
        claimed = False

        async def claim() -> str:
            nonlocal claimed
            key = await self._in_thread(partial(self._ledger.claim, again=again), step, role, skill.name, arguments)
            claimed = True
            return key

        outcome = await self._attempts.run(step, role, skill, arguments, claim=claim, failure=failure, given_up=given_up)
        with anyio.CancelScope(shield=True):  # the tool is back: that has to be known, whoever is cancelled
            if not claimed:
                await claim()
            elif outcome.uncertain:
                outcome = await self._certain(step, role, skill, arguments, outcome)
            await self._record(step, role, outcome)
        return outcome

    async def note_result(self, step: str, skill: Skill, arguments: Mapping[str, Any], outcome: Outcome) -> None:
        """Keep the outcome of a step without effects, so that a restart goes on from what was seen."""
        with anyio.CancelScope(shield=True):
            await self._in_thread(partial(self._ledger.claim, again=True), step, "step", skill.name, arguments)
            await self._record(step, "step", outcome)

    async def _settle_claim(self, entry: LedgerEntry, skill: Skill) -> Settled:
        """A claim that a crash left: ask the tool; where it cannot say, a repeatable skill is run again."""
        settled = await self._attempts.caller.settle(skill, entry.arguments, key=entry.key)
        if settled.verdict == "unknown" and is_repeatable(skill):
            settled = Settled(verdict="not_done", reason=f"{settled.reason}, but it may be repeated")
        self._tell(entry.step, entry.role, skill, settled)
        return settled

    async def _settled(self, step: str, role: Role, settled: Settled) -> Outcome:
        if settled.verdict == "done":
            outcome = Outcome(status="done", results=settled.results)
        else:
            outcome = Outcome(status="unknown", error=_unknown(settled.reason), error_code="unknown_effect")
        with anyio.CancelScope(shield=True):
            await self._record(step, role, outcome)
        return outcome

    async def _certain(self, step: str, role: Role, skill: Skill, arguments: Mapping[str, Any], outcome: Outcome) -> Outcome:
        """The outcome of a call after which an effect may have happened: the tool is asked."""
        key = idempotency_key(self._execution, step, role)
        settled = await self._attempts.caller.settle(skill, arguments, key=key)
        self._tell(step, role, skill, settled)
        if settled.verdict == "not_done":
            return outcome
        if settled.verdict == "done":
            return replace(outcome, status="done", results=settled.results, error=None, error_code=None)
        return replace(outcome, status="unknown", error=_unknown(f"{outcome.error}; {settled.reason}"))

    def _tell(self, step: str, role: Role, skill: Skill, settled: Settled) -> None:
        said = f"{step} ({skill.name}) was claimed and did not say what it did: {settled.reason}"
        self._journal.note("settled", step, said, skill=skill.name, role=role, verdict=settled.verdict)

    async def _record(self, step: str, role: Role, outcome: Outcome) -> None:
        record = partial(self._ledger.record, results=outcome.results, error=outcome.error, error_code=outcome.error_code)
        await self._in_thread(record, step, role, outcome.status)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(call, self._execution, *arguments)


def _as_before(entry: LedgerEntry) -> Outcome:
    status = "done" if entry.status in ("done", "undone") else entry.status
    return Outcome(
        status="unknown" if status == "unknown" else "done" if status == "done" else "failed",
        results=entry.results,
        error=entry.error,
        error_code=entry.error_code,
    )


def _unknown(reason: str) -> str:
    return f"{reason}; whether it had its effect is not known: look, and tell the ledger"
