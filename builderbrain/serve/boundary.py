"""The outermost layer of the server, plain ASGI: ids, keys, limits, disconnects, and the last exception boundary.

The body is read here, whole and bounded in size and time. From then on the connection is only watched: when the client
goes away, the request's task is cancelled wherever it is, streaming or not, and cancellation frees its outputs.
Authentication is by default-deny: a route is open only when its exact path is listed, and what changes the server asks for the
administrator's key, which no server has unless it was started with one.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from builderbrain.errors import AdministrationError, AuthenticationError, BodyTooLargeError, DeadlineError, InvalidRequestError
from builderbrain.serve.rate_limits import UNLIMITED, RateLimits
from builderbrain.serve.replies import error_reply, log_failure

OPEN_PATHS = frozenset({"/health", "/ready"})
ADMIN_PREFIX = "/v1/admin/"
ADMIN_PREFIXES = (ADMIN_PREFIX, "/v1/versions/", "/v1/fine_tuning/", "/v1/training/", "/v1/files/")
"""Everything below them changes the server, so that a route added there is closed before anybody thinks of it."""
ADMIN_PATHS = frozenset(
    {
        "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/pause", "/resume", "/reset_prefix_cache", "/weight_checker",
        "/v1/files",
    }
)  # fmt: skip
"""Routes that change the server at the places where other servers have them."""
ADMINISTRATOR = "administrator"
BODY_SECONDS = 30.0
WRITE_SECONDS = 30.0
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """API keys. Without a client key the ordinary routes are open; the administrator's key opens everything.

    `further` are more client keys, so that callers can be told apart.
    """

    client: str | None = None
    administrator: str | None = None
    further: tuple[str, ...] = ()

    def clients(self) -> tuple[str, ...]:
        """All client keys."""
        return self.further if self.client is None else (self.client, *self.further)


def is_administrative(path: str) -> bool:
    """Whether a route asks for the administrator's key."""
    return path in ADMIN_PATHS or path.startswith(ADMIN_PREFIXES)


def asker_of(request: Request) -> str | None:
    """Who asks, told from every other caller as the limits tell them; None where no boundary has looked."""
    return getattr(request.state, "asker", None)


class Boundary:
    """Wraps the application.

    Args:
        app: the application.
        keys: what may be asked with.
        max_body_bytes: larger bodies get 413.
        body_limits: in its place for some routes, by method and path; they have as much more time to be sent.
        on_status: hears the status of every reply.
        on_error: hears every error that gets as far as here.
        limits: how often a caller may ask, and how many of its requests may be under way.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        max_body_bytes: int,
        on_status: Callable[[int], None],
        on_error: Callable[[BaseException], None] = lambda error: None,
        limits: RateLimits = UNLIMITED,
        body_limits: Mapping[tuple[str, str], int] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._keys = keys
        self._limits = limits
        self._max_body_bytes, self._body_limits = max_body_bytes, body_limits
        self._on_status = on_status
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection; what is not HTTP is the application's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req-{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id
        outgoing = _Outgoing(send, request_id, self._on_status)
        try:
            caller = self._authenticate(scope, headers)
            scope["state"]["asker"] = caller or ADMINISTRATOR
            with self._limits.place(caller):
                body = await self._read_body(scope, headers, receive)
                if body is None:
                    return
                await self._run(scope, body, receive, outgoing)
        except Exception as error:  # noqa: BLE001  (the last boundary: a request's failure must not reach the server)
            self._on_error(error)
            if outgoing.started:
                log_failure(error, request_id)
            else:
                await error_reply(error, request_id)(scope, receive, outgoing)

    def _authenticate(self, scope: Scope, headers: Headers) -> str | None:
        """Who asks, for the limits: a name for each client key, the address where there are no keys, None for unlimited."""
        path: str = scope["path"]
        if path in OPEN_PATHS:
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip().encode("latin-1", "replace") if scheme.lower() == "bearer" else b""
        # All keys are compared whatever the path, so that time tells neither which one matched nor how far.
        clients = self._keys.clients()
        matches = [hmac.compare_digest(given, expected.encode()) for expected in clients]
        administrator = self._keys.administrator
        is_administrator = administrator is not None and hmac.compare_digest(given, administrator.encode())
        if is_administrator:
            return None
        if is_administrative(path):
            raise AdministrationError(
                "expected the administrator's key as the header Authorization: Bearer KEY; "
                "start the server with --admin-api-key to have one",
                field="Authorization",
            )
        if not clients:
            address = scope.get("client")
            return f"address {address[0] if address else 'unknown'}"
        if not any(matches):
            got = "another one" if given else "none"
            raise AuthenticationError(
                f"expected a valid API key as the header Authorization: Bearer KEY, got {got}", field="Authorization"
            )
        return f"key {matches.index(True)}"

    async def _read_body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None when the client left before it was sent."""
        most = self._body_limits.get((scope["method"], scope["path"]), self._max_body_bytes)
        seconds = BODY_SECONDS * max(1.0, most / self._max_body_bytes)
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > most:
            raise self._too_large(most, f"{int(declared)} bytes")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > most:
                        raise self._too_large(most, "more")
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError as error:
            raise InvalidRequestError(f"expected the whole body within {seconds:g} s; send it faster") from error

    def _too_large(self, most: int, got: str) -> BodyTooLargeError:
        setting = " (--max-body-bytes)" if most == self._max_body_bytes else ""
        return BodyTooLargeError(f"expected a body of at most {most} bytes{setting}, got {got}", field="Content-Length")

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: _Outgoing) -> None:
        """Run the application until it is done or the client is gone."""
        left = asyncio.Event()

        async def replay() -> Message:
            if not replay_done.is_set():
                replay_done.set()
                return {"type": "http.request", "body": body, "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        replay_done = asyncio.Event()
        app = asyncio.ensure_future(self._app(scope, replay, send))
        watcher = asyncio.ensure_future(watch())
        try:
            await asyncio.wait((app, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            if not app.done():
                app.cancel()
            with suppress(asyncio.CancelledError):
                await app


class _Outgoing:
    """`send` with the request id on every reply and a limit on how long a client may take to read."""

    def __init__(self, send: Send, request_id: str, on_status: Callable[[int], None]) -> None:
        self._send = send
        self._request_id = request_id
        self._on_status = on_status
        self.started = False
        """Whether the status line is out."""

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message.

        Raises:
            DeadlineError: the client does not read.
        """
        if message["type"] == "http.response.start":
            self.started = True
            MutableHeaders(scope=message)["X-Request-Id"] = self._request_id
            self._on_status(message["status"])
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._send(message)
        except TimeoutError as error:
            raise DeadlineError(f"the client read nothing for {WRITE_SECONDS:g} s") from error
