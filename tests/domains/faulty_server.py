"""A server that fails as it is told to: before its application sees a request, or after, so that the effect is there."""

from __future__ import annotations

import asyncio
from typing import Any

PATIENCE_SECONDS = 0.3
"""How long a client of a test waits for an answer."""

SERVER_FAULTS = (
    "server answers 500 once",
    "server answers 500",
    "server sends rubbish",
    "server hangs up",
    "server hangs up after its effect",
    "server is silent",
    "server answers slowly",
)
_WAITS = {"server answers slowly": 0.1, "server is silent": 1.0}


class FaultyServer:
    """An ASGI application around another one, which a test exchanges.

    Attributes:
        faults: by method and path, as in `GET /books`.
        asked: method and path of every request, in order.
    """

    def __init__(self) -> None:
        self.app: Any = None
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []

    def show(self, app: Any) -> None:
        """Serve another application, without faults."""
        self.app, self.faults, self.asked = app, {}, []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        place = f"{scope['method']} {scope['path']}"
        self.asked.append(place)
        fault = self.faults.get(place, "")
        if fault.endswith(" once"):
            del self.faults[place]
        await asyncio.sleep(_WAITS.get(fault, 0.0))
        if fault.startswith("server answers 500"):
            await _answer(send, 500, b'{"title": "broken"}')
        elif fault == "server sends rubbish":
            await _answer(send, 200, b"\x00<<<\xff")
        elif fault in ("server hangs up", "server is silent"):
            await _cut_short(send)
        elif fault == "server hangs up after its effect":
            await self.app(scope, receive, _unheard)
            del self.faults[place]
            await _cut_short(send)
        else:
            await self.app(scope, receive, send)


async def _unheard(_: Any) -> None:
    """Nobody hears the answer."""


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _cut_short(send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"total":', "more_body": True})
    raise ConnectionResetError("dropped")
