"""Incidents: what happens to a server beyond one request, classed P0 to P3, recorded, and answered where it is grave.

P0 and P1 answer themselves: the live version is rolled back by the registry's own operation, once. Then the answer is latched:
nothing is rolled back again until an operator has looked and released it, after a restart too. P2 and P3 are recorded alone.

Records are lines of a file that is only appended to: an incident, an answer (its beginning before anything moves, then how it
ended), a release. They hold no text of requests and no arguments.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from builderbrain.agent.breaker import BreakerRecord
from builderbrain.agent.clock import Clock, SystemClock
from builderbrain.errors import BuilderBrainError, ConfigError, RegistryBusyError

logger = logging.getLogger(__name__)

Level = Literal["P0", "P1", "P2", "P3"]
Kind = Literal[
    "forbidden_effect",
    "ledger_inconsistent",
    "audit_broken",
    "canary_failed",
    "broken_weights",
    "domain_breaker",
    "tool_breaker",
]
Answer = Literal["rolled_back", "failed", "latched", "moved_on", "impossible"]
LEVELS: Final[Mapping[Kind, Level]] = {
    "forbidden_effect": "P0",  # a call that its checked plan does not hold, or that is not granted, came as far as the tools
    "ledger_inconsistent": "P0",  # an effect was to be claimed twice, or its claim is gone
    "audit_broken": "P0",  # the registry's log or pointer is not as it was written
    "canary_failed": "P1",  # whoever watches the live version found it worse
    "broken_weights": "P1",  # the live version gave logits that are no numbers
    "domain_breaker": "P2",
    "tool_breaker": "P3",
}
GRAVE: Final = frozenset({"P0", "P1"})
BY_CODE: Final[Mapping[tuple[str, str], Kind]] = {
    ("step", "plan_rejected"): "forbidden_effect",  # within a step only the caller of tools says it
    ("step", "ledger_inconsistent"): "ledger_inconsistent",
    ("reply", "ledger_inconsistent"): "ledger_inconsistent",
}
REPEAT_SECONDS = 60.0
KEPT = 256


class Incidents:
    """The incidents of a server. May be told from any thread; answers are given on a thread of its own, between start and stop.

    Args:
        path: the file of records; None keeps them in memory alone.
        serving: the version that the default model has now.
        on_incident: is told kind and level of each, repeated ones too.
        on_answer: is told how each answer ended.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        serving: Callable[[], str],
        on_incident: Callable[[Kind, Level], None] = lambda kind, level: None,
        on_answer: Callable[[Answer], None] = lambda answer: None,
        clock: Clock | None = None,
    ) -> None:
        self._path = path
        self._serving = serving
        self._on_incident, self._on_answer = on_incident, on_answer
        self._clock = clock if clock is not None else SystemClock()
        self._roll_back: Callable[[str], str] | None = None
        self._mutex = threading.Lock()
        self._told: dict[tuple[Kind, str], float] = {}
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="builderbrain-incidents", daemon=True)
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._sequence = 0
        self.latched = False
        """Whether the answer was given, and no operator has released it since."""
        for record in [] if path is None else _read(path):
            self._take(record)

    def roll_back_by(self, roll_back: Callable[[str], str]) -> None:
        """What makes the version before live, when the given one still is; it gives what serves then."""
        self._roll_back = roll_back

    def start(self) -> None:
        """Answer from now on; what was told before is answered as well."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what was told so far."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def settled(self) -> None:
        """Wait until all that was told so far is answered."""
        self._waiting.join()

    def tell(self, kind: Kind, subject: str, said: str, *, version: str | None = None) -> None:
        """Something happened. Returns at once. The same again within a minute is counted and not recorded.

        Args:
            subject: what it happened to.
            version: the version that it is about; by default the one that serves.
        """
        level = LEVELS[kind]
        self._on_incident(kind, level)
        with self._mutex:
            now = self._clock.monotonic()
            if now - self._told.get((kind, subject), -REPEAT_SECONDS) < REPEAT_SECONDS:
                return
            self._told[kind, subject] = now
            if len(self._told) > KEPT:
                del self._told[min(self._told, key=lambda one: self._told[one])]
        record = self._note("incident", level=level, kind=kind, subject=subject, said=said, version=version or self._serving())
        (logger.critical if level in GRAVE else logger.warning)("incident %s %s: %s", level, kind, said)
        if level in GRAVE:
            self._waiting.put(record)

    def breaker_changed(self, record: BreakerRecord) -> None:
        """A breaker that opens is an incident: of a tool P3, of a domain P2."""
        if record.after == "open":
            self.tell("tool_breaker" if record.name.startswith("tool/") else "domain_breaker", record.name, record.reason)

    def heard(self, where: str, error: BaseException | None, code: str) -> None:
        """An error reached whoever asked, ended an output or a step; most are none. Of a step there is only the code."""
        version = getattr(error, "weight_version", None)
        if code == "non_finite_logits" and version is not None:
            if version == self._serving():  # one that is loaded beside it says nothing of the live one
                self.tell("broken_weights", version, f"version {version} gave logits that are no numbers", version=version)
        elif (where, code) in BY_CODE:
            self.tell(BY_CODE[where, code], code, f"{code} in a {where}")

    def release(self) -> bool:
        """An operator has looked: the next P0 or P1 is answered again. Returns whether it was latched."""
        with self._mutex:
            was = self.latched
        if was:
            self._note("released")
        return was

    def to_json(self) -> dict[str, Any]:
        """The last records, oldest first."""
        with self._mutex:
            return {"object": "list", "latched": self.latched, "kept": self._path is not None, "data": list(self._records)}

    def _run(self) -> None:
        while True:
            record = self._waiting.get()
            try:
                if record is None:
                    return
                self._answer(record)
            except Exception:  # a thread that ends would leave the next incident without an answer
                logger.exception("an incident could not be answered")
            finally:
                self._waiting.task_done()

    def _answer(self, incident: Mapping[str, Any]) -> None:
        version, of = str(incident["version"]), incident["sequence"]
        if self.latched:
            self._end(of, "latched", "an answer was given before; POST /v1/admin/incidents/release after looking")
            return
        if self._roll_back is None:
            self._end(of, "impossible", "this server does not follow a registry, so that there is nothing to go back to")
            return
        self._note("answer", incident=of, status="rolling_back", said=f"going back from {version}")
        try:
            now = self._roll_back(version)
        except RegistryBusyError as error:
            self._end(of, "moved_on", error.message)
        except (BuilderBrainError, OSError) as error:
            self._end(of, "failed", f"{version} was not rolled back: {error}")
        else:
            self._end(of, "rolled_back", f"{version} was rolled back, {now} serves")

    def _end(self, incident: int, answer: Answer, said: str) -> None:
        self._note("answer", incident=incident, status=answer, said=said)
        self._on_answer(answer)
        logger.critical("answer to incident %d, %s: %s", incident, answer, said)

    def _note(self, record: str, **more: Any) -> dict[str, Any]:
        with self._mutex:
            stamp = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds")
            made = {"sequence": self._sequence + 1, "time": stamp, "record": record, **more}
            self._take(made)
            if self._path is not None:
                try:
                    _append(self._path, made)
                except OSError as error:  # an answer must not wait for a disk
                    logger.critical("%s cannot be written (%s); record %s", self._path, error, json.dumps(made))
            return made

    def _take(self, record: dict[str, Any]) -> None:
        self._records.append(record)
        self._sequence = max(self._sequence, int(record["sequence"]))
        if record["record"] == "released" or record.get("status") == "moved_on":
            self.latched = False
        elif record.get("status") == "rolling_back":
            self.latched = True


def _append(path: Path, record: Mapping[str, Any]) -> None:
    _write(path, json.dumps(record, ensure_ascii=True) + "\n")


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, text.encode("ascii"))
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> list[dict[str, Any]]:
    """Whole records; a line that a crash tore is left out, and stays in the file, ended."""
    found = []
    try:
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            _write(path, "\n")
        lines = content.splitlines()
    except OSError as error:
        raise ConfigError(
            f"the incidents in {path} cannot be read ({error}); name another --state-dir", field="state_dir"
        ) from error
    for line in lines:
        try:
            record = json.loads(line)
            found.append({**record, "sequence": int(record["sequence"]), "record": str(record["record"])})
        except (ValueError, KeyError, TypeError):
            logger.error("%s holds a line that is no record", path)
    return found
