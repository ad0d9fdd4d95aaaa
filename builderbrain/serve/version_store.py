"""The registry as the running server uses it: what may be served, loading it, and moving the pointer by the gate's rules.

Reading takes no lock. The server has no rule of its own for what goes live: `promote` and `rollback` are the registry's own
operations, which look for the evidence, hold the lock and write the audit log, exactly as the command line's do. The one thing
refused here is the first version of an empty registry, which would go live without any report.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from builderbrain.decode.model import TokenModel
from builderbrain.errors import BuilderBrainError, ConfigError, ConflictError, GateRefusedError
from builderbrain.gate.rail_folder import read_rail_folder
from builderbrain.gate.reader import ID_LENGTH, RegistryReader
from builderbrain.gate.registry import Registry
from builderbrain.gate.standing import commands_for, may_stay_served, require_servable, standing_of
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.fitting import misfit
from builderbrain.rail.rail import BuilderRail

logger = logging.getLogger(__name__)


class VersionStore:
    """The registry under `root`.

    Args:
        make: from a rail and its version to a model over the served base.
        host: the served base.
    """

    def __init__(self, root: Path, *, host: Host, make: Callable[[BuilderRail, str], TokenModel]) -> None:
        self.reader = RegistryReader(root)
        self._host = host
        self._make = make
        self._opened: Callable[[TokenModel], object] = lambda model: None

    def on_open(self, listener: Callable[[TokenModel], object]) -> None:
        """Tell of every model that `open` makes."""
        self._opened = listener

    def opened(self, model: TokenModel) -> None:
        """Tell the listener of a model that was made elsewhere."""
        self._opened(model)

    def tensors(self, version: str) -> Mapping[str, Tensor] | None:
        """The tensors of a version's file, verified; None where the registry has no such version.

        Raises:
            TamperedVersionError: a file of the version was altered.
        """
        if version not in self.reader.versions():
            return None
        self.reader.verify(version)
        return load_rail(self.reader.root / version).state_dict()

    def live(self) -> str | None:
        """The live version."""
        live = self.reader.live()
        return None if live is None else live.version

    def rows(self) -> list[dict[str, Any]]:
        """Every version as JSON values, damaged ones included. Reads and hashes every file."""
        entries = self.reader.audit_entries()
        found = []
        for row in self.reader.list():
            state, fault = "damaged", row.fault
            if fault is None:
                try:
                    state = standing_of(self.reader, row.version, entries).state
                except BuilderBrainError as error:
                    fault = error.message
            found.append({"id": row.version, "object": "version", "live": row.live, "parent": row.parent,
                          "standing": state, "fault": fault})  # fmt: skip
        return found

    def may_stay_served(self, versions: Iterable[str]) -> dict[str, bool]:
        """Whether the gate still passes versions that were admitted once; see `gate.standing.may_stay_served`."""
        return may_stay_served(self.reader, versions)

    def mark(self) -> tuple[int, int] | None:
        """Changes whenever the audit log does; None while there is no log. Costs no reading."""
        try:
            found = (self.reader.root / "audit.jsonl").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size

    def admit(self, version: str) -> str:
        """The version, if the gate has passed it.

        Raises:
            GateRefusedError: it has not.
            VersionNotFoundError, TamperedVersionError: there is no such version, or a file of it was altered.
        """
        require_servable(self.reader, version)
        self.reader.verify(version)
        return version

    def admit_path(self, path: str) -> str:
        """The version that a path stands for: an id, or a folder with the files of a version that the gate has passed.

        The folder is only compared. What is served is the registry's own copy, so that nothing can change in between.

        Raises:
            GateRefusedError: the registry has no such version, or the gate has not passed it.
        """
        if path in self.reader.versions():
            return self.admit(path)
        try:
            version = read_rail_folder(Path(path)).content_hash()[:ID_LENGTH]
        except (BuilderBrainError, OSError, ValueError) as error:
            reason = error.message if isinstance(error, BuilderBrainError) else str(error)
            raise GateRefusedError(
                f"expected a version of the registry or the folder of one, got {path!r}: {reason}", field="lora_path"
            ) from error
        if version not in self.reader.versions():
            raise GateRefusedError(
                f"the gate does not know the files in {path!r}; {commands_for(self.reader, path)}, then load that version",
                field="lora_path",
            )
        return self.admit(version)

    def open(self, version: str) -> TokenModel:
        """A version as a model over the served base, its files verified.

        Raises:
            ConflictError: the rail was trained beside another base.
            CheckpointError, TamperedVersionError: it cannot be loaded.
        """
        self.reader.verify(version)
        rail = load_rail(self.reader.root / version)
        wrong = misfit(rail.config, self._host)
        if wrong is not None:
            raise ConflictError(f"version {version} does not fit the base that is served: {wrong}", field="version")
        model = self._make(rail, version)
        self._opened(model)
        return model

    def promote(self, version: str, *, expected_live: str | None) -> dict[str, Any]:
        """Make a version live, on the evidence of its recorded report.

        Args:
            expected_live: refuse unless this version is live; None takes the one that is.

        Raises:
            GateRefusedError: there is no report, or it does not say "promote", or live has moved since.
            RegistryBusyError: another promoter is at work, or live is not `expected_live`.
        """
        live = self.live()
        command = f"python -m builderbrain.gate --registry {self.reader.root} promote {version}"
        if live is None:
            raise GateRefusedError(
                f"nothing is live in the registry that {version} could have been measured against; the first one is promoted "
                f"on the command line: `{command}`",
                field="version",
            )
        self.open(version)  # one that this server could not follow stays where it is
        try:
            moved = Registry(self.reader.root).promote(version, expected_live=expected_live or live)
        except ConfigError as error:
            raise GateRefusedError(f"{error.message}; {commands_for(self.reader, version)}", field="version") from error
        logger.info("version %s was promoted", version)
        return {"live": moved.version, "previous": list(moved.previous), "sequence": moved.sequence}

    def rollback(self, *, expected_live: str | None, evidence: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make the newest former version that still verifies live again. `evidence` says in the audit log why.

        Raises:
            RegistryBusyError, VersionNotFoundError: as the registry says.
        """
        moved = Registry(self.reader.root).rollback(expected_live=expected_live, evidence=evidence)
        logger.info("version %s was rolled back to", moved.version)
        return {"live": moved.version, "previous": list(moved.previous), "sequence": moved.sequence}
