"""The skill book: which skills a rail has and had, and which row of its tensors each of them lives in.

An **id** is a name for ever: ids are given in order and never twice. A **row** is a place: of the adapters, and of the
router, whose row is the direction in which tokens are sent to the skill. A rail that nothing was done to has skill k in row k.

- a *live* skill answers in its row;
- a *merged* or *distilled* one has an heir: its row of the router stays open and leads to the heir, its adapters rest;
- a *retired* one has neither: its row is closed, and its tokens go where the router would have sent them next;
- a *withdrawn* one was born by an event that was taken back.

`resolve` follows heirs, so that old ids keep meaning what they meant, or its successor. Rows without an owner are free: a
later skill may be born there, under an id of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from builderbrain.errors import CheckpointError, SkillError
from builderbrain.rail.config import RailConfig

SkillState = Literal["live", "merged", "distilled", "retired", "withdrawn"]
HAS_HEIR = ("merged", "distilled")


@dataclass(frozen=True, kw_only=True)
class SkillRecord:
    """One skill. `version` counts the changes of its function by events, `born` is the step of its birth, `tokens` how many
    training tokens took it while they were counted. `row` is its row, None where it has none any more; `heir` the id that
    answers for it."""

    id: int
    name: str
    version: int = 1
    state: SkillState = "live"
    row: int | None = None
    heir: int | None = None
    parents: tuple[int, ...] = ()
    born: int = 0
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class SkillBook:
    """All records by id, for a rail with `adapters` rows of adapters K and `routes` rows of the router, at least as many.

    Raises:
        CheckpointError: the records contradict one another.
    """

    records: tuple[SkillRecord, ...]
    adapters: int
    routes: int
    pinned: int = 0

    def __post_init__(self) -> None:
        for number, record in enumerate(self.records):
            wrong = self._fault(number, record)
            if wrong:
                raise CheckpointError(f"skill book, skill {number}: {wrong}; use another copy of the rail", field="skills")
        rows = [record.row for record in self.records if record.row is not None]
        if len(rows) != len(set(rows)):
            raise CheckpointError("skill book: two skills own one row; use another copy of the rail", field="skills")
        if not self.live:
            raise CheckpointError("skill book: no skill is live; use another copy of the rail", field="skills")

    def _fault(self, number: int, record: SkillRecord) -> str | None:
        if record.id != number:
            return f"its id is {record.id}, and ids are counted from 0"
        if record.state not in get_args(SkillState):
            return f"its state is {record.state!r}, expected one of {', '.join(get_args(SkillState))}"
        if record.row is not None and not 0 <= record.row < (self.adapters if record.state == "live" else self.routes):
            return f"its row {record.row} does not exist"
        if (record.row is None) if record.state == "live" else (record.row is not None and record.state not in HAS_HEIR):
            return f"it is {record.state} and its row is {record.row}"
        if (record.heir is None) == (record.state in HAS_HEIR):
            return f"it is {record.state} and its heir is {record.heir}"
        if record.id < self.pinned and (record.state, record.row) != ("live", record.id):
            return f"it is pinned, so it stays live in row {record.id}, but is {record.state} in row {record.row}"
        seen = {number}
        while record.heir is not None:
            if not 0 <= record.heir < len(self.records):
                return f"its heir {record.heir} does not exist"
            if record.heir in seen:
                return "its heirs go in a circle"
            seen.add(record.heir)
            record = self.records[record.heir]
        return None

    @classmethod
    def of(cls, config: RailConfig, *, live: int | None = None) -> SkillBook:
        """The book of a new rail: skill k in row k, for the first `live` rows (None: all); the others are free."""
        count = config.num_skills if live is None else live
        names = [*config.pinned_skills, *(f"skill_{number}" for number in range(len(config.pinned_skills), count))]
        records = tuple(SkillRecord(id=number, name=name, row=number) for number, name in enumerate(names[:count]))
        return cls(records=records, adapters=config.num_skills, routes=config.num_routes, pinned=len(config.pinned_skills))

    # --- questions -----------------------------------------------------------------------------------------------------

    def __getitem__(self, skill: int) -> SkillRecord:
        """The record of an id.

        Raises:
            SkillError: no skill ever had it.
        """
        if not 0 <= skill < len(self.records):
            raise SkillError(f"expected a skill in 0..{len(self.records) - 1}, got {skill}", field="skill")
        return self.records[skill]

    @property
    def live(self) -> tuple[SkillRecord, ...]:
        """Skills that answer for tokens, by id."""
        return tuple(record for record in self.records if record.state == "live")

    @property
    def free_rows(self) -> tuple[int, ...]:
        """Rows of adapters and router that nobody owns."""
        owned = {record.row for record in self.records}
        return tuple(row for row in range(self.adapters) if row not in owned)

    def resolve(self, skill: int) -> SkillRecord:
        """The record that answers for an id today: its own, or its last heir's; it may be retired or withdrawn.

        Raises:
            SkillError: no skill ever had the id.
        """
        record = self[skill]
        while record.heir is not None:
            record = self.records[record.heir]
        return record

    def row_of(self, skill: int) -> int:
        """The row of adapters that answers for an id; what `BuilderRail.ablated_skills` and `SkillChoice.skill` hold.

        Raises:
            SkillError: nothing answers for it any more, or no skill ever had it.
        """
        record = self.resolve(skill)
        if record.row is None:
            raise SkillError(f"expected a skill that answers, got {skill}: {record.name} is {record.state}", field="skill")
        return record.row

    def in_row(self, row: int) -> SkillRecord | None:
        """The live skill in a row, None where there is none."""
        return next((record for record in self.live if record.row == row), None)

    def leads(self) -> tuple[int | None, ...]:
        """For each row of the router, the row of adapters that answers; None where it is closed."""
        leads: list[int | None] = [None] * self.routes
        for record in self.records:
            if record.row is not None:
                leads[record.row] = self.resolve(record.id).row
        return tuple(leads)

    def is_pinned(self, skill: int) -> bool:
        """Whether an id names a node type of plans; such skills never end."""
        return skill < self.pinned

    # --- changes, each a new book --------------------------------------------------------------------------------------

    def with_records(self, records: Iterable[SkillRecord]) -> SkillBook:
        """These records in place of those with their ids; a new one has the next id."""
        changed = list(self.records)
        for record in sorted(records, key=lambda each: each.id):
            if record.id == len(changed):
                changed.append(record)
            else:
                changed[record.id] = record
        return replace(self, records=tuple(changed))

    def counted(self, tokens: Sequence[float]) -> SkillBook:
        """With `tokens` [K], by row, added to the counters of the live skills."""
        return self.with_records(
            replace(record, tokens=record.tokens + int(tokens[record.row])) for record in self.live if record.row is not None
        )

    # --- JSON ----------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """JSON value that `from_json` reads back."""
        return {"skills": [record_to_json(record) for record in self.records]}

    @classmethod
    def from_json(cls, value: Any, config: RailConfig) -> SkillBook:
        """Read a saved book for a rail of this shape.

        Raises:
            CheckpointError: it is malformed or contradicts itself or the rail.
        """
        try:
            records = tuple(record_from_json(item) for item in value["skills"])
        except (TypeError, KeyError, ValueError) as error:
            raise CheckpointError(f"skill book: malformed ({error}); use another copy of the rail", field="skills") from error
        return cls(records=records, adapters=config.num_skills, routes=config.num_routes, pinned=len(config.pinned_skills))


def record_to_json(record: SkillRecord) -> dict[str, Any]:
    """A record as a JSON value."""
    return asdict(record) | {"parents": list(record.parents)}


def record_from_json(value: Mapping[str, Any]) -> SkillRecord:
    """Undo `record_to_json`.

    Raises:
        TypeError, KeyError: a key is missing or unknown, or a value of another type.
    """
    numbers = ("id", "version", "born", "tokens")
    if not isinstance(value["name"], str) or any(type(value[key]) is not int for key in numbers):
        raise TypeError(f"expected a name and whole numbers {', '.join(numbers)}, got {value!r}")
    if any(type(value[key]) is not int and value[key] is not None for key in ("row", "heir")):
        raise TypeError(f"expected whole numbers or null for row and heir, got {value!r}")
    if set(value) != {field.name for field in fields(SkillRecord)}:
        raise KeyError(*sorted(set(value) ^ {field.name for field in fields(SkillRecord)}))
    return SkillRecord(**{**value, "parents": tuple(int(parent) for parent in value["parents"])})
