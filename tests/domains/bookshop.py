"""The bookshop that `schemas/api_json/bookshop.openapi.yaml` describes, over a real socket, with faults to order."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

BOOKS = {
    "b1": {"title": "The Sea", "author": "Ada Moor", "genre": "novel", "price_cents": 1200, "rating": 4.5, "stock": 3},
    "b2": {"title": "The Deep Sea", "author": "Bo Finn", "genre": "science", "price_cents": 2500, "rating": None, "stock": 0},
    "b3": {"title": "Night Train", "author": "Cy Dent", "genre": "crime", "price_cents": 900, "rating": 3.0, "stock": 9},
}
Fault = Callable[[Request], Response | None]


def problem(status: int, title: str, detail: str = "") -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


class Bookshop:
    """Orders and what was asked; `faults` are taken in turn by requests to a path, before or after the effect."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.paid: list[str] = []
        self.asked: list[tuple[str, str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: dict[str, list[tuple[str, Any]]] = {}
        self.served: dict[str, tuple[int, Any]] = {}
        self.credit = True
        self.app = Starlette(
            routes=[
                Route("/books", self._wrapped(self.search)),
                Route("/books/{book}", self._wrapped(self.book)),
                Route("/books/{book}/stock", self._wrapped(self.stock)),
                Route("/orders", self._wrapped(self.list_orders), methods=["GET"]),
                Route("/orders", self._wrapped(self.create), methods=["POST"]),
                Route("/orders/{order}", self._wrapped(self.order), methods=["GET"]),
                Route("/orders/{order}", self._wrapped(self.delete), methods=["DELETE"]),
                Route("/orders/{order}/cancellation", self._wrapped(self.cancel), methods=["POST"]),
                Route("/orders/{order}/delivery", self._wrapped(self.deliver), methods=["PUT"]),
                Route("/orders/{order}/payment", self._wrapped(self.pay), methods=["POST"]),
            ]
        )

    def fail(self, method: str, path: str, *faults: tuple[str, Any]) -> None:
        """The next requests to `path` fail so: (kind, what); see `_faulty`."""
        self.faults[f"{method} {path}"] = list(faults)

    def _wrapped(self, handler: Callable[[Request, dict[str, Any]], tuple[int, Any] | Response]) -> Any:
        async def serve(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            self.asked.append((request.method, request.url.path, key))
            self.headers.append(dict(request.headers))
            waiting = self.faults.get(f"{request.method} {request.url.path}", [])
            kind, what = waiting.pop(0) if waiting else ("", None)
            body = json.loads(await request.body() or b"{}")
            if kind.startswith("lost "):  # the effect happens, and its answer does not arrive
                self._answer(handler, request, body, key)
                return await _faulty(kind.removeprefix("lost "), what)
            if kind:
                return await _faulty(kind, what)
            return self._answer(handler, request, body, key)

        return serve

    def _answer(self, handler: Any, request: Request, body: dict[str, Any], key: str | None) -> Response:
        if key is not None and key in self.served:
            status, value = self.served[key]
            return Response(status_code=204) if value is None else JSONResponse(value, status_code=status)
        found = handler(request, body)
        if isinstance(found, Response):
            return found
        if key is not None:
            self.served[key] = found
        return Response(status_code=204) if found[1] is None else JSONResponse(found[1], status_code=found[0])

    def search(self, request: Request, _: Any) -> tuple[int, Any]:
        asked = request.query_params
        found = [
            shown(name)
            for name, book in BOOKS.items()
            if all(word in f"{book['title']} {book['author']}".lower() for word in asked.get("query", "").lower().split())
            and asked.get("genre", book["genre"]) == book["genre"]
            and int(book["price_cents"]) <= int(asked.get("maxPriceCents", 10**6))
        ]
        return 200, {"total": len(found), "items": found[: int(asked["limit"])]}

    def book(self, request: Request, _: Any) -> tuple[int, Any] | Response:
        name = request.path_params["book"]
        return (200, shown(name)) if name in BOOKS else problem(404, "no such book", f"there is no book {name}")

    def stock(self, request: Request, _: Any) -> tuple[int, Any] | Response:
        name = request.path_params["book"]
        return (200, {"copies": BOOKS[name]["stock"], "shelf": "A3"}) if name in BOOKS else problem(404, "no such book")

    def list_orders(self, request: Request, _: Any) -> tuple[int, Any]:
        status = request.query_params.get("status")
        found = [order for order in self.orders.values() if status in (None, order["status"])]
        return 200, {"total": len(found), "items": found[::-1]}

    def create(self, _: Request, body: dict[str, Any]) -> tuple[int, Any] | Response:
        if body["book_id"] not in BOOKS:
            return problem(422, "no such book", f"there is no book {body['book_id']}")
        name = f"o{len(self.orders) + 1}"
        book = BOOKS[body["book_id"]]
        self.orders[name] = {
            "order_id": name,
            "book_id": body["book_id"],
            "copies": body["copies"],
            "delivery": "post",
            "status": "open",
            "total_cents": body["copies"] * int(str(book["price_cents"])),
        }
        return 201, dict(self.orders[name])

    def order(self, request: Request, _: Any) -> tuple[int, Any] | Response:
        found = self.orders.get(request.path_params["order"])
        return (200, found) if found else problem(404, "no such order")

    def delete(self, request: Request, _: Any) -> tuple[int, Any] | Response:
        return (204, None) if self.orders.pop(request.path_params["order"], None) else problem(404, "no such order")

    def cancel(self, request: Request, _: Any) -> tuple[int, Any] | Response:
        order = self.orders[request.path_params["order"]]
        if order["status"] == "paid":
            return problem(409, "paid", "a paid order cannot be cancelled")
        order["status"] = "cancelled"
        return 200, dict(order)

    def deliver(self, request: Request, body: dict[str, Any]) -> tuple[int, Any] | Response:
        order = self.orders[request.path_params["order"]]
        order["delivery"] = body["method"]
        return 200, dict(order)

    def pay(self, request: Request, body: dict[str, Any]) -> tuple[int, Any] | Response:
        order = self.orders[request.path_params["order"]]
        if not self.credit:
            return problem(402, "no credit", f"the {body['method']} has no credit")
        order["status"] = "paid"
        self.paid.append(order["order_id"])
        return 200, {"receipt_id": f"r{len(self.paid)}", "order_id": order["order_id"], "total_cents": order["total_cents"]}


def shown(name: str) -> dict[str, Any]:
    return {"book_id": name, **{key: value for key, value in BOOKS[name].items() if key != "stock"}}


async def _faulty(kind: str, what: Any) -> Response:
    if kind == "status":
        return problem(what, "broken", "the shop is broken")
    if kind == "slow":
        await asyncio.sleep(what)
        return problem(503, "late")
    if kind == "busy":
        return Response(status_code=429, headers={"retry-after": str(what)})
    if kind == "text":
        return PlainTextResponse(what)
    if kind == "json":
        return Response(json.dumps(what), media_type="application/json")
    if kind == "raw":
        return Response(what, media_type="application/json")
    if kind == "redirect":
        return RedirectResponse(what, status_code=302)
    assert kind == "drop"

    async def cut_short() -> AsyncIterator[bytes]:
        yield b'{"total":'
        raise ConnectionResetError("dropped")

    return StreamingResponse(cut_short(), media_type="application/json", headers={"content-length": "1000"})


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An application on a free port of the loopback address; gives its base URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
