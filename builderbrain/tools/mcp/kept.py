"""Sessions that outlive a call: one process for each server, root and level of access, used by one call at a time.

For servers that take long to start, or keep what they know in memory. A call that is cancelled, or that the server breaks,
ends the process; the next call starts another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from builderbrain.errors import BrokenToolError, BuilderBrainError, ToolError
from builderbrain.tools.mcp.server import McpServer
from builderbrain.tools.mcp.session import Session, with_session

LIFE_SECONDS = 3600.0
"""What the limit on processor time of a kept process is made of."""

Use = Callable[[Session], Awaitable[Any]]
_Key = tuple[str, Path, bool]


class KeptSessions:
    """Keeps sessions inside an `async with`; at its end all processes are dead."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._locks: dict[_Key, anyio.Lock] = {}
        self._kept: dict[_Key, _Kept] = {}

    async def __aenter__(self) -> KeptSessions:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        if group is None:
            return None
        group.cancel_scope.cancel()
        return await group.__aexit__(kind, error, trace)

    async def use(self, server: McpServer, root: Path, *, writes: bool, environment: Mapping[str, str], use: Use) -> Any:
        """Do something with the session of a server; waits until no other call uses it.

        Raises:
            what `with_session` raises.
        """
        key = (server.name, root, writes)
        async with self._locks.setdefault(key, anyio.Lock()):
            kept = self._kept.get(key)
            if kept is not None and not kept.ended.is_set():
                try:
                    return await kept.ask(use)
                except ToolError:
                    if not kept.ended.is_set() or kept.calling:
                        raise  # else it ended while nobody used it, and nothing was asked of it
            if self._group is None:
                raise ToolError("sessions are kept inside an async with alone; open one around the plan")
            kept = self._kept[key] = await self._group.start(self._live, server, root, writes, environment)
            return await kept.ask(use)

    async def _live(
        self, server: McpServer, root: Path, writes: bool, environment: Mapping[str, str], *, task_status: TaskStatus[_Kept]
    ) -> None:
        kept = _Kept()
        started = False

        async def serve(session: Session) -> None:
            nonlocal started
            started = True
            task_status.started(kept)
            await kept.serve(session)

        try:
            with kept.scope:
                await with_session(
                    server, root, writes=writes, timeout_seconds=LIFE_SECONDS, environment=environment, use=serve
                )
        except BuilderBrainError as error:
            if not started:
                raise
            kept.failure = error
        finally:
            kept.end()


class _Kept:
    """One session, as the task that owns it and the calls that use it see it."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.failure: BuilderBrainError | None = None
        self.calling = False
        self._send, self._receive = anyio.create_memory_object_stream[_Asked](1)
        self._asked: _Asked | None = None

    async def ask(self, use: Use) -> Any:
        """Have the owner do something with the session. Cancelling it ends the session and waits for that."""
        asked = _Asked(use)
        try:
            self._send.send_nowait(asked)
            self._asked = asked
            await asked.done.wait()
        except BaseException:
            self.scope.cancel()
            with anyio.CancelScope(shield=True):
                await self.ended.wait()
            raise
        if asked.error is not None:
            raise asked.error
        return asked.result

    async def serve(self, session: Session) -> None:
        """Do what is asked until the session breaks or its owner is cancelled. Errors of the project are answers."""
        async for asked in self._receive:
            session.renew()
            try:
                asked.result = await asked.use(session)
            except BuilderBrainError as error:
                asked.error = error
            finally:
                self.calling = session.calling
            asked.done.set()

    def end(self) -> None:
        """The session is over: whoever still waits learns why."""
        self.ended.set()
        self._send.close()
        self._receive.close()
        if self._asked is not None and not self._asked.done.is_set():
            self._asked.error = self.failure or BrokenToolError("the session with the server was ended")
            self._asked.done.set()


class _Asked:
    """One thing asked of a session, and what came of it."""

    def __init__(self, use: Use) -> None:
        self.use = use
        self.done = anyio.Event()
        self.result: Any = None
        self.error: BuilderBrainError | None = None
