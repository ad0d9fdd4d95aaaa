"""One request and its answer, bounded: a time for the whole of it, a size, a number of redirects, and one origin.

An error says whether anything may have been done: `TransientToolError` when nothing was sent, `LostAnswerError` when no whole
answer came, `ToolTimeoutError` when the time was over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anyio
import httpcore
import httpx

from builderbrain.errors import GarbageAnswerError, LostAnswerError, ToolError, ToolTimeoutError, TransientToolError
from builderbrain.tools.web.connection import AddressRefusedError, OriginTransport
from builderbrain.tools.web.origin import Origin

MAX_ANSWER_BYTES = 1024 * 1024
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_LOST = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. `url` is where it came from, after redirects; `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        """As `application/json`; empty without one."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def exchange(
    origin: Origin,
    method: str,
    url: str,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    follow: bool = False,
    max_bytes: int = MAX_ANSWER_BYTES,
) -> Answer:
    """Send a request to the origin and read the whole answer.

    Args:
        seconds: for all of it, redirects included.
        follow: go where a redirect points, when that is on the same origin; what was sent with POST is asked for with GET then.

    Raises:
        ToolError: the URL, a redirect or the address of the host is elsewhere; nothing was sent there. For a redirect of
            anything but a GET, a `LostAnswerError`.
        TransientToolError: nothing could be sent.
        LostAnswerError: it was sent, and the connection ended before a whole answer.
        ToolTimeoutError: the time was over.
        GarbageAnswerError: the answer is longer than `max_bytes`, or packed though that was not asked for.
    """
    target = _url(url)
    if not origin.admits(target):
        raise ToolError(f"{origin.host} is the only host that is called, got {target.host or url!r}")
    sent = {"user-agent": "builderbrain", "accept-encoding": "identity", **(headers or {})}
    try:
        with anyio.fail_after(seconds):
            async with OriginTransport(origin) as transport:
                return await _through(transport, origin, method, target, sent, content, follow, max_bytes)
    except TimeoutError:
        raise ToolTimeoutError(f"{origin.host} took longer than {seconds:g} s to answer") from None
    except AddressRefusedError as error:
        raise ToolError(f"{error}; only a base URL that names a private address itself may lead to one") from error
    except _NOT_SENT as error:
        raise TransientToolError(f"{origin.host} cannot be connected to: {str(error)[:200]}") from error
    except _LOST as error:
        raise LostAnswerError(f"{origin.host} ended the connection before it answered: {str(error)[:200]}") from error


async def _through(
    transport: OriginTransport,
    origin: Origin,
    method: str,
    target: httpx.URL,
    headers: Mapping[str, str],
    content: bytes | None,
    follow: bool,
    max_bytes: int,
) -> Answer:
    refusal = ToolError if method == "GET" else LostAnswerError  # a redirect may be how a server says that it is done
    asked = method
    for hop in range(MAX_REDIRECTS + 1):
        request = httpx.Request(method, target, headers=headers, content=content)
        try:
            response = await transport.handle_async_request(request)
        except _NOT_SENT as error:
            if hop and asked != "GET":
                raise LostAnswerError(f"{origin.host} was sent a {asked} and cannot be connected to again: {error}") from error
            raise
        try:
            body = await _bounded(response, origin, max_bytes)
        finally:
            await response.aclose()
        location = response.headers.get("location")
        if response.status_code not in _REDIRECTS or location is None:
            plain = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status_code, headers=plain, body=body, url=str(target))
        following = _url(location, target)
        if not origin.admits(following):
            raise refusal(f"{origin.host} redirects to {following.host or location[:80]}, which is not called")
        if not follow or (method != "GET" and response.status_code in (307, 308)):
            raise refusal(f"{origin.host} redirects a {method} to {following.path[:80]}, which is not sent again")
        method, target, content = "GET", following.copy_with(fragment=None), None
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    raise refusal(f"{origin.host} redirects more than {MAX_REDIRECTS} times")


def _url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return httpx.URL(text) if base is None else base.join(text)
    except httpx.InvalidURL as error:
        raise ToolError(f"{text[:80]!r} is no URL: {error}") from error


async def _bounded(response: httpx.Response, origin: Origin, max_bytes: int) -> bytes:
    packed = response.headers.get("content-encoding", "identity")
    if packed != "identity":
        raise GarbageAnswerError(f"{origin.host} packs its answer with {packed[:40]}, which was not asked for")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > max_bytes:
            raise GarbageAnswerError(f"{origin.host} answers with more than {max_bytes} bytes")
    return bytes(body)
