"""What is remembered beyond a plan, in SQLite below the state folder: entries by number, found by their words.

Exact and small: every entry is compared with the query. An entry has a kind, so that episodes can stand beside the facts that
tools add. The store holds at most `capacity` entries and refuses more, so that none is lost unsaid.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builderbrain.errors import ToolError, TransientToolError
from builderbrain.tools.phrase import words_of

Kind = Literal["fact", "episode"]
FILE_NAME = "memory.db"
CAPACITY = 1_024
BUSY_SECONDS = 2.0
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('fact', 'episode')),
    text TEXT NOT NULL,
    created REAL NOT NULL
)
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry; `created` is seconds since 1970."""

    id: int
    kind: str
    text: str
    created: float


class MemoryStore:
    """The memory in a state folder. Each method is one transaction, on a connection of its own.

    Args:
        folder: made when the first entry is added.
        capacity: entries at most.

    Raises, all methods:
        TransientToolError: another process writes the memory for longer than 2 s.
        ToolError: the file is no memory, or cannot be used.
    """

    def __init__(self, folder: Path, *, capacity: int = CAPACITY) -> None:
        self._folder = folder
        self._capacity = capacity

    def add(self, text: str, *, key: str | None, kind: Kind = "fact") -> Entry:
        """Add an entry. The same `key` again gives the entry that it gave first.

        Raises:
            ToolError: the memory is full.
        """
        with self._writing() as connection:
            if key is not None and (known := _by_key(connection, key)) is not None:
                return known
            (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
            if count >= self._capacity:
                raise ToolError(f"the memory holds {count} entries, all it can; forget some first", field="text")
            created = time.time()
            cursor = connection.execute(
                "INSERT INTO entries (key, kind, text, created) VALUES (?, ?, ?, ?)", (key, kind, text, created)
            )
            return Entry(id=int(cursor.lastrowid or 0), kind=kind, text=text, created=created)

    def added(self, key: str) -> Entry | None:
        """The entry that a key gave, None when it gave none or the entry was forgotten."""
        with self._reading() as connection:
            return None if connection is None else _by_key(connection, key)

    def get(self, number: int) -> Entry | None:
        """An entry by its number."""
        with self._reading() as connection:
            if connection is None:
                return None
            return _entry(connection.execute("SELECT id, kind, text, created FROM entries WHERE id = ?", (number,)).fetchone())

    def forget(self, number: int) -> Entry | None:
        """Delete an entry and give what it was; None when there is none. Its number is not used again."""
        if not (self._folder / FILE_NAME).exists():
            return None
        with self._writing() as connection:
            row = connection.execute("SELECT id, kind, text, created FROM entries WHERE id = ?", (number,)).fetchone()
            connection.execute("DELETE FROM entries WHERE id = ?", (number,))
            return _entry(row)

    def search(self, query: str, *, kind: Kind = "fact") -> tuple[Entry, ...]:
        """Entries that share a word with the query, most words first, then the newest."""
        wanted = _words(query)
        with self._reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute("SELECT id, kind, text, created FROM entries WHERE kind = ?", (kind,)).fetchall()
        found = [(len(wanted & _words(row[2])), row[0], row) for row in rows]
        ranked = sorted((one for one in found if one[0]), key=lambda one: (-one[0], -one[1]))
        return tuple(Entry(id=row[0], kind=row[1], text=row[2], created=row[3]) for _, _, row in ranked)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        path = self._folder / FILE_NAME
        if not path.exists() or not path.stat().st_size:  # nothing was added yet, or the first addition was cut off
            yield None
            return
        with _named_errors(path), closing(_connected(path)) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / FILE_NAME
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
        except OSError as error:
            raise ToolError(f"the state folder {self._folder} cannot be made: {error.strerror}", field="state") from error
        with _named_errors(path), closing(_connected(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                connection.execute(_TABLE)
                yield connection


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    os.chmod(path, 0o600)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is gone from the file as well
    return connection


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise TransientToolError(f"another process writes {path.name}; it is tried again") from error
        raise ToolError(f"{path} cannot be used as memory: {error}", field="state") from error
    except sqlite3.DatabaseError as error:
        raise ToolError(f"{path} is no memory: {error}; move it away", field="state") from error


def _by_key(connection: sqlite3.Connection, key: str) -> Entry | None:
    return _entry(connection.execute("SELECT id, kind, text, created FROM entries WHERE key = ?", (key,)).fetchone())


def _entry(row: tuple[int, str, str, float] | None) -> Entry | None:
    return None if row is None else Entry(id=row[0], kind=row[1], text=row[2], created=row[3])


def _words(text: str) -> frozenset[str]:
    """Words without the plural's s, so that `colours` finds `colour`."""
    words = words_of(text)
    return frozenset(word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words)
