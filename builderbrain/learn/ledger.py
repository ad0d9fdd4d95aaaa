"""When a candidate may be made: what examples earlier ones used, and how many there were of late. Kept over restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from builderbrain.errors import CheckpointError
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.traces import Example
from builderbrain.storage import canonical_json, write_atomic

DAY_SECONDS = 86_400.0


class CandidateLedger:
    """The candidates of one folder.

    A clock that jumps back lets no further candidate through: begun ones in the future count as of today. Within a process the
    interval follows a clock that does not jump.

    Raises:
        CheckpointError: the file is not one of these.
    """

    def __init__(
        self,
        path: Path,
        limits: LearnConfig,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._limits, self._wall, self._monotonic = path, limits, wall, monotonic
        self._last: float | None = None
        self._begun: list[float] = []
        self._used: set[str] = set()
        self._condemned: set[str] = set()
        self._taken_back: set[str] = set()
        if path.exists():
            try:
                value = json.loads(path.read_bytes())
                self._begun = [float(moment) for moment in value["begun"]]
                self._used = {str(identifier) for identifier in value["used"]}
                self._condemned = {str(identifier) for identifier in value["condemned"]}
                self._taken_back = {str(version) for version in value["taken_back"]}
            except (ValueError, KeyError, TypeError) as error:
                raise CheckpointError(f"{path} is torn ({error}); remove it to begin anew", field="learn") from error

    def allowed(self, examples: Sequence[Example]) -> list[Example]:
        """Those that stand behind no version that was taken back."""
        return [example for example in examples if example.id not in self._condemned]

    def heard_of(self, version: str) -> bool:
        """Whether it is known that this version was taken back."""
        return version in self._taken_back

    def condemn(self, version: str, examples: Collection[str]) -> None:
        """Never learn from these again: a version that was made of them was taken back."""
        self._taken_back.add(version)
        self._condemned |= set(examples)
        self._write()

    def fresh(self, examples: Sequence[Example]) -> int:
        """How many of the examples no candidate has used."""
        return sum(example.id not in self._used for example in examples)

    def waits_for(self, examples: Sequence[Example]) -> str | None:
        """Why no candidate is due; None when one is."""
        fresh = self.fresh(examples)
        if fresh < self._limits.least_rows:
            return f"{fresh} new examples of {self._limits.least_rows}"
        now = self._wall()
        today = sum(moment > now - DAY_SECONDS for moment in self._begun)
        if today >= self._limits.per_day:
            return f"{today} candidates within a day, of {self._limits.per_day}"
        since = now - max(self._begun) if self._begun else None
        if self._last is not None:
            since = self._monotonic() - self._last
        if since is not None and since < self._limits.interval_seconds:
            return f"the last candidate was begun {max(since, 0.0):.0f} s ago, of {self._limits.interval_seconds:g} s"
        return None

    def begin(self, examples: Collection[Example]) -> None:
        """A candidate is begun over these; written down before it is, so that a crash does not make it free."""
        now = self._wall()
        self._last = self._monotonic()
        self._begun = [moment for moment in self._begun if moment > now - DAY_SECONDS] + [now]
        self._used = {example.id for example in examples}
        self._write()

    def _write(self) -> None:
        value = {
            "begun": self._begun,
            "used": sorted(self._used),
            "condemned": sorted(self._condemned),
            "taken_back": sorted(self._taken_back),
        }
        write_atomic(self._path, canonical_json(value))
