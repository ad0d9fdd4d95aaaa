"""Which sandbox this machine has: bubblewrap, else namespaces with landlock; and what each cannot hold back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from builderbrain.errors import SandboxError
from builderbrain.tools.sandbox import cgroup
from builderbrain.tools.sandbox.confinement import Confinement
from builderbrain.tools.sandbox.landlock import landlock_version
from builderbrain.tools.sandbox.launcher import Request

_PACKAGE = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.append({!r}); from builderbrain.tools.sandbox.launcher import main; main()"
_SEARCHED = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """What the machine has.

    Args:
        bubblewrap: path of `bwrap`, None without one that works.
        namespaces: whether namespaces can be made without it.
        landlock: version of the kernel's landlock, 0 without.
        limits_processes: whether the number of processes of a tool can be limited.
    """

    bubblewrap: str | None
    namespaces: bool
    landlock: int
    limits_processes: bool

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is not held back, in words; empty when everything is."""
        isolated = self.bubblewrap is not None or self.namespaces
        found = []
        if self.bubblewrap is None and not self.landlock:
            found.append("files outside the working root can be reached (neither bubblewrap nor landlock)")
        if not isolated:
            found.append("the network can be reached and processes can be left behind (no bubblewrap, no user namespaces)")
        if not self.limits_processes:
            found.append("processes are not limited (the server runs as root and may make no control group)")
        return tuple(found)

    def check(self, confinement: Confinement, descriptors: int) -> None:
        """Refuse what this machine cannot confine.

        Raises:
            SandboxError: the tool may write, and something could not be held back.
        """
        gaps = list(self.gaps)
        if descriptors and not self.landlock:
            gaps.append("a folder that is handed over leads out of the working root (no landlock)")
        if confinement.writes and gaps:
            raise SandboxError(
                f"a tool that changes things is not run here: {'; '.join(gaps)}. Install bubblewrap, allow user namespaces, or "
                "run the server as another user than root"
            )

    def command(
        self,
        command: list[str],
        folder: str,
        confinement: Confinement,
        *,
        timeout_seconds: float,
        scratch: str | None,
        group: str,
    ) -> list[str]:
        """The argument list that runs a command inside.

        Args:
            scratch: folder for temporary files, None without.
            group: folder of a control group to join, "" for none.
        """
        limits = confinement.limits.to_json(timeout_seconds)
        if group or os.geteuid() == 0:
            del limits["NPROC"]  # means nothing to root; the group holds instead
        request = Request(
            command=command,
            folder=folder,
            cgroup="" if self.bubblewrap is not None else group,
            outer=False,
            namespaces=self.bubblewrap is None and self.namespaces,
            landlock=self.landlock > 0,
            readable=confinement.readable(),
            writable=confinement.writable(scratch),
            network=confinement.network,
            limits=limits,
        )
        if self.bubblewrap is None:
            return launcher_command(request)
        inside = [*_bubblewrap(self.bubblewrap, confinement, scratch), "--", *launcher_command(request)]
        if not group:
            return inside
        outside = Request(
            command=inside,
            folder="/",
            cgroup=group,
            outer=True,
            namespaces=False,
            landlock=False,
            readable=[],
            writable=[],
            network=True,
            limits={},
        )
        return launcher_command(outside)


def launcher_command(request: Request) -> list[str]:
    """The argument list that runs the launcher."""
    start = _START.format(str(_PACKAGE.parent))
    return [sys.executable, "-I", "-S", "-B", "-c", start, json.dumps(request)]


def _bubblewrap(program: str, confinement: Confinement, scratch: str | None) -> list[str]:
    """Everything unshared and unmounted but what is named; the root and the temporary folder keep their paths."""
    arguments = [program, "--die-with-parent", "--new-session", "--unshare-all"]
    arguments += ["--share-net"] if confinement.network else []
    arguments += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in confinement.readable():
        if not path.startswith(("/dev/", "/proc/")):
            arguments += ["--ro-bind-try", path, path]
    for path in confinement.writable(scratch):
        if not path.startswith("/dev/"):
            arguments += ["--bind", path, path]
    return arguments


@lru_cache(maxsize=1)
def this_machine() -> Sandbox:
    """The sandbox of this machine, found by trying; blocks for a moment the first time."""
    program = shutil.which("bwrap", path=_SEARCHED) if sys.platform == "linux" else None
    bubblewrap = program if program is not None and _works([program, "--unshare-all", "--ro-bind", "/", "/", "true"]) else None
    version = landlock_version() if sys.platform == "linux" else 0
    return Sandbox(
        bubblewrap=bubblewrap,
        namespaces=_works(launcher_command(_trial())),
        landlock=version,
        limits_processes=os.geteuid() != 0 or cgroup.parent_folder() is not None,
    )


def _trial() -> Request:
    return Request(
        command=["/bin/true"],
        folder="/",
        cgroup="",
        outer=False,
        namespaces=True,
        landlock=False,
        readable=[],
        writable=[],
        network=False,
        limits={},
    )


def _works(command: list[str]) -> bool:
    try:
        finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, env={})
    except (OSError, subprocess.SubprocessError):
        return False
    return finished.returncode == 0
