"""Namespaces of a process's own: users, processes, network, mounts. For machines without bubblewrap; standard library alone.

The network namespace has no way out, not even to this machine. When the first process of the process namespace ends, the
kernel kills all others in it, whatever session they moved to.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x20000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_MOUNT_PRIVATE_RECURSIVE = (1 << 18) | (1 << 14)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 1, 36, 24

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """The kernel kills this process when the one that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter(*, network: bool) -> None:
    """Give this process namespaces of its own; the process namespace holds for its children.

    Args:
        network: whether the machine's network stays in reach.

    Raises:
        OSError: the kernel, or how it is set up, does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_PROCESSES | _NEW_MOUNTS | _NEW_IPC | (0 if network else _NEW_NETWORK)
    if _libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    if not network:
        _hide_sockets()


def _hide_sockets() -> None:
    """An empty folder over /run, where services have their sockets."""
    if _libc.mount(b"none", b"/", None, ctypes.c_ulong(_MOUNT_PRIVATE_RECURSIVE), None) == 0:
        _libc.mount(b"tmpfs", b"/run", b"tmpfs", ctypes.c_ulong(0), None)


def drop_capabilities() -> None:
    """What is executed next has no capability, not even in its own namespaces."""
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def run_below(work: Callable[[], None]) -> int:
    """Run `work`, which becomes another program, two processes below; returns its exit status.

    The process between is the first of a new process namespace, or adopts orphans where there is none. Its end is the end of
    everything below it.
    """
    first = os.fork()
    if first == 0:
        die_with_parent()
        adopt_orphans()
        _first_process(work)
    return _status(os.waitpid(first, 0)[1])


def _first_process(work: Callable[[], None]) -> None:
    tool = os.fork()
    if tool == 0:
        try:
            work()
        finally:
            os._exit(127)
    while True:
        child, status = os.wait()
        if child == tool:
            _kill_the_rest()
            os._exit(_status(status))


def _kill_the_rest() -> None:
    """Where this is not the first process of a namespace: what was adopted, and what those leave, until nothing is left."""
    if os.getpid() == 1:
        return
    while True:
        with suppress(OSError):
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = file.read().split()
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _status(waited: int) -> int:
    return os.WEXITSTATUS(waited) if os.WIFEXITED(waited) else 128 + os.WTERMSIG(waited)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
