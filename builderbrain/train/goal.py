"""A goal in words with what it means: what training rows are made of, in every domain."""

from __future__ import annotations

from dataclasses import dataclass, replace

NamedRange = tuple[int, int, str]
"""A half-open character range and what it is."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal in words and what it means.

    `plan` is the text form. `spans` holds per slot the half-open character range in `text`, or None; `clauses` such ranges with
    what each asks for, in the order of the plan's steps; `names` such ranges with the slot that each name
    fills. `pick` is the option of the domain's choice slot, when it has one: which result is opened. `environment` names the
    skin or layout it is told in, which its plan does not depend on.

    Where a clause may ask for several steps or none, `numbers` has the number of each of `clauses`, `step_numbers` that of the
    clause that each step of the plan belongs to, and `literals` are ranges of the plan with the names that they say again;
    empty `numbers` and `step_numbers` mean that clauses and steps count from 1 together, and that a literal is an argument that
    is called like a slot.
    """

    text: str
    plan: str
    intent: str
    actions: tuple[str, ...]
    spans: dict[str, tuple[int, int] | None]
    pick: str
    clauses: tuple[NamedRange, ...] = ()
    names: tuple[NamedRange, ...] = ()
    environment: str = "plain"
    numbers: tuple[int, ...] = ()
    step_numbers: tuple[int, ...] = ()
    literals: tuple[NamedRange, ...] = ()

    def token_ranges(self, slot: str) -> tuple[NamedRange, ...]:
        """Character ranges of the text with the option of a token slot that holds there; elsewhere none does."""
        if slot == "step":
            numbers = self.numbers or range(1, 1 + len(self.clauses))
            return tuple((start, end, str(number)) for number, (start, end, _) in zip(numbers, self.clauses, strict=True))
        return self.clauses if slot == "clause" else self.names

    def shifted(self, lead: str) -> Goal:
        """The same behind a lead."""
        by = len(lead)

        def moved(ranges: tuple[NamedRange, ...]) -> tuple[NamedRange, ...]:
            return tuple((start + by, end + by, name) for start, end, name in ranges)

        spans = {slot: None if span is None else (span[0] + by, span[1] + by) for slot, span in self.spans.items()}
        return replace(self, text=lead + self.text, spans=spans, clauses=moved(self.clauses), names=moved(self.names))
