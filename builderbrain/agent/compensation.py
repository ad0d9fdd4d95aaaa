"""Takes back what a stopped plan did, in reverse order, with ledger entries of its own.

A step is taken back after every step that needs it. Where an undo fails, the steps before it in that chain wait for the next
resume, and all others are taken back. What cannot be taken back, or is unknown, is said and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builderbrain.agent.effects import Effects
from builderbrain.agent.journal import Journal
from builderbrain.agent.ledger import LedgerEntry
from builderbrain.agent.retries import has_effects
from builderbrain.plan import Plan
from builderbrain.plan.domain import Domain, Skill

UndoStatus = Literal["undone", "irreversible", "nothing", "unknown", "failed", "waiting"]
"""`undone` was taken back; `irreversible` cannot be; `nothing` left nothing to take back; `unknown` the step or its undo may or
may not have had its effect; `failed` the undo failed; `waiting` for an undo that failed. The last three need a person or a
resume."""


@dataclass(frozen=True, kw_only=True)
class Undo:
    """What became of one step of a stopped plan. `skill` is the step's own."""

    step: str
    skill: str
    status: UndoStatus
    said: str

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in ("undone", "irreversible", "nothing")


async def compensate(
    plan: Plan, domain: Domain, effects: Effects, journal: Journal, entries: tuple[LedgerEntry, ...]
) -> tuple[Undo, ...]:
    """Take back the steps of a stopped plan; the last claimed first.

    Args:
        entries: what the ledger holds of the execution, in the order of the claims.
    """
    needed_by = _dependents(plan)
    undos: dict[str, Undo] = {}
    for entry in reversed([entry for entry in entries if entry.role == "step" and has_effects(domain.skills[entry.skill])]):
        if entry.status == "failed":
            continue  # it said that it changed nothing
        waits_for = next(
            (name for name in undos if undos[name].status in ("failed", "waiting") and name in needed_by[entry.step]), None
        )
        undo = await _take_back(entry, waits_for, domain, effects)
        undos[entry.step] = undo
        journal.note("undo", entry.step, undo.said, skill=entry.skill, verdict=undo.status, input=dict(entry.arguments))
    return tuple(undos.values())


async def _take_back(entry: LedgerEntry, waits_for: str | None, domain: Domain, effects: Effects) -> Undo:
    skill = domain.skills[entry.skill]
    named = f"{entry.step} ({entry.skill})"

    def made(status: UndoStatus, said: str) -> Undo:
        return Undo(step=entry.step, skill=entry.skill, status=status, said=said)

    if entry.status == "undone":
        return made("undone", f"{named} was taken back before")
    if entry.status in ("unknown", "claimed"):
        return made("unknown", f"{named} may or may not have had its effect; it is not taken back: look, and tell the ledger")
    if skill.irreversible:
        return made("irreversible", f"{named} was done and cannot be taken back")
    if skill.undo is None:
        return made("nothing", f"{named} left nothing to take back")
    if waits_for is not None:
        return made("waiting", f"{named} waits to be taken back until {waits_for} is")
    undo = domain.skills[skill.undo]
    outcome = await effects.perform(entry.step, "undo", undo, undo_arguments(undo, entry))
    if outcome.status == "done":
        return made("undone", f"{named} was taken back by {undo.name}")
    if outcome.status == "unknown":
        return made("unknown", f"whether {undo.name} took {named} back is not known: {outcome.error}")
    return made("failed", f"{undo.name} could not take {named} back: {outcome.error}; resume the execution to try again")


def undo_arguments(undo: Skill, entry: LedgerEntry) -> dict[str, Any]:
    """Arguments of an undo: the step's result of the same name, else its argument, else the default."""
    given: dict[str, Any] = {}
    for name, declared in undo.arguments.items():
        sources: tuple[Mapping[str, Any], ...] = (entry.results or {}, entry.arguments, {name: declared.default})
        value = next((source[name] for source in sources if source.get(name) is not None), None)
        if value is not None:
            given[name] = value
    return given


def _dependents(plan: Plan) -> dict[str, set[str]]:
    """By step, the steps that need it, directly or through others."""
    found: dict[str, set[str]] = {step.id: set() for step in plan.steps}
    for step in reversed(plan.steps):
        for name in step.needs:
            found[name] |= {step.id} | found[step.id]
    return found
