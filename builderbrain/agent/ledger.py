"""The ledger of executions: what was claimed, done, failed, taken back, or is unknown. In SQLite, written before each effect.

A step with effects is claimed (committed to disk) before its tool is called, and marked when the tool is back. A claim that
a restart finds is a step that may or may not have had its effect; it is settled by asking the tool, and never run again
blindly. WAL and `synchronous = FULL`: what was acknowledged survives a crash. One process writes a ledger at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from builderbrain.errors import ExecutionNotFoundError, LedgerBusyError, LedgerError, LedgerInconsistentError

FORMAT = 1
"""`user_version` of the file."""

Role = str
"""`step`, `undo`, `fallback`, or `fallback of <skill>` when that skill was itself a fallback and failed."""
EntryStatus = Literal["claimed", "done", "failed", "unknown", "undone"]
ExecutionStatus = Literal["running", "stopping", "finished", "stopped", "unsettled"]
"""`running` steps may follow; `stopping` a critical step failed and steps are taken back; `finished` and `stopped` are over;
`unsettled` is over but for a person, or for another try at an undo."""

_TABLES = """
CREATE TABLE executions (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, schema_sha256 TEXT NOT NULL, granted TEXT NOT NULL, root TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT
) STRICT;
CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY, execution TEXT NOT NULL REFERENCES executions (id), step TEXT NOT NULL, role TEXT NOT NULL,
    skill TEXT NOT NULL, key TEXT NOT NULL UNIQUE, status TEXT NOT NULL, arguments TEXT NOT NULL, results TEXT, error TEXT,
    error_code TEXT, UNIQUE (execution, step, role)
) STRICT;
"""

_INSERT_CLAIM = (
    "INSERT INTO entries (execution, step, role, skill, key, status, arguments) VALUES (?, ?, ?, ?, ?, 'claimed', ?)"
)
_CLAIM_AGAIN = (
    "UPDATE entries SET status = 'claimed', arguments = ?, results = NULL, error = NULL, error_code = NULL"
    " WHERE key = ? AND status IN ('claimed', 'failed')"
)
_END_CLAIM = "UPDATE entries SET status = ?, results = ?, error = ?, error_code = ? WHERE key = ? AND status = 'claimed'"
_MARK_UNDONE = "UPDATE entries SET status = 'undone' WHERE key = ? AND status = 'done'"
_ANSWER = "UPDATE entries SET status = ?, results = ? WHERE key = ? AND status = 'unknown'"
_ENTRIES = (
    "SELECT sequence, step, role, skill, key, status, arguments, results, error, error_code FROM entries"
    " WHERE execution = ? ORDER BY sequence"
)


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One execution: the plan as JSON, and what it was checked for. `root` is the folder of the working root."""

    id: str
    plan: Mapping[str, Any]
    schema_sha256: str
    granted: frozenset[str]
    root: str
    status: ExecutionStatus
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One step, undo or fallback of an execution. `sequence` grows with every first claim."""

    sequence: int
    step: str
    role: Role
    skill: str
    key: str
    status: EntryStatus
    arguments: Mapping[str, Any]
    results: Mapping[str, Any] | None
    error: str | None
    error_code: str | None


def idempotency_key(execution: str, step: str, role: Role) -> str:
    """The key of one effect, the same in every attempt and after every restart; 32 hexadecimal digits."""
    return sha256(f"{execution}\n{step}\n{role}".encode()).hexdigest()[:32]


class Ledger:
    """A ledger file. Methods block (they wait for the disk) and may be called from any thread.

    Args:
        path: the file; made when it is not there, with access for its owner alone.

    Raises:
        LedgerBusyError: another process has it open.
        LedgerError: it is no ledger, or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._lock_file()
            self._connection = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def _lock_file(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerBusyError(
                f"another process writes the ledger {self.path}; stop it, or give this one a ledger of its own", field="ledger"
            ) from None

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
            elif found != FORMAT:
                raise LedgerError(f"{self.path} has format {found}, expected {FORMAT}; use another file", field="ledger")
        except sqlite3.DatabaseError as error:
            connection.close()
            raise LedgerError(f"{self.path} is no ledger ({error}); move it away", field="ledger") from error
        except LedgerError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file; another process may open it then."""
        with self._mutex:
            self._connection.close()
            os.close(self._lock)

    def begin(self, execution: str, *, plan: Mapping[str, Any], schema_sha256: str, granted: frozenset[str], root: str) -> None:
        """Record a new execution, before anything of it runs.

        Raises:
            LedgerError: there is one of this name.
        """
        row = (execution, _dump(plan), schema_sha256, _dump(sorted(granted)), root, "running", None)
        with self._writing() as connection:
            try:
                connection.execute("INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise LedgerError(f"there is an execution {execution} already; resume it", field="execution") from error

    def claim(
        self, execution: str, step: str, role: Role, skill: str, arguments: Mapping[str, Any], *, again: bool = False
    ) -> str:
        """Claim an effect before its tool is called; returns its idempotency key.

        Args:
            again: the effect is known not to have happened, or the skill may be repeated: an earlier claim is taken over.

        Raises:
            LedgerError: it is claimed or done already.
        """
        key = idempotency_key(execution, step, role)
        with self._writing() as connection:
            try:
                connection.execute(_INSERT_CLAIM, (execution, step, role, skill, key, _dump(arguments)))
            except sqlite3.IntegrityError as error:
                taken = again and connection.execute(_CLAIM_AGAIN, (_dump(arguments), key)).rowcount
                if not taken:
                    raise LedgerInconsistentError(
                        f"{step} ({skill}) of {execution} was claimed before; it is not run twice"
                    ) from error
        return key

    def record(
        self,
        execution: str,
        step: str,
        role: Role,
        status: EntryStatus,
        *,
        results: Mapping[str, Any] | None = None,
        error: str | None = None,
        error_code: str | None = None,
    ) -> None:
        """What became of a claim. An undo that is done marks its step `undone` in the same transaction.

        Raises:
            LedgerError: there is no such claim.
        """
        outcome = (status, None if results is None else _dump(results), error, error_code)
        with self._writing() as connection:
            if connection.execute(_END_CLAIM, (*outcome, idempotency_key(execution, step, role))).rowcount != 1:
                raise LedgerInconsistentError(
                    f"{role} {step} of {execution} has no claim that could become {status}", field="step"
                )
            if role == "undo" and status == "done":
                connection.execute(_MARK_UNDONE, (idempotency_key(execution, step, "step"),))

    def answer(self, execution: str, step: str, *, done: bool, results: Mapping[str, Any] | None = None) -> None:
        """What a person found out about an effect that was `unknown`: it was done (with these results), or it was not.

        Raises:
            LedgerError: the step is not unknown.
        """
        told = (
            "done" if done else "failed",
            None if results is None else _dump(results),
            idempotency_key(execution, step, "step"),
        )
        with self._writing() as connection:
            if connection.execute(_ANSWER, told).rowcount != 1:
                raise LedgerError(f"{step} of {execution} is not unknown; there is nothing to answer", field="step")

    def move(self, execution: str, status: ExecutionStatus, reason: str | None = None) -> None:
        """Change the status of an execution; a reason that is there stays when none is given."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE executions SET status = ?, reason = coalesce(?, reason) WHERE id = ?", (status, reason, execution)
            )

    def execution(self, execution: str) -> ExecutionRow:
        """One execution.

        Raises:
            ExecutionNotFoundError: there is none of this name.
        """
        with self._mutex:
            row = self._connection.execute("SELECT * FROM executions WHERE id = ?", (execution,)).fetchone()
        if row is None:
            raise ExecutionNotFoundError(f"the ledger {self.path} holds no execution {execution!r:.80}", field="execution")
        name, plan, schema_sha256, granted, root, status, reason = row
        return ExecutionRow(
            id=name,
            plan=json.loads(plan),
            schema_sha256=schema_sha256,
            granted=frozenset(json.loads(granted)),
            root=root,
            status=status,
            reason=reason,
        )

    def unfinished(self) -> tuple[str, ...]:
        """Executions that are not over, oldest first: what a restart resumes, and what waits for a person."""
        query = "SELECT id FROM executions WHERE status IN ('running', 'stopping', 'unsettled') ORDER BY rowid"
        with self._mutex:
            return tuple(row[0] for row in self._connection.execute(query))

    def entries(self, execution: str) -> tuple[LedgerEntry, ...]:
        """Every entry of an execution, in the order of their claims."""
        with self._mutex:
            rows = self._connection.execute(_ENTRIES, (execution,)).fetchall()
        return tuple(_entry(row) for row in rows)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the `with` ends."""
        with self._mutex:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise LedgerError(f"the ledger {self.path} cannot be written: {error}", field="ledger") from error


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    sequence, step, role, skill, key, status, arguments, results, error, error_code = row
    return LedgerEntry(
        sequence=sequence,
        step=step,
        role=role,
        skill=skill,
        key=key,
        status=status,
        arguments=json.loads(arguments),
        results=None if results is None else json.loads(results),
        error=error,
        error_code=error_code,
    )


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
