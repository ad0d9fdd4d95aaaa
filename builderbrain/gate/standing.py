"""How a version stands with the gate, read off the signed audit log: what may be served beside live, and what may not.

A version may be served while it is live, when a report of the gate said "promote", or when it was live before. What was rolled
back, or rejected since, may not, until a later report says otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builderbrain.errors import GateRefusedError, TamperedVersionError
from builderbrain.gate.audit import AuditEntry
from builderbrain.gate.reader import PROMOTION, RECOVERED, ROLLBACK, RegistryReader
from builderbrain.storage import canonical_json

State = Literal["live", "promoted", "accepted", "rejected", "inconclusive", "rolled back", "not evaluated"]
SERVABLE: frozenset[State] = frozenset({"live", "promoted", "accepted"})
_BY_DECISION: Mapping[str, State] = {"promote": "accepted", "reject": "rejected"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """`state`, and the number of the audit entry it rests on; None before the first that names the version."""

    version: str
    state: State
    entry: int | None


def report_digest(report: Mapping[str, Any]) -> str:
    """sha256 of a report, as the audit log has it."""
    return hashlib.sha256(canonical_json(report)).hexdigest()


def standing_of(registry: RegistryReader, version: str, entries: Sequence[AuditEntry] | None = None) -> Standing:
    """How a version stands now.

    Args:
        entries: the verified audit log, where the caller has read it already.

    Raises:
        VersionNotFoundError: there is no such version.
        TamperedVersionError: the log, the pointer, or the report that the standing rests on was altered.
    """
    report = registry.report(version)
    entries = registry.audit_entries() if entries is None else entries
    live = registry.live()
    state, last = _last_word(version, entries)
    rests_on = None if last is None else last.sequence
    if live is not None and live.version == version:
        return Standing(version=version, state="live", entry=rests_on)
    recorded = None if last is None else last.details.get("report_sha256")
    if state == "accepted" and (report is None or report_digest(report) != recorded):
        raise TamperedVersionError(f"the report on {version} is not the one recorded; evaluate again", field="report")
    return Standing(version=version, state=state, entry=rests_on)


def may_stay_served(registry: RegistryReader, versions: Iterable[str]) -> dict[str, bool]:
    """Whether versions that were servable once are so still, by the audit log and the pointer alone: their files may be gone.

    Raises:
        TamperedVersionError: the log or the pointer was altered.
    """
    entries, live = registry.audit_entries(), registry.live()
    return {
        version: (live is not None and live.version == version) or _last_word(version, entries)[0] in SERVABLE
        for version in versions
    }


def require_servable(registry: RegistryReader, version: str) -> Standing:
    """The standing of a version that may be served.

    Raises:
        GateRefusedError: the gate has not passed it; says which commands take it there.
        VersionNotFoundError, TamperedVersionError: as `standing_of`.
    """
    standing = standing_of(registry, version)
    if standing.state not in SERVABLE:
        raise GateRefusedError(
            f"the gate has not passed version {version} ({standing.state}); {commands_for(registry, version)}", field="version"
        )
    return standing


def commands_for(registry: RegistryReader, candidate: str) -> str:
    """What to run so that the gate looks at a version or folder."""
    return f"take it there with `python -m builderbrain.gate --registry {registry.root} evaluate {candidate}`"


def _last_word(version: str, entries: Sequence[AuditEntry]) -> tuple[State, AuditEntry | None]:
    """What the log says of a version in the end, and the entry that says so."""
    state: State = "not evaluated"
    last: AuditEntry | None = None
    for entry in entries:
        found = _state_after(entry, version, entries)
        if found is not None and not (found == "accepted" and state == "promoted"):
            state, last = found, entry
    return state, last


def _state_after(entry: AuditEntry, version: str, entries: Sequence[AuditEntry]) -> State | None:
    """What an entry makes of a version; None where it says nothing of it."""
    details = entry.details
    if entry.event == "evaluated" and details["version"] == version:
        return _BY_DECISION.get(details["decision"], "inconclusive")
    if entry.event == RECOVERED and details["moved"]:  # a crash after the pointer moved: the intent says where from
        intent = entries[details["intent"] - 1]
        rolled, moved = intent.event == ROLLBACK[0], intent.details
    else:
        rolled, moved = entry.event == ROLLBACK[1], details if entry.event in (PROMOTION[1], ROLLBACK[1]) else {}
    if rolled and moved.get("from") == version:
        return "rolled back"
    return "promoted" if moved.get("version") == version else None
