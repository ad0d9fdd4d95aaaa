"""The history of a rail's skills: one JSON line an event in `skills.jsonl`, and beside it what takes the event back.

    OUTPUT/skills.jsonl                    what happened, when, why, and what it cost
    OUTPUT/skills/0003-merge.safetensors   rows of the tensors as they were before

Written as a run goes, or by `python -m builderbrain.train skills`. A run that goes on from a checkpoint first drops the events
of the steps that it will run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builderbrain.errors import CheckpointError, SkillError
from builderbrain.rail.skill_book import record_from_json, record_to_json
from builderbrain.storage import canonical_json, remove_stale, write_atomic
from builderbrain.train.lifecycle.operations import Change

LOG_NAME = "skills.jsonl"
FOLDER_NAME = "skills"


@dataclass(frozen=True, kw_only=True)
class SkillEvent:
    """One event. `step` of the run, None for a command. `trigger`: the readings and thresholds it was decided by.
    `before` and `after`: held-out loss in nats per token. `undoes`: number of the event that an `undo` took back."""

    number: int
    step: int | None
    kind: str
    skills: tuple[int, ...]
    parents: tuple[int, ...] = ()
    trigger: Mapping[str, Any] = field(default_factory=dict)
    before: float | None = None
    after: float | None = None
    change: Mapping[str, Any] | None = None
    undoes: int | None = None

    @property
    def file_name(self) -> str:
        """Of what takes it back."""
        return f"{self.number:04d}-{self.kind}.safetensors"

    def to_json(self) -> dict[str, Any]:
        """One line."""
        held_out = None if self.before is None else {"before": self.before, "after": self.after}
        return {
            "number": self.number, "step": self.step, "kind": self.kind, "skills": list(self.skills),
            "parents": list(self.parents), "trigger": dict(self.trigger), "held_out": held_out, "change": self.change,
            "undoes": self.undoes,
        }  # fmt: skip


class SkillHistory:
    """The events of an output folder, oldest first."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        """Read what is there. Without `writes` the history is kept in memory alone, since another process writes it.

        Raises:
            CheckpointError: a line is torn.
        """
        self.folder, self.writes = folder, writes
        self.events: list[SkillEvent] = []
        path = folder / LOG_NAME
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    self.events.append(_event_of(json.loads(line)))
                except (ValueError, KeyError, TypeError) as error:
                    raise CheckpointError(f"{path} is torn at line {len(self.events) + 1}: {error}", field=LOG_NAME) from error

    def append(
        self,
        change: Change,
        *,
        step: int | None,
        parents: tuple[int, ...] = (),
        trigger: Mapping[str, Any],
        before: float | None,
        after: float | None,
    ) -> SkillEvent:
        """Write an event down, first what takes it back, then its line."""
        from safetensors.torch import save

        event = SkillEvent(
            number=self._next(), step=step, kind=change.kind, skills=change.ids, parents=parents, trigger=trigger,
            before=before, after=after, change=_change_to_json(change),
        )  # fmt: skip
        if self.writes:
            target = self.folder / FOLDER_NAME
            target.mkdir(parents=True, exist_ok=True)
            write_atomic(target / event.file_name, save(change.saved))
        self._write([*self.events, event])
        return event

    def append_undo(self, undone: SkillEvent) -> SkillEvent:
        """Note that an event was taken back."""
        event = SkillEvent(number=self._next(), step=None, kind="undo", skills=undone.skills, undoes=undone.number)
        self._write([*self.events, event])
        return event

    def last(self) -> SkillEvent:
        """The newest event that was not taken back.

        Raises:
            SkillError: there is none, or no such folder.
        """
        if not self.folder.is_dir():
            raise SkillError(f"expected the output folder of a run, but there is no folder {self.folder}", field="folder")
        undone = {event.undoes for event in self.events}
        for event in reversed(self.events):
            if event.kind != "undo" and event.number not in undone:
                return event
        raise SkillError(f"expected an event to take back in {self.folder / LOG_NAME}, got none", field="undo")

    def change_of(self, event: SkillEvent) -> Change:
        """What takes an event back.

        Raises:
            CheckpointError: its file is missing or torn.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / FOLDER_NAME / event.file_name
        value = event.change
        if value is None:
            raise CheckpointError(f"event {event.number} in {self.folder / LOG_NAME} cannot be taken back", field=LOG_NAME)
        try:
            saved = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} is missing or torn: {error}; use another copy", field=path.name) from error
        return Change(
            kind=event.kind, ids=event.skills, created=tuple(value["created"]), rows=tuple(value["rows"]), saved=saved,
            records=tuple(record_from_json(record) for record in value["records"]),
            shape=None if value["shape"] is None else (value["shape"][0], value["shape"][1]),
        )  # fmt: skip

    def drop_from(self, step: int) -> None:
        """Forget the events of steps that will be run again, and what a writer that was killed left behind."""
        if self.writes:
            remove_stale(self.folder / FOLDER_NAME)
        kept = [event for event in self.events if event.step is None or event.step < step]
        if len(kept) < len(self.events):
            self._write(kept)

    def copy_to(self, folder: Path) -> SkillHistory:
        """The same history in another folder."""
        made = SkillHistory(folder)
        for event in self.events:
            source = self.folder / FOLDER_NAME / event.file_name
            if source.is_file():
                (folder / FOLDER_NAME).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / FOLDER_NAME / event.file_name)
        if self.events:
            made._write(self.events)
        return made

    def _next(self) -> int:
        return 1 + (self.events[-1].number if self.events else 0)

    def _write(self, events: list[SkillEvent]) -> None:
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.folder / LOG_NAME, b"".join(canonical_json(event.to_json()) for event in events))
        self.events = list(events)


def _change_to_json(change: Change) -> dict[str, Any]:
    return {
        "created": list(change.created),
        "rows": list(change.rows),
        "records": [record_to_json(record) for record in change.records],
        "shape": None if change.shape is None else list(change.shape),
    }


def _event_of(value: Mapping[str, Any]) -> SkillEvent:
    held_out = value["held_out"] or {"before": None, "after": None}
    return SkillEvent(
        number=value["number"], step=value["step"], kind=value["kind"], skills=tuple(value["skills"]),
        parents=tuple(value["parents"]), trigger=value["trigger"], before=held_out["before"], after=held_out["after"],
        change=value["change"], undoes=value["undoes"],
    )  # fmt: skip
