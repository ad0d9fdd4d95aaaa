"""The lines between this process and a server: bounded before they are parsed.

The protocol's own transport keeps a line in memory however long it gets, and hands this process's environment on; so this is
one of our own, between the sandboxed process and the protocol's session.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

    _Pair = tuple[MemoryObjectSendStream[SessionMessage], MemoryObjectReceiveStream[SessionMessage]]

MAX_MESSAGE_BYTES = 4 * 1024**2
MAX_BYTES = 16 * 1024**2
MAX_MESSAGES = 2000
"""Of everything that a server sends in one session; each answer of ours to it waits in memory until the server reads it."""
MAX_ERROR_BYTES = 4096

_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


class Link:
    """Carries messages both ways until one side ends, and then says why.

    Notifications of the server are counted and dropped: nobody waits for any, and the session would log what it cannot read.

    Attributes:
        incoming, outgoing: what the session reads from and writes to.
        broken: why no more is read; None while it goes on, and when the server ended by itself.
        error: the beginning of what the server wrote to its standard error.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._arrived, self.incoming = _stream()
        self.outgoing, self._leaving = _stream()
        self.broken: str | None = None
        self.error = bytearray()
        self._bytes = self._messages = 0

    def renew(self) -> None:
        """Begin to count anew: the bounds are those of one call."""
        self._bytes = self._messages = 0

    async def read(self) -> None:
        """Take messages until the server ends, or sends what it may not."""
        if self._process.stdout is None:
            return
        buffer = bytearray()
        async with self._arrived:
            with suppress(*_GONE):
                while self.broken is None:
                    chunk = await self._process.stdout.receive()
                    self._bytes += len(chunk)
                    buffer.extend(chunk)
                    *lines, rest = buffer.split(b"\n")
                    buffer = rest
                    self._messages += len(lines)
                    if self._bytes > MAX_BYTES:
                        self.broken = f"sent more than {MAX_BYTES} bytes"
                    elif self._messages > MAX_MESSAGES:
                        self.broken = f"sent more than {MAX_MESSAGES} messages"
                    elif max(map(len, (*lines, rest))) > MAX_MESSAGE_BYTES:
                        self.broken = f"sent a message of more than {MAX_MESSAGE_BYTES} bytes"
                    else:
                        await self._deliver(lines)

    async def _deliver(self, lines: list[bytearray]) -> None:
        import mcp_types
        from mcp.shared.message import SessionMessage

        for line in lines:
            if not line.strip():
                continue
            try:
                message = mcp_types.jsonrpc_message_adapter.validate_json(bytes(line), by_name=False)
            except ValueError:
                self.broken = f"sent a line that is no message of the protocol: {bytes(line[:60])!r}"
                return
            if not isinstance(message, mcp_types.JSONRPCNotification):
                await self._arrived.send(SessionMessage(message))

    async def write(self) -> None:
        """Hand messages over as the server takes them."""
        if self._process.stdin is None:
            return
        with suppress(*_GONE):
            async for carried in self._leaving:
                line = carried.message.model_dump_json(by_alias=True, exclude_unset=True)
                await self._process.stdin.send(line.encode("utf-8") + b"\n")

    async def read_error(self) -> None:
        """Keep the beginning of standard error, and take the rest, so that a server that talks much there is not held up."""
        if self._process.stderr is None:
            return
        with suppress(*_GONE):
            while True:
                chunk = await self._process.stderr.receive()
                self.error.extend(chunk[: MAX_ERROR_BYTES - len(self.error)])

    def close(self) -> None:
        """Let go of the streams."""
        for stream in (self._arrived, self.incoming, self.outgoing, self._leaving):
            stream.close()


def _stream() -> _Pair:
    """Room for an answer to every message that may come: writing never waits for a server that does not read."""
    pair: _Pair = anyio.create_memory_object_stream(MAX_MESSAGES + 64)
    return pair
