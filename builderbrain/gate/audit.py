"""Who promoted what, on which evidence: an append-only log whose entries are chained by hash and signed.

Each line is one JSON object that holds the digest of the line before it, its own digest, and an HMAC of that digest under
the registry's key. Editing, deleting, inserting or reordering lines breaks the chain, which anyone can check offline;
rewriting the whole chain needs the key. A signed head record beside the log holds the last sequence number and digest, so
cutting off the tail is detected too.

Not detectable from these files alone: putting back an older log together with the older head that belonged to it, and
anything done by who holds the key. A copy of the head kept elsewhere (`AuditLog.head`) closes the first gap.

A crash between the line and the head leaves the log one signed line ahead, which is accepted; a torn last line was never
acknowledged, is reported, and is removed by the next `append`.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builderbrain.errors import TamperedVersionError
from builderbrain.storage import declare_fail_points, fail_point, write_atomic

GENESIS = "0" * 64
declare_fail_points("audit.before_line", "audit.torn_line", "audit.after_line", "audit.after_head")


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One event. `time` is for people (UTC, ISO 8601); the order is `sequence`, from 1."""

    sequence: int
    time: str
    actor: str
    event: str
    details: Mapping[str, Any]
    previous: str

    def digest(self) -> str:
        """sha256 of the canonical line; the next entry's `previous`."""
        return hashlib.sha256(_line_bytes(asdict(self))).hexdigest()


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """The last entry: its number and digest. Keep a copy elsewhere to detect an old log put back."""

    sequence: int
    digest: str


class AuditLog:
    """The log at `path` and its head at `path` + `.head`. Appending must be serialised by the caller (registry lock)."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self.head_path = path.with_name(path.name + ".head")
        self._key = key

    def append(self, event: str, details: Mapping[str, Any]) -> AuditEntry:
        """Add one event, durable when it returns.

        Raises:
            TamperedVersionError: the log so far does not verify.
            OSError: the write failed; the log without the new entry still verifies.
        """
        entries = self.verify()
        last = entries[-1] if entries else None
        recorded = self.head()
        if last is not None and (recorded is None or recorded.sequence < last.sequence):
            self._write_head(AuditHead(sequence=last.sequence, digest=last.digest()))
        entry = AuditEntry(
            sequence=last.sequence + 1 if last else 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            actor=getpass.getuser(),
            event=event,
            details=dict(details),
            previous=last.digest() if last else GENESIS,
        )
        digest = entry.digest()
        line = _line_bytes({**asdict(entry), "digest": digest, "signature": self._sign(digest)}) + b"\n"
        fail_point("audit.before_line")
        self._write_line(line)
        fail_point("audit.after_line")
        self._write_head(AuditHead(sequence=entry.sequence, digest=digest))
        fail_point("audit.after_head")
        return entry

    def verify(self, head: AuditHead | None = None) -> list[AuditEntry]:
        """All entries, checked: chain, signatures, and the head record (or a copy of it kept elsewhere, `head`).

        Raises:
            TamperedVersionError: names the first line at fault.
        """
        entries = read_chain(self.path)
        for number, (entry, signature) in enumerate(entries, 1):
            if not hmac.compare_digest(self._sign(entry.digest()), signature):
                raise _fault(self.path, number, "its signature does not match the registry's key")
        recorded = self.head()
        for expected in (recorded, head):
            if expected is not None:
                self._check_head([entry for entry, _ in entries], expected)
        if recorded is None and len(entries) > 1:
            raise _fault(self.head_path, 1, "the head record is missing")
        if recorded is not None and len(entries) > recorded.sequence + 1:
            raise _fault(self.path, recorded.sequence + 2, "it is beyond the head record by more than a crash can explain")
        return [entry for entry, _ in entries]

    def head(self) -> AuditHead | None:
        """The head record, or None before the first event.

        Raises:
            TamperedVersionError: it is torn or its signature does not match.
        """
        if not self.head_path.exists():
            return None
        try:
            content = self.head_path.read_bytes()
            value = json.loads(content)
            head = AuditHead(sequence=int(value["sequence"]), digest=str(value["digest"]))
            signature = str(value["signature"])
        except (ValueError, KeyError, TypeError) as error:
            raise _fault(self.head_path, 1, f"it is torn ({error})") from error
        if not hmac.compare_digest(self._sign(f"{head.sequence} {head.digest}"), signature):
            raise _fault(self.head_path, 1, "its signature does not match the registry's key")
        if content != _line_bytes({**asdict(head), "signature": signature}):
            raise _fault(self.head_path, 1, "it was edited: it is not written as a head is")
        return head

    def _check_head(self, entries: list[AuditEntry], head: AuditHead) -> None:
        if len(entries) < head.sequence:
            raise _fault(self.path, len(entries) + 1, f"the tail is cut off: the head record counts {head.sequence} lines")
        if head.sequence and entries[head.sequence - 1].digest() != head.digest:
            raise _fault(self.path, head.sequence, "it is not the line that the head record names")

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _write_head(self, head: AuditHead) -> None:
        signature = self._sign(f"{head.sequence} {head.digest}")
        write_atomic(self.head_path, _line_bytes({**asdict(head), "signature": signature}))

    def _write_line(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            start = _complete_length(file.read())
            file.truncate(start)
            file.seek(start)
            try:
                file.write(line[: len(line) // 2])
                file.flush()
                fail_point("audit.torn_line")
                file.write(line[len(line) // 2 :])
                file.flush()
                os.fsync(file.fileno())
            except Exception:
                file.truncate(start)
                raise


def read_chain(path: Path) -> list[tuple[AuditEntry, str]]:
    """Entries of a log with their signatures, the chain checked without any key; a torn last line is left out.

    Raises:
        TamperedVersionError: names the first line at fault.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    entries: list[tuple[AuditEntry, str]] = []
    previous = GENESIS
    for number, line in enumerate(content[: _complete_length(content)].split(b"\n")[:-1], 1):
        try:
            value = json.loads(line)
            digest, signature = value.pop("digest"), value.pop("signature")
            entry = AuditEntry(**value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _fault(path, number, f"it is not an audit entry ({error})") from error
        if line != _line_bytes({**asdict(entry), "digest": digest, "signature": signature}):
            raise _fault(path, number, "it was edited: it is not written as an entry is")
        if entry.sequence != number or entry.previous != previous:
            raise _fault(path, number, "it does not follow the line before it: a line was deleted, inserted or moved")
        previous = entry.digest()
        if digest != previous:
            raise _fault(path, number, "it was edited: its digest does not match")
        entries.append((entry, str(signature)))
    return entries


def _complete_length(content: bytes) -> int:
    """Length of the part that ends with a whole line."""
    return content.rfind(b"\n") + 1


def _line_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _fault(path: Path, line: int, what: str) -> TamperedVersionError:
    return TamperedVersionError(f"{path.name} line {line}: {what}; restore the log from a backup", field=f"{path.name}:{line}")
