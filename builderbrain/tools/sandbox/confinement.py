"""What a process of a tool may reach, and how much of the machine it may use."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/opt")
"""Programs and libraries."""
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)
NETWORK_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates")
PROCESSORS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu")
"""What programs that count processors read; for `reads` of a tool that runs such programs."""
DEVICES = ("/dev/null",)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the whole tree of processes: `processes`. Of each process: the rest, in bytes and numbers."""

    processes: int = 64
    memory_bytes: int = 4 * 1024**3
    file_bytes: int = 256 * 1024**2
    open_files: int = 256

    def to_json(self, timeout_seconds: float) -> dict[str, int]:
        """Resource limits by name, for the launcher. Processor time is what all cores could give within the time limit."""
        return {
            "NPROC": self.processes,
            "AS": self.memory_bytes,
            "FSIZE": self.file_bytes,
            "NOFILE": self.open_files,
            "CORE": 0,
            "CPU": int(timeout_seconds) * 8 + 2,
        }


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """One tool's bounds.

    Args:
        root: folder of the working root.
        writes: whether it may change the root. Then it also has an empty folder of its own for temporary files.
        network: whether it may reach the network.
        reads: further files and folders it may read.
    """

    root: Path
    writes: bool = False
    network: bool = False
    reads: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def readable(self) -> list[str]:
        """What may be read and executed."""
        python = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parent), str(_PACKAGE)}
        network = NETWORK_FILES if self.network else ()
        own = () if self.writes else (str(self.root),)
        return [*SYSTEM, *SYSTEM_FILES, *network, *sorted(python), *self.reads, *own]

    def writable(self, scratch: str | None) -> list[str]:
        """What may be changed."""
        own = (str(self.root),) if self.writes else ()
        return [*DEVICES, *own, *((scratch,) if scratch is not None else ())]
