"""Commands of training in processes of their own, forked off one that has imported everything, so that they start at once."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PRELOADED = ["builderbrain.train.setup", "builderbrain.train.__main__", "builderbrain.data.ingest", "torch.distributed",
             "transformers.models.llama.modeling_llama", "tests.train.processes"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What befalls a command: at fail point number `at` (from 0) it is killed, or the disk is full; or files may not grow over
    `largest_file` bytes, as on a disk that is full, for real. `points` receives the names of the fail points passed."""

    at: int | None = None
    kind: str = "kill"
    largest_file: int | None = None
    points: Path | None = None


@dataclass(kw_only=True)
class Command:
    """`python -m builderbrain.train ARGUMENTS`, started at once; `folder` receives what it prints."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._process = context.Process(
            target=_run, args=(list(self.arguments), str(self.folder), dict(self.environment), self.trouble), daemon=True
        )
        self._process.start()

    def wait_until(self, sign: Callable[[], bool], *, within: float = 150) -> None:
        """Until there is a sign, the command is over, or time is up."""
        deadline = time.monotonic() + within
        while self._process.is_alive() and not sign() and time.monotonic() < deadline:
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def status(self, *, within: float = 150) -> int:
        """Exit status, or minus the signal that ended it; it is killed when time is up."""
        self._process.join(within)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(10)
            raise TimeoutError(f"{self.arguments} was not over after {within} seconds: {self.errors}")
        return int(self._process.exitcode or 0)

    @property
    def output(self) -> str:
        """What it printed."""
        return (self.folder / "stdout").read_text()

    @property
    def errors(self) -> str:
        """What it complained of."""
        return (self.folder / "stderr").read_text()


def _run(arguments: list[str], folder: str, environment: dict[str, str], trouble: Trouble) -> None:
    """In the child."""
    import resource

    import torch

    from builderbrain.storage import fail_point_hook
    from builderbrain.train.__main__ import main

    os.environ.update({"CUDA_VISIBLE_DEVICES": "", **environment})
    for name, number in (("stdout", 1), ("stderr", 2)):
        target = os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    torch.set_num_threads(1)
    os.fsync = lambda descriptor: None  # a killed process loses nothing it has written
    passed: list[str] = []

    def hook(name: str) -> None:
        passed.append(name)
        if len(passed) - 1 == trouble.at:
            if trouble.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if trouble.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (trouble.largest_file, resource.RLIM_INFINITY))
    with fail_point_hook(hook):
        status = main(arguments)
    if trouble.points is not None:
        trouble.points.write_text("\n".join(passed))
    sys.exit(status)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
