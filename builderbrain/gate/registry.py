"""The registry of rail versions and the pointer to the live one.

    versions/
      <id>/            one immutable version: rail files, manifest.json (digests, parent, seeds, ...), signature
      reports/<id>.json  the last signed evaluation of a version
      live             the pointer: a small signed file that names the live version and those before it
      audit.jsonl      who did what, on which evidence
      .key  .lock

An id is the hash of the files' digests, so equal weights are one version and a changed file is another. The pointer is a
file rather than a symbolic link because it can carry a signature and the way back: live, the previous versions and a
sequence number move together in one rename. Every change holds the lock; readers take none.

A promotion is written to the audit log before the pointer moves ("promoting") and after ("promoted"). What a crash leaves in
between is settled by the next writer from the pointer, which alone decides what is live.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from builderbrain.errors import (
    BuilderBrainError,
    ConfigError,
    RegistryBusyError,
    TamperedVersionError,
    VersionNotFoundError,
)
from builderbrain.gate.audit import AuditLog
from builderbrain.gate.rail_folder import read_rail_folder
from builderbrain.gate.reader import ID_LENGTH, PROMOTION, RECOVERED, ROLLBACK, SETTLED, Live, RegistryReader
from builderbrain.gate.standing import report_digest
from builderbrain.gate.verdict import recompute
from builderbrain.storage import (
    declare_fail_points,
    exclusive_lock,
    fail_point,
    remove_stale,
    write_directory_atomic,
)

declare_fail_points("registry.added", "registry.promoting", "registry.moved", "registry.promoted", "registry.pruned")


class Registry(RegistryReader):
    """The versions under one folder, and the right to change them. The first change makes the folder, its key and lock.

    Args:
        root: the folder.
        keep: how many former live versions stay loadable, and how many candidates beside them.
    """

    def __init__(self, root: Path, *, keep: int = 3) -> None:
        if keep < 1:
            raise ConfigError(f"expected to keep at least 1 version to roll back to, got {keep}", field="keep")
        super().__init__(root)
        self.keep = keep

    def add(self, folder: Path, *, parent: str | None = None, information: Mapping[str, Any] | None = None) -> str:
        """Copy a rail folder into the registry and return its id; adding the same files again changes nothing.

        Args:
            folder: holds config.json and rail.safetensors; a manifest, when there is one, must match.
            parent: the version it was trained from.
            information: data hash, seeds, library versions, ... (JSON values), added to the folder's own.

        Raises:
            ConfigError: a file is missing, a link, or of a kind that versions do not hold.
            CheckpointError: the folder's own manifest does not match.
        """
        rail = read_rail_folder(folder)
        version = rail.content_hash()[:ID_LENGTH]
        with self._writing() as audit:
            if (self.root / version).exists():
                self.verify(version)
                return version
            if parent is not None:
                self._path(parent)
            write_directory_atomic(
                self.root / version,
                rail.sources(),
                information={**rail.information, **(information or {}), "parent": parent},
                sign=partial(self._key.sign, "version"),
            )
            fail_point("registry.added")
            self.verify(version)
            details = {"version": version, "parent": parent}
            merged = (information or {}).get("merge")
            audit.append("added", details if merged is None else {**details, "merge": merged})
        return version

    def write_signed(self, path: Path, value: Mapping[str, Any]) -> None:
        """Keep a small file beside the versions, signed, in one step (JSON values).

        Raises:
            OSError: the write failed; the file is as it was.
        """
        self._key.write(path, value)

    def begin_attempt(self, version: str) -> int:
        """Number of a new evaluation, from 1. Recorded before it runs, so that a discarded try still spends its alpha."""
        with self._writing() as audit:
            self.verify(version)
            attempt = 1 + sum(entry.event == "attempt" for entry in audit.verify())
            audit.append("attempt", {"version": version, "attempt": attempt})
            return attempt

    def record_refusal(self, version: str, *, field: str | None, reason: str) -> None:
        """Note in the audit log that an evaluation was refused: its battery, judge or data would not do.

        Raises:
            RegistryBusyError: another process is at work.
        """
        with self._writing() as audit:
            audit.append("refused", {"version": version, "field": field, "reason": reason})

    def record_report(self, report: Mapping[str, Any]) -> Path:
        """Sign and keep an evaluation, and note its hash in the audit log.

        Raises:
            ConfigError: its verdict does not follow from its readings, or its try was not announced.
        """
        version = str(report.get("candidate"))
        _check_verdict(report)
        with self._writing() as audit:
            self._path(version)
            announced = {"version": version, "attempt": report["attempt"]}
            if not any(entry.event == "attempt" and entry.details == announced for entry in audit.verify()):
                raise ConfigError(f"try {report['attempt']} of {version} was not announced; evaluate again", field="attempt")
            path = self.root / "reports" / f"{version}.json"
            path.parent.mkdir(exist_ok=True)
            self._key.write(path, report)
            evidence = {"report_sha256": report_digest(report), "decision": report["verdict"]["decision"]}
            audit.append("evaluated", {**announced, **evidence})
        return path

    def promote(self, version: str, *, expected_live: str | None) -> Live:
        """Make `version` live, on the evidence of its recorded report.

        The first version of an empty registry needs no report: there is nothing to compare it with, and the audit log says
        "bootstrap".

        Args:
            version: a version of this registry.
            expected_live: what the caller believes is live (compare and swap).

        Raises:
            RegistryBusyError: another promoter is at work, or live is not `expected_live`.
            ConfigError: there is no report, it does not promote, or it compares against another live version.
            TamperedVersionError: a file of the version, its report or the log was altered.
        """
        with self._writing() as audit:
            self.verify(version)
            live = self.live()
            self._compare(live, expected_live)
            if live is not None and live.version == version:
                raise ConfigError(f"{version} is live already; name another version", field="version")
            if live is None:
                evidence: dict[str, Any] = {"bootstrap": True}
            else:
                evidence = {"bootstrap": False, "report_sha256": report_digest(self._promoting_report(audit, version, live))}
            former = (live.version, *live.previous) if live else ()
            previous = tuple(name for name in former if name != version)[: self.keep]
            moved = Live(version=version, previous=previous, sequence=live.sequence + 1 if live else 1)
            self._move(audit, PROMOTION, live, moved, evidence)
            self._prune(audit, moved)
            return moved

    def rollback(self, *, expected_live: str | None = None, evidence: Mapping[str, Any] | None = None) -> Live:
        """Make the newest former version that still verifies live again.

        Args:
            evidence: why, for the audit log (JSON values).

        Raises:
            RegistryBusyError: another promoter is at work, or live is not `expected_live` (when given).
            VersionNotFoundError: no former version is left.
        """
        if not self.root.exists():
            raise VersionNotFoundError(f"nothing is live in {self.root}; promote a version first", field="registry")
        with self._writing() as audit:
            live = self.live()
            if expected_live is not None:
                self._compare(live, expected_live)
            if live is None:
                raise VersionNotFoundError(f"nothing is live in {self.root}; promote a version first", field="registry")
            skipped: dict[str, str] = {}
            for index, version in enumerate(live.previous):
                try:
                    self.verify(version)
                except BuilderBrainError as error:
                    skipped[version] = error.message
                    continue
                moved = Live(version=version, previous=live.previous[index + 1 :], sequence=live.sequence + 1)
                return self._move(audit, ROLLBACK, live, moved, {"skipped": skipped, **(evidence or {})})
            refused = "; ".join(skipped.values()) or "there is none"
            raise VersionNotFoundError(f"no former version to go back to: {refused}; promote another one", field="registry")

    def _promoting_report(self, audit: AuditLog, version: str, live: Live) -> dict[str, Any]:
        """The version's report, if it is the last one recorded, promotes, and live has not moved since."""
        report = self.report(version)
        if report is None:
            raise ConfigError(f"{version} has no report; run `evaluate` on it first", field="report")
        _check_verdict(report)
        entries = audit.verify()
        evaluated = [entry for entry in entries if entry.event == "evaluated" and entry.details["version"] == version]
        if not evaluated or evaluated[-1].details["report_sha256"] != report_digest(report):
            raise TamperedVersionError(f"the report on {version} is not the last one recorded; evaluate again", field="report")
        decision, reasons = report["verdict"]["decision"], report["verdict"]["reasons"]
        if decision != "promote":
            raise ConfigError(f"the verdict on {version} is {decision}: {'; '.join(reasons)}", field="report")
        if report["live"] != live.version:
            message = f"the report compares {version} with {report['live']}, but {live.version} is live; evaluate again"
            raise ConfigError(message, field="report")
        later = entries[evaluated[-1].sequence :]
        if any(entry.event in SETTLED and entry.details.get("moved", True) for entry in later):
            message = f"the report on {version} was made before live moved (to {live.version}); evaluate again"
            raise ConfigError(message, field="report")
        return report

    def _compare(self, live: Live | None, expected: str | None) -> None:
        found = live.version if live else None
        if found != expected:
            raise RegistryBusyError(
                f"expected {expected or 'nothing'} to be live, got {found or 'nothing'}; read it again", field="expected_live"
            )

    def _move(
        self, audit: AuditLog, events: tuple[str, str], live: Live | None, moved: Live, evidence: Mapping[str, Any]
    ) -> Live:
        source = live.version if live else None
        details = {"version": moved.version, "from": source, "sequence": moved.sequence, **evidence}
        audit.append(events[0], details)
        fail_point("registry.promoting")
        self._key.write(self.root / "live", asdict(moved))
        fail_point("registry.moved")
        audit.append(events[1], details)
        fail_point("registry.promoted")
        return moved

    def _settle(self, audit: AuditLog) -> None:
        """After a crash between intent and completion, write down which of the two the pointer shows."""
        entries = audit.verify()
        live = self.check_pointer(entries)
        moves = [entry for entry in entries if entry.event in {*PROMOTION, *ROLLBACK, RECOVERED}]
        if moves and moves[-1].event not in SETTLED:
            sequence = live.sequence if live else 0
            details = {"intent": moves[-1].sequence, "moved": sequence == moves[-1].details["sequence"], "sequence": sequence}
            audit.append(RECOVERED, {**details, "live": live.version if live else None})

    def _prune(self, audit: AuditLog, live: Live) -> None:
        """Remove candidates beyond the newest `keep`; live and its predecessors are never touched."""
        kept = {live.version, *live.previous}
        # By the log and not by the files' times, which a jump of the clock puts in disorder.
        added = {entry.details["version"]: entry.sequence for entry in audit.verify() if entry.event == "added"}
        others = [version for version in self.versions() if version not in kept]
        others.sort(key=lambda version: (added.get(version, 0), version))
        for version in others[: max(0, len(others) - self.keep)]:
            # Renamed first, so that a crash while deleting leaves a stale name and not a torn version.
            doomed = self.root / f".{version}.{secrets.token_hex(4)}.tmp"
            os.rename(self.root / version, doomed)
            fail_point("registry.pruned")
            shutil.rmtree(doomed)
            audit.append("pruned", {"version": version})

    @contextmanager
    def _writing(self) -> Iterator[AuditLog]:
        self.root.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.root / ".lock"):
            if not (self.root / "audit.jsonl").exists() and not self.versions():
                self._key.create()
            for folder in (self.root, self.root / "reports"):
                remove_stale(folder)
            audit = self._audit()
            self._settle(audit)
            yield audit


def _check_verdict(report: Mapping[str, Any]) -> None:
    verdict = recompute(report)
    if report.get("verdict") != verdict.to_json():
        message = f"the stored verdict is not the one its readings give ({verdict.decision}); evaluate again"
        raise ConfigError(message, field="verdict")
