"""How a server is started, and what it may reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builderbrain.tools.sandbox.confinement import Confinement, Limits


@dataclass(frozen=True, kw_only=True)
class McpServer:
    """One server, spoken to over its standard input and output.

    Args:
        name: what it is called in messages.
        command: program and arguments. A program without a slash is looked for beside this Python first.
        environment: names of variables of this process that it sees; those that are not set are left out.
        network: whether it may reach the network.
        reads: files and folders that it may read beside the working root, programs, libraries and this Python.
        memory_bytes: address space of each of its processes.
    """

    name: str
    command: tuple[str, ...]
    environment: tuple[str, ...] = ()
    network: bool = False
    reads: tuple[str, ...] = ()
    memory_bytes: int = 4 * 1024**3

    def confinement(self, root: Path, *, writes: bool) -> Confinement:
        """What it may reach while it works in `root`."""
        limits = Limits(memory_bytes=self.memory_bytes)
        return Confinement(root=root, writes=writes, network=self.network, reads=self.reads, limits=limits)
