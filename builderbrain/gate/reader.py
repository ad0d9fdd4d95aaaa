"""Reading the registry: what is live, which versions there are, and whether every byte is as it was written.

Takes no lock and writes nothing, so that a server may look while a promoter works. The layout is described in `registry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builderbrain.errors import BuilderBrainError, TamperedVersionError, VersionNotFoundError
from builderbrain.gate.audit import AuditEntry, AuditLog
from builderbrain.signing import SigningKey
from builderbrain.storage import MANIFEST_NAME, SIGNATURE_NAME, Manifest, read_verified_directory

ID_LENGTH = 16
"""Hexadecimal digits of a version id."""
PROMOTION = ("promoting", "promoted")
ROLLBACK = ("rolling back", "rolled back")
RECOVERED = "recovered"
SETTLED = (PROMOTION[1], ROLLBACK[1], RECOVERED)
"""Events after which the pointer's sequence number is known."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """The pointer: the live version, the ones live before it (newest first), and how often the pointer moved."""

    version: str
    previous: tuple[str, ...]
    sequence: int


@dataclass(frozen=True, kw_only=True)
class VersionInformation:
    """One version as `list` shows it; `fault` says why it would be refused."""

    version: str
    live: bool
    parent: str | None
    verdict: str | None
    information: Mapping[str, Any]
    fault: str | None = None


class RegistryReader:
    """The versions under one folder.

    Args:
        root: the folder, `versions/` by default on the command line; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._key = SigningKey(root / ".key")

    def live(self) -> Live | None:
        """The pointer, or None when nothing was promoted yet. Files are not verified here; see `live_path`.

        Raises:
            TamperedVersionError: the pointer is torn, its signature does not match, or it was deleted.
        """
        path = self.root / "live"
        if not path.exists():
            # Looked at again after the log, because a first promotion may have come in between.
            promoted = any(entry.event in SETTLED and entry.details["sequence"] for entry in self.audit_entries())
            if promoted and not path.exists():
                message = f"{path} is gone, though a version was live; restore it from a backup"
                raise TamperedVersionError(message, field="live")
            if not promoted:
                return None
        value = self._key.read(path)
        return Live(version=value["version"], previous=tuple(value["previous"]), sequence=value["sequence"])

    def live_path(self) -> Path:
        """Folder of the live version, verified, for loading.

        Raises:
            VersionNotFoundError: nothing is live.
            TamperedVersionError: the pointer or a file does not match.
        """
        live = self.live()
        if live is None:
            raise VersionNotFoundError(f"no version is live in {self.root}; promote one first", field="registry")
        self.verify(live.version)
        return self.root / live.version

    def versions(self) -> tuple[str, ...]:
        """Ids of all versions, sorted."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.root.iterdir() if _is_id(path.name)))

    def list(self) -> tuple[VersionInformation, ...]:
        """Every version with its state, damaged ones included."""
        live = self.live()
        rows = []
        for version in self.versions():
            information: Mapping[str, Any] = {}
            fault = verdict = None
            try:
                information = self.verify(version).information
                report = self.report(version)
                verdict = report["verdict"]["decision"] if report else None
            except BuilderBrainError as error:
                fault = error.message
            is_live = live is not None and live.version == version
            parent = information.get("parent")
            rows.append(
                VersionInformation(
                    version=version, live=is_live, parent=parent, verdict=verdict, information=information, fault=fault
                )
            )
        return tuple(rows)

    def verify(self, version: str) -> Manifest:
        """Check one version: every digest, the signature, and that its id is the hash of its files.

        Raises:
            VersionNotFoundError: there is no such version.
            TamperedVersionError: a file is torn, altered, missing or foreign; `field` names it.
        """
        path = self._path(version)
        manifest = read_verified_directory(path, error=TamperedVersionError, ignore=frozenset({SIGNATURE_NAME}))
        try:
            signature = (path / SIGNATURE_NAME).read_bytes()
        except OSError as error:
            raise TamperedVersionError(f"{path} has no signature; add the version again", field=SIGNATURE_NAME) from error
        if not self._key.matches("version", (path / MANIFEST_NAME).read_bytes(), signature):
            raise TamperedVersionError(f"{path}: the signature is not of this registry; add it again", field=SIGNATURE_NAME)
        if manifest.content_hash()[:ID_LENGTH] != version:
            raise TamperedVersionError(f"{path} holds the files of {manifest.content_hash()[:ID_LENGTH]}", field=MANIFEST_NAME)
        return manifest

    def verify_all(self) -> dict[str, BuilderBrainError | None]:
        """The fault of each version and of the audit log (under "audit"), None where all is well."""
        results: dict[str, BuilderBrainError | None] = {}
        for name in (*self.versions(), "live", "audit"):
            try:
                if name == "audit":
                    self.audit_entries()
                elif name != "live":
                    self.verify(name)
                elif self.check_pointer(self.audit_entries()) is not None:
                    self.live_path()
                results[name] = None
            except BuilderBrainError as error:
                results[name] = error
        return results

    def report(self, version: str) -> dict[str, Any] | None:
        """The last evaluation of a version, its signature checked, or None.

        Raises:
            TamperedVersionError: the report was altered.
        """
        self._path(version)
        path = self.root / "reports" / f"{version}.json"
        return self._key.read(path) if path.exists() else None

    def read_signed(self, path: Path) -> dict[str, Any]:
        """A small file that this registry's key has signed.

        Raises:
            TamperedVersionError: it is torn or altered.
        """
        return self._key.read(path)

    def audit_entries(self) -> tuple[AuditEntry, ...]:
        """The verified audit log; none in a registry that nothing has been done in yet.

        Raises:
            TamperedVersionError: it was altered, or deleted: what else is there could not be without it.
        """
        path = self.root / "audit.jsonl"
        if path.exists():
            return tuple(self._audit().verify())
        # A crash in the first addition leaves one version without a line; anything more was logged.
        traces = [self.root / "live", path.with_name(path.name + ".head"), *(self.root / "reports").glob("*.json")]
        if len(self.versions()) > 1 or any(trace.exists() for trace in traces):
            raise TamperedVersionError(f"{path} is gone, but the registry has been used; restore it", field="audit")
        return ()

    def check_pointer(self, entries: Sequence[AuditEntry]) -> Live | None:
        """The pointer, compared with the audit log: a pointer that was deleted or put back from an older day shows.

        Raises:
            TamperedVersionError: the pointer is not the one that the last move wrote.
        """
        live = self.live()
        found = live.sequence if live else 0
        allowed = {next((entry.details["sequence"] for entry in reversed(entries) if entry.event in SETTLED), 0)}
        moves = [entry for entry in entries if entry.event in {*PROMOTION, *ROLLBACK, RECOVERED}]
        if moves and moves[-1].event not in SETTLED:
            # A crash, or a promoter at work: the intent is written, and the pointer may have moved or not.
            allowed.add(moves[-1].details["sequence"])
        if found not in allowed:
            message = f"the pointer is at move {found}, but the audit log at {max(allowed)}; restore {self.root / 'live'}"
            raise TamperedVersionError(message, field="live")
        return live

    def _audit(self) -> AuditLog:
        return AuditLog(self.root / "audit.jsonl", self._key.load())

    def _path(self, version: str) -> Path:
        path = self.root / version
        if not _is_id(version) or not path.is_dir() or path.is_symlink():
            known = ", ".join(self.versions()) or "none"
            raise VersionNotFoundError(f"no version {version!r} in {self.root}; known: {known}", field="version")
        return path


def _is_id(name: str) -> bool:
    return len(name) == ID_LENGTH and all(character in "0123456789abcdef" for character in name)
