"""Faults of a plan: a code, the step, what is wrong, and what would be legal.

Every constructor is called on the refusing path only, so it may take its time to name the nearest legal thing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from builderbrain.plan.model import Reference

FAULT_CODES = (
    "malformed",
    "unknown_domain",
    "unknown_version",
    "empty_plan",
    "duplicate_id",
    "bad_id",
    "unknown_skill",
    "unknown_argument",
    "missing_argument",
    "ill_typed_argument",
    "bad_value",
    "path_escape",
    "bad_reference",
    "dangling_reference",
    "unknown_result",
    "ill_typed_reference",
    "dangling_need",
    "order",
    "cycle",
    "illegal_edge",
    "bad_condition",
    "too_many_steps",
    "too_deep",
    "too_wide",
    "safety_not_granted",
    "precondition",
    "lock_conflict",
    "over_budget",
    "irreversible_order",
)

EFFECT_CODES = frozenset({"precondition", "lock_conflict", "over_budget", "irreversible_order"})
"""Faults in what steps do to one another; asked for only where every step could be read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason to refuse a plan. `step` is the id of the step at fault, None for the plan as a whole."""

    code: str
    step: str | None
    message: str
    remedy: str

    def to_json(self) -> dict[str, str | None]:
        """The shape of the HTTP reply."""
        return {"code": self.code, "step": self.step, "message": self.message, "remedy": self.remedy}

    def __str__(self) -> str:
        place = f"{self.step}: " if self.step else ""
        return f"{self.code}: {place}{self.message}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checker says: accepted exactly when there is no fault.

    `confirm` are the ids of the steps that a person must confirm before the plan runs; empty for a refused plan.
    """

    accepted: bool
    faults: tuple[Fault, ...]
    confirm: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`{"accepted", "faults": [{"code", "step", "message", "remedy"}], "confirm": [step]}`."""
        faults = [fault.to_json() for fault in self.faults]
        return {"accepted": self.accepted, "faults": faults, "confirm": list(self.confirm)}


def quoted(names: Iterable[str]) -> str:
    """`a, b or c`, for remedies."""
    listed = list(names)
    if len(listed) < 2:
        return "".join(listed) or "nothing"
    return f"{', '.join(listed[:-1])} or {listed[-1]}"


def nearest(name: object, legal: Iterable[str]) -> str:
    """`use a, b or c`, led by the name that is spelled most alike."""
    listed = list(legal)
    close = difflib.get_close_matches(str(name)[:64], listed, n=1, cutoff=0.6)
    return f"did you mean {close[0]}? Legal: {quoted(listed)}" if close else f"use {quoted(listed)}"


def shown(value: object) -> str:
    """A value in a message, bounded in length."""
    text = f"${{{value}}}" if isinstance(value, Reference) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def unknown_skill(step: str, skill: object, legal: Iterable[str]) -> Fault:
    return Fault("unknown_skill", step, f"there is no skill {shown(skill)}", nearest(skill, legal))


def unknown_argument(step: str, skill: str, name: object, legal: Iterable[str]) -> Fault:
    return Fault("unknown_argument", step, f"{skill} has no argument {shown(name)}", nearest(name, legal))


def missing_argument(step: str, skill: str, name: str, kind: str) -> Fault:
    return Fault("missing_argument", step, f"{skill} needs the argument {name}", f"give {name}, a {kind} or a reference to one")


def ill_typed_argument(step: str, name: str, kind: str, value: object) -> Fault:
    message = f"{name} must be a {kind}, got {type(value).__name__} {shown(value)}"
    return Fault("ill_typed_argument", step, message, f"give a {kind}, or a reference to a result of that type")


def literal_argument(step: str, name: str, kind: str, value: object) -> Fault:
    message = f"{name} takes no literal, got {shown(value)}"
    return Fault("bad_value", step, message, f"refer to a result of an earlier step that is a {kind}")


def bad_value(step: str, name: str, value: object, reason: str, remedy: str) -> Fault:
    return Fault("bad_value", step, f"{name} {reason}, got {shown(value)}", remedy)


def path_escape(step: str, name: str, value: object, reason: str) -> Fault:
    message = f"{name} {shown(value)} {reason}"
    return Fault("path_escape", step, message, "name a file or folder relative to the working root, such as docs/guide.md")


def dangling_reference(step: str, where: str, reference: Reference, earlier: Iterable[str]) -> Fault:
    message = f"{where} refers to {reference}, but the plan has no step {shown(reference.step)}"
    return Fault("dangling_reference", step, message, f"refer to {quoted(earlier)}")


def unknown_result(step: str, where: str, reference: Reference, skill: str, results: Iterable[str]) -> Fault:
    message = f"{where} refers to {reference}, but {skill} gives no result {shown(reference.result)}"
    return Fault("unknown_result", step, message, nearest(reference.result, results))


def ill_typed_reference(step: str, where: str, reference: Reference, wanted: str, got: str, legal: Iterable[str]) -> Fault:
    message = f"{where} must be a {wanted}, but {reference} is a {got}"
    return Fault("ill_typed_reference", step, message, f"refer to a result of type {wanted}: {quoted(legal)}")


def illegal_edge(step: str, kind: str, needed: str, needed_skill: str, skill: str, legal: Iterable[str]) -> Fault:
    message = f"a {kind} edge from {needed_skill} ({needed}) to {skill} is not legal"
    return Fault("illegal_edge", step, message, f"{kind} edges into {skill} may come from {quoted(legal)}")


def text_fault(text: str) -> str | None:
    """Why no tool can be given this text (NUL, lone surrogates), or None."""
    if text.isascii():
        return "holds a NUL character" if "\0" in text else None
    if "\0" in text:
        return "holds a NUL character"
    return "holds half a character (a lone surrogate)" if any(0xD800 <= ord(character) < 0xE000 for character in text) else None
