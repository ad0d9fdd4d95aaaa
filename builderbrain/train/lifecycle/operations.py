"""What can be done to the skills of a rail. Each operation changes the rail and returns a `Change` that can take it back.

A change holds the rows it touched as they were before and the records it replaced. Taking it back puts both in their places,
bit for bit; the id of a skill that was born by it stays taken, as `withdrawn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from builderbrain.errors import SkillError
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook, SkillRecord
from builderbrain.train.lifecycle.functions import Recorded, adapters_of, fit_one_for_many
from builderbrain.train.lifecycle.rows import ROUTES, read_rows, skill_tensors, write_rows

_NOISE = 0.1
"""Of a newborn's row of the router, as a share of its parent's length: enough that the two take different tokens."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """`kind` of event on the skills `ids`; `created` among them are new. Of what was before: `records`, and of `rows` the
    tensors `saved` by name. For `pack` every row is saved, and `shape` is (num_skills, aliases) before."""

    kind: str
    ids: tuple[int, ...]
    created: tuple[int, ...]
    records: tuple[SkillRecord, ...]
    rows: tuple[int, ...]
    saved: dict[str, Tensor]
    shape: tuple[int, int] | None = None


def bear(rail: BuilderRail, *, parent: int, step: int, seed: int, start: str = "nearest") -> Change:
    """A new skill in the first free row, under the next id.

    Its adapters are a copy of the parent's, or with `start="zero"` write nothing; its row of the router is the parent's and a
    little noise, so that the two share the parent's tokens and then grow apart.

    Raises:
        SkillError: no row is free.
    """
    book = rail.book
    if not book.free_rows:
        raise SkillError(
            f"expected a free row for a new skill, but all {book.adapters} are owned; raise rail.num_skills", field="skill"
        )
    row, source, number = book.free_rows[0], book.row_of(parent), len(book.records)
    change = _change(rail, "birth", rows=(row,), created=(number,), others=())
    generator = torch.Generator().manual_seed(seed)
    values = read_rows(rail, [source])
    route = values[ROUTES]
    noise = torch.randn(route.shape, generator=generator)
    values[ROUTES] = route + _NOISE * route.norm() * noise / noise.norm()
    if start == "zero":
        for name, tensor in values.items():
            if name.endswith(".up"):
                tensor.zero_()
            elif name.endswith(".down"):
                values[name] = torch.randn(tensor.shape, generator=generator) * tensor.shape[1] ** -0.5
    write_rows(rail, [row], values)
    born = SkillRecord(id=number, name=f"skill_{number}", row=row, parents=(book.resolve(parent).id,), born=step)
    rail.adopt(book.with_records([born]))
    return change


def merge(rail: BuilderRail, *, keep: int, give: int) -> Change:
    """From now on `keep` answers for the tokens and the id of `give`.

    Raises:
        SkillError: one of them is not live, they are one, or `give` is pinned.
    """
    _expect_live(rail.book, keep, give)
    _expect_free_to_end(rail.book, give)
    if keep == give:
        raise SkillError(f"expected two skills, got {keep} twice", field="skill")
    kept, given = rail.book[keep], rail.book[give]
    change = _change(rail, "merge", rows=_rows_of([given]), created=(), others=(kept, given))
    rail.adopt(rail.book.with_records([replace(kept, version=kept.version + 1), replace(given, state="merged", heir=keep)]))
    return change


def retire(rail: BuilderRail, skill: int) -> Change:
    """Close the row of a skill; its tokens go where the router would have sent them next.

    Raises:
        SkillError: it is not live, pinned, or the last one.
    """
    book = rail.book
    _expect_live(book, skill)
    _expect_free_to_end(book, skill)
    if len(book.live) == 1:
        raise SkillError(f"expected another live skill beside {skill}, which is the last; it stays", field="skill")
    record = book[skill]
    change = _change(rail, "retire", rows=_rows_of([record]), created=(), others=(record,))
    rail.adopt(book.with_records([replace(record, state="retired", row=None)]))
    return change


def distil(rail: BuilderRail, skills: Sequence[int], recorded: Recorded) -> Change:
    """One new skill that does the work of several at the rank of one, in the row of the first.

    Raises:
        SkillError: fewer than two, one that is not live or is pinned, or none of them took a recorded token.
    """
    book = rail.book
    if len(set(skills)) != len(skills) or len(skills) < 2:
        raise SkillError(f"expected two or more different skills to distil, got {list(skills)}", field="skill")
    _expect_live(book, *skills)
    _expect_free_to_end(book, *skills)
    sources, number = [book[skill] for skill in skills], len(book.records)
    rows = _rows_of(sources)
    change = _change(rail, "distil", rows=rows, created=(number,), others=sources)
    try:
        fitted = fit_one_for_many(rail, recorded, rows)
    except ValueError as error:
        raise SkillError(f"cannot distil {list(skills)}: {error}; give data that uses them", field="skill") from error
    with torch.no_grad():
        for adapters, (down, up) in zip(adapters_of(rail), fitted, strict=True):
            adapters.down[rows[0]], adapters.up[rows[0]] = down, up
    born = SkillRecord(id=number, name=f"skill_{number}", row=rows[0], parents=tuple(skills))
    ended = [
        replace(source, state="distilled", heir=number, row=None if place == 0 else source.row)
        for place, source in enumerate(sources)
    ]
    rail.adopt(book.with_records([*ended, born]))
    return change


def rename(rail: BuilderRail, skill: int, name: str) -> Change:
    """Give a skill another name; its id stays.

    Raises:
        SkillError: there is no such skill, plans know it by its name, or the name is empty or that of another.
    """
    book = rail.book
    record = book[skill]
    _expect_free_to_end(book, skill)
    if not name or any(other.name == name for other in book.records):
        raise SkillError(f"expected a name that no skill of this rail has, got {name!r}", field="name")
    change = _change(rail, "name", rows=(), created=(), others=(record,))
    rail.adopt(book.with_records([replace(record, name=name)]))
    return change


def pack(rail: BuilderRail) -> tuple[BuilderRail, Change]:
    """A rail of fewer parameters that does the same: rows of adapters without a live skill are left out, rows of the router
    that lead to an heir come last, closed ones go."""
    book = rail.book
    every = tuple(range(book.routes))
    change = replace(
        _change(rail, "pack", rows=every, created=(), others=book.records),
        saved={name: tensor.detach().cpu().clone() for name, tensor in skill_tensors(rail).items()},
        shape=(rail.config.num_skills, rail.config.aliases),
    )
    live = [record.row for record in book.live if record.row is not None]
    leads = book.leads()
    live.sort()
    aliases = [row for row in every if row not in live and leads[row] is not None]
    order = [*live, *aliases]
    values = {name: tensor[order if name == ROUTES else live] for name, tensor in change.saved.items()}
    records = [
        replace(record, row=None if record.row not in order else order.index(record.row)) if record.row is not None else record
        for record in book.records
    ]
    return _reshaped(rail, (len(live), len(aliases)), values, records), change


def take_back(rail: BuilderRail, change: Change) -> BuilderRail:
    """The rail as it was before a change, which is the last one that was not taken back. May be `rail` itself, changed."""
    records = {record.id: record for record in change.records}
    for number in change.created:
        records[number] = replace(rail.book[number], state="withdrawn", row=None, heir=None)
    if change.shape is not None:
        return _reshaped(rail, change.shape, change.saved, [records.get(each.id, each) for each in rail.book.records])
    write_rows(rail, change.rows, change.saved)
    rail.adopt(rail.book.with_records(records.values()))
    return rail


def _reshaped(
    rail: BuilderRail, shape: tuple[int, int], values: dict[str, Tensor], records: Sequence[SkillRecord]
) -> BuilderRail:
    config = replace(rail.config, num_skills=shape[0], aliases=shape[1])
    made = BuilderRail(config)
    made.load_state_dict(rail.state_dict() | values)
    fresh = SkillBook.of(config)
    made.adopt(replace(fresh, records=tuple(records)))
    return made.to(rail.enter.weight.device).train(rail.training)


def _change(
    rail: BuilderRail, kind: str, *, rows: tuple[int, ...], created: tuple[int, ...], others: Sequence[SkillRecord]
) -> Change:
    saved = {} if kind == "pack" else read_rows(rail, rows)
    ids = (*(record.id for record in others), *created)
    return Change(kind=kind, ids=ids, created=created, records=tuple(others), rows=rows, saved=saved)


def _rows_of(records: Sequence[SkillRecord]) -> tuple[int, ...]:
    return tuple(record.row for record in records if record.row is not None)


def _expect_live(book: SkillBook, *skills: int) -> None:
    for skill in skills:
        if book[skill].state != "live":
            raise SkillError(f"expected a live skill, got {skill}, which is {book[skill].state}", field="skill")


def _expect_free_to_end(book: SkillBook, *skills: int) -> None:
    for skill in skills:
        if book.is_pinned(skill):
            raise SkillError(
                f"expected a skill that is pinned to nothing, got {skill} ({book[skill].name}); plans name it, so it stays",
                field="skill",
            )
