"""The one place where a tool starts a process.

An argument list and no shell, an environment of fixed names, standard input closed, output capped, a sandbox, and a process
group of its own that is killed whole, with all that its processes left behind, when time is up, when output is over the cap,
when the caller is cancelled, and at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from builderbrain.errors import SandboxError, ToolError, ToolTimeoutError
from builderbrain.tools.sandbox.cgroup import process_limit
from builderbrain.tools.sandbox.choose import this_machine
from builderbrain.tools.sandbox.confinement import Confinement
from builderbrain.tools.sandbox.launcher import PREFIX, REFUSED

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
"""All a child sees: neither keys nor tokens nor configuration of the server."""

MAX_ERROR_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a process left. `cut` says that output was over the cap and the process was stopped for it."""

    status: int
    output: bytes
    error: bytes
    cut: bool


async def run_process(
    command: Sequence[str],
    *,
    folder: str,
    timeout_seconds: float,
    max_output_bytes: int,
    confinement: Confinement,
    descriptors: Sequence[int] = (),
    variables: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program to its end, confined.

    Args:
        command: program and arguments; text from a plan comes after `--` or as the value of an option.
        folder: where it starts.
        confinement: what it may reach.
        descriptors: open files that the child inherits under the same numbers.
        variables: settings of the program, beside the fixed environment.

    Raises:
        ToolTimeoutError: it ran longer than `timeout_seconds`; all its processes are dead.
        SandboxError: it may change things, and this machine cannot confine it.
        ToolError: it could not be started.
    """
    name = os.path.basename(command[0])
    program = shutil.which(command[0], path=ENVIRONMENT["PATH"])
    if program is None:
        raise ToolError(f"{command[0]} cannot be started: there is no such program")
    sandbox = await anyio.to_thread.run_sync(this_machine)
    sandbox.check(confinement, len(descriptors))
    with ExitStack() as held:
        scratch = held.enter_context(_scratch()) if confinement.writes else None
        rooted = os.geteuid() == 0 and sandbox.limits_processes
        group = held.enter_context(process_limit(confinement.limits.processes)) if rooted else ""
        inside = sandbox.command(
            [program, *command[1:]], folder, confinement, timeout_seconds=timeout_seconds, scratch=scratch, group=group
        )
        own = {} if scratch is None else {"HOME": scratch, "TMPDIR": scratch}
        environment = {**(variables or {}), **ENVIRONMENT, **own}
        finished = await _run(inside, name, environment, timeout_seconds, max_output_bytes, descriptors)
    if finished.status == REFUSED and finished.error.decode("utf-8", "replace").startswith(PREFIX):
        raise SandboxError(
            f"{name} cannot be started: {finished.error.decode('utf-8', 'replace').strip().removeprefix(PREFIX)}"
        )
    return finished


@contextmanager
def _scratch() -> Iterator[str]:
    """An empty folder for temporary files, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="builderbrain-tool-", ignore_cleanup_errors=True) as folder:
        yield folder


async def _run(
    command: Sequence[str],
    name: str,
    environment: dict[str, str],
    timeout_seconds: float,
    max_output_bytes: int,
    descriptors: Sequence[int],
) -> Finished:
    try:
        process = await anyio.open_process(
            list(command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd="/",
            env=environment,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    except OSError as error:
        raise ToolError(f"{name} cannot be started: {error.strerror}") from error
    try:
        with anyio.fail_after(timeout_seconds):
            return await _collect(process, max_output_bytes)
    except TimeoutError:
        raise ToolTimeoutError(f"{name} ran longer than {timeout_seconds:g} s and was stopped") from None
    finally:
        _kill_group(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _collect(process: Process, limit: int) -> Finished:
    if process.stdout is None or process.stderr is None:
        raise ToolError("the process has no pipes for its output")
    output, error = bytearray(), bytearray()
    cut = False

    async def read_error(stream: ByteReceiveStream) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                chunk = await stream.receive()
                error.extend(chunk[: MAX_ERROR_BYTES - len(error)])

    async with anyio.create_task_group() as group:
        group.start_soon(read_error, process.stderr)
        with suppress(anyio.EndOfStream):
            while not cut:
                chunk = await process.stdout.receive()
                cut = len(output) + len(chunk) > limit
                output.extend(chunk[: limit - len(output)])
        if cut:
            _kill_group(process.pid)
            group.cancel_scope.cancel()
    status = await process.wait()
    return Finished(status=status, output=bytes(output), error=bytes(error), cut=cut)


def _kill_group(leader: int) -> None:
    """The leader started a session of its own, so that its number is the group's. Gone already is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
