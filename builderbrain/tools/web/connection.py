"""The transport under the HTTP client: a name is looked up once, its addresses are judged, and one of them is connected to.

So what was judged is what is connected to, whatever the name stands for a moment later. No proxy and no setting of the
environment is read.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import httpcore
import httpx

from builderbrain.tools.web.origin import Origin


class AddressRefusedError(Exception):
    """The host stands for an address that tools may not connect to."""


class OriginTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 to one origin."""

    def __init__(self, origin: Origin) -> None:
        context = httpx.create_ssl_context(trust_env=False) if origin.scheme == "https" else None
        self._pool = httpcore.AsyncConnectionPool(ssl_context=context, max_connections=4, network_backend=_Judged(origin))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request and its answer, unread."""
        url = request.url
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = await self._pool.handle_async_request(sent)
        return httpx.Response(
            status_code=answer.status, headers=answer.headers, stream=_Stream(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the origin admits, and to nothing else."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"there is no address for {host}: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        refused = [address for address in addresses if not self._origin.admits_address(address)]
        if refused:
            raise AddressRefusedError(f"{host} stands for {refused[0]}, which is not on the public internet")
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                last = error
        raise last if last is not None else httpcore.ConnectError(f"there is no address for {host}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefusedError("a socket that is a file is no host")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
