"""The one place where a tool starts a process.

An argument list and no shell, an environment of four fixed names, standard input closed, output capped, a process group of
its own that is killed whole when time is up, when output is over the cap, when the caller is cancelled, and at the end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import ByteReceiveStream, Process

from builderbrain.errors import ToolError, ToolTimeoutError

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
    command: Sequence[str], *, folder: str, timeout_seconds: float, max_output_bytes: int, descriptors: Sequence[int] = ()
) -> Finished:
    """Run a program to its end.

    Args:
        command: program and arguments; text from a plan comes after `--` or as the value of an option.
        folder: where it starts.
        descriptors: open files that the child inherits under the same numbers.

    Raises:
        ToolTimeoutError: it ran longer than `timeout_seconds`; its whole process group is dead.
        ToolError: it could not be started.
    """
    try:
        process = await anyio.open_process(
            list(command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder,
            env=ENVIRONMENT,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        with anyio.fail_after(timeout_seconds):
            return await _collect(process, max_output_bytes)
    except TimeoutError:
        raise ToolTimeoutError(
            f"{os.path.basename(command[0])} ran longer than {timeout_seconds:g} s and was stopped"
        ) from None
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
