"""The one place where a tool starts a process.

An argument list and no shell, an environment of fixed names, standard input closed unless asked for, output capped, a sandbox,
and a process group of its own that is killed whole, with all that its processes left behind, when time is up, when output is
over the cap, when the caller is cancelled, and at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
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
    async with open_process(
        command,
        folder=folder,
        timeout_seconds=timeout_seconds,
        confinement=confinement,
        descriptors=descriptors,
        environment=variables,
    ) as process:
        name = os.path.basename(command[0])
        try:
            with anyio.fail_after(timeout_seconds):
                finished = await _collect(process, max_output_bytes)
        except TimeoutError:
            raise ToolTimeoutError(f"{name} ran longer than {timeout_seconds:g} s and was stopped") from None
    refused = refusal(finished.status, finished.error)
    if refused is not None:
        raise SandboxError(f"{name} cannot be started: {refused}")
    return finished


@asynccontextmanager
async def open_process(
    command: Sequence[str],
    *,
    folder: str,
    timeout_seconds: float,
    confinement: Confinement,
    descriptors: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    search: Sequence[str] = (),
    listens: bool = False,
) -> AsyncIterator[Process]:
    """A confined program while it runs; at the end of the `async with`, however it comes, all its processes are dead.

    Args:
        timeout_seconds: what the limit on processor time is made of; whoever waits for the program keeps the time.
        environment: variables that it sees beside `ENVIRONMENT`.
        search: folders in which it is looked for, before those of `ENVIRONMENT`.
        listens: whether its standard input is a pipe; else it is closed.

    Raises:
        SandboxError: it may change things, and this machine cannot confine it.
        ToolError: it could not be started.
    """
    name = os.path.basename(command[0])
    program = shutil.which(command[0], path=os.pathsep.join([*search, ENVIRONMENT["PATH"]]))
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
        temporary = {"HOME": scratch, "TMPDIR": scratch} if scratch is not None else {}
        try:
            process = await anyio.open_process(
                inside,
                stdin=PIPE if listens else DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                cwd="/",
                env={**ENVIRONMENT, **(environment or {}), **temporary},
                start_new_session=True,
                pass_fds=tuple(descriptors),
            )
        except OSError as error:
            raise ToolError(f"{name} cannot be started: {error.strerror}") from error
        try:
            yield process
        finally:
            _kill_group(process.pid)
            with anyio.CancelScope(shield=True):
                await process.aclose()


def refusal(status: int | None, error: bytes) -> str | None:
    """Why the sandbox could not be entered, read from how the process ended; None when it was entered."""
    said = error.decode("utf-8", "replace")
    return said.strip().removeprefix(PREFIX) if status == REFUSED and said.startswith(PREFIX) else None


@contextmanager
def _scratch() -> Iterator[str]:
    """An empty folder for temporary files, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="builderbrain-tool-", ignore_cleanup_errors=True) as folder:
        yield folder


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
