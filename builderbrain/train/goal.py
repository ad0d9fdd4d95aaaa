"""A goal in words with what it means: what training rows are made of, in every domain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal in words and what it means.

    `plan` is the text form. `spans` holds per slot the half-open character range in `text`, or None; `clauses` such ranges with
    what each asks for, in the order of the plan's steps; `names` such ranges with the slot that each name
    fills. `pick` is the option of the domain's choice slot, when it has one: which result is opened. `environment` names the
    skin or layout it is told in, which its plan does not depend on.
    """

    text: str
    plan: str
    intent: str
    actions: tuple[str, ...]
    spans: dict[str, tuple[int, int] | None]
    pick: str
    clauses: tuple[tuple[int, int, str], ...] = ()
    names: tuple[tuple[int, int, str], ...] = ()
    environment: str = "plain"

    def token_ranges(self, slot: str) -> tuple[tuple[int, int, str], ...]:
        """Character ranges of the text with the option of a token slot that holds there; elsewhere none does."""
        if slot == "step":
            return tuple((start, end, str(number)) for number, (start, end, _) in enumerate(self.clauses, 1))
        return self.clauses if slot == "clause" else self.names
