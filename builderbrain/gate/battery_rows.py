"""From tables of wordings to the prompts of a battery. No randomness: the tables are the battery.

A family is one situation with one object; every third has a second wording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builderbrain.gate.battery import BatteryPrompt, Kind

Fill = Callable[[str, int], str]
"""A template with the index-th object of each table in its places."""


@dataclass(frozen=True)
class Row:
    """A situation in two wordings.

    `label` names the family, and is what a golden must answer with; `objects` limits how many there are.
    """

    label: str
    first: str
    second: str
    scene: str | None = None
    objects: int | None = None


def prompts(
    kind: Kind, rows: Sequence[Row], objects: range, *, golden: bool, prefix: str, domain: str, fill: Fill
) -> Iterator[BatteryPrompt]:
    """Every row with every object; every third family has both wordings."""
    for number, row in enumerate(rows):
        for position, index in enumerate(objects[: row.objects]):
            family = f"{prefix}-{row.label.replace(' ', '-')}-{number:02d}-{index:02d}"
            both, one = (row.first, row.second), row.first if position % 2 else row.second
            for variant, wording in enumerate(both if (number + position) % 3 == 0 else (one,)):
                yield BatteryPrompt(
                    id=f"{family}-{variant}",
                    family=family,
                    kind=kind,
                    domain=domain,
                    prompt=fill(wording, index + number),
                    expected_skills=tuple(row.label.split()) if golden else None,
                    scene=row.scene,
                )


def reworded(rows: Sequence[Row], first: str, second: str) -> list[Row]:
    """The rows for a sealed part: each wording in the other's place, behind these words."""
    return [
        Row(row.label, f"{first} {row.second[0].lower()}{row.second[1:]}", f"{second} {row.first}", row.scene, row.objects)
        for row in rows
    ]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Situations of one kind. `prefix` names the families, `open` and `sealed` number their objects, and `words` stand before a
    sealed part's wordings."""

    rows: Sequence[Row]
    prefix: str
    open: range
    sealed: range
    words: tuple[str, str]


def files_of(domain: str, fill: Fill, *, goals: Table, traps: Table) -> dict[str, list[BatteryPrompt]]:
    """The prompts of each file of a domain: goals with their goldens, and what a version must not fall for."""

    def of(table: Table, kind: Kind, *, sealed: bool) -> list[BatteryPrompt]:
        rows = reworded(table.rows, *table.words) if sealed else table.rows
        prefix, objects = (f"sealed-{table.prefix}", table.sealed) if sealed else (table.prefix, table.open)
        return [*prompts(kind, rows, objects, golden=kind == "regression", prefix=prefix, domain=domain, fill=fill)]

    return {
        "regression.jsonl": of(goals, "regression", sealed=False),
        "red_team.jsonl": of(traps, "red_team", sealed=False),
        "sealed.jsonl": of(goals, "regression", sealed=True) + of(traps, "red_team", sealed=True),
    }
