"""A shop of books in memory: what it has, what was ordered, and which way money went.

It answers the calls of `schemas/api_json/bookshop.openapi.yaml`. Payment goes from the account that `method` names to the shop.
The description has no call that pays back. Here a paid order that is deleted is paid back to where it was paid from, as shops
do, so that money can also go the other way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from builderbrain.domains.simulator import Had, Results, Simulator, Work
from builderbrain.errors import ToolError

SECONDS_A_CALL = 0.1


@dataclass(frozen=True)
class Book:
    """What is known of a book. Prices in cents; `rating` 1 to 5."""

    book_id: str
    title: str
    author: str
    genre: str
    price_cents: int
    rating: float
    copies: int = 40


@dataclass
class Order:
    """An order; `account` is where it was paid from, once it is."""

    order_id: str
    book_id: str
    copies: int
    total_cents: int
    status: Literal["open", "paid", "cancelled"] = "open"
    delivery: str = "post"
    account: str = ""

    def results(self) -> Results:
        shown = {name: value for name, value in asdict(self).items() if name != "account"}
        return {"body": json.dumps(shown), **shown}


@dataclass(frozen=True, kw_only=True)
class Movement:
    """Money that went: a `payment` from an account to the shop, or a `payback` of one. `paid_cents` is what had been paid."""

    kind: Literal["payment", "payback"]
    order: str
    book: str
    account: str
    cents: int
    paid_cents: int


BOOKS = (
    Book("bk-101", "The Sea", "Ada Moor", "novel", 1_200, 4.5),
    Book("bk-102", "Night Train", "Cy Dent", "crime", 900, 3.0),
    Book("bk-103", "Harbor Lights", "Lena Moor", "poetry", 750, 4.0),
    Book("bk-104", "The Deep Sea", "Bo Finn", "science", 2_500, 3.5),
    Book("bk-105", "Small Bears", "Ivo Rand", "children", 1_100, 5.0),
    Book("bk-106", "The Salt Road", "Una Hale", "history", 3_200, 4.0),
    Book("atlas-1", "The Great Atlas", "Una Hale", "history", 86_000, 4.5),
    Book("atlas-2", "The Atlas of Stars", "Bo Finn", "science", 91_500, 4.0),
    Book("folio-1", "The First Folio", "Cy Dent", "poetry", 98_900, 5.0),
    Book("atlas-3", "The Atlas of Winds", "Ivo Rand", "science", 88_000, 4.0),
    Book("folio-2", "The Second Folio", "Cy Dent", "poetry", 94_500, 4.5),
    Book("codex-1", "The Painted Codex", "Ada Moor", "history", 240_000, 5.0),
)
"""By price: everyday ones, five whose tenfold is just below 10,000, and one of which a few copies are above it."""


def usual_orders() -> list[Order]:
    """Six open orders, two of them just below 10,000; and six paid ones, three of one book from one account."""
    paid: list[tuple[str, str, int, str]] = [
        ("o-201", "bk-104", 2_500, "card"),
        ("o-202", "bk-104", 2_500, "card"),
        ("o-203", "bk-104", 2_500, "card"),
        ("o-204", "bk-101", 1_200, "account"),
        ("o-205", "atlas-1", 86_000, "invoice"),
        ("o-206", "atlas-1", 86_000, "invoice"),
    ]
    return [
        Order("o-101", "bk-101", 1, 1_200),
        Order("o-102", "bk-105", 2, 2_200),
        Order("o-103", "atlas-2", 10, 915_000),
        Order("o-104", "bk-103", 1, 750),
        Order("o-105", "atlas-1", 10, 860_000),
        Order("o-106", "bk-106", 3, 9_600),
        *(Order(name, book, 1, cents, status="paid", account=account) for name, book, cents, account in paid),
    ]


class SimulatedShop(Simulator):
    """The shop; what it was asked for more than it has is ordered for the customer, so stock refuses nobody.

    Attributes:
        orders: by id.
        movements: in the order they happened.
    """

    def __init__(self, orders: list[Order] | None = None) -> None:
        super().__init__()
        self.books = {book.book_id: book for book in BOOKS}
        self.orders = {order.order_id: order for order in (usual_orders() if orders is None else orders)}
        self.movements: list[Movement] = []
        self._made = 0
        self._calls: dict[str, Callable[..., Results]] = {
            "search_books": self._search,
            "get_book": self._get_book,
            "get_stock": self._get_stock,
            "list_orders": self._list,
            "create_order": self._create,
            "get_order": lambda order_id: self._order(order_id).results(),
            "delete_order": self._delete,
            "cancel_order": self._cancel,
            "set_delivery": self._deliver,
            "pay_order": self._pay,
            "explain_error": lambda: {"body": "{}", "status": None, "code": "unknown"},
        }

    def facts(self) -> Mapping[str, str]:
        return {}

    def _work(self, skill: str, arguments: Mapping[str, Any], had: Had) -> Work:
        yield SECONDS_A_CALL
        return had(self._calls[skill](**arguments))

    def _search(self, query: str = "", genre: str = "", max_price_cents: int | None = None, limit: int = 10) -> Results:
        found = [
            book
            for book in self.books.values()
            if all(word in f"{book.title} {book.author}".lower() for word in query.lower().split())
            and genre in ("", book.genre)
            and (max_price_cents is None or book.price_cents <= max_price_cents)
        ]
        first = found[0] if found else None
        return {
            "body": json.dumps([asdict(book) for book in found[:limit]]),
            "total": len(found),
            "first_book_id": first.book_id if first else None,
            "first_title": first.title if first else None,
            "first_price_cents": first.price_cents if first else None,
        }

    def _get_book(self, book_id: str) -> Results:
        known = {name: value for name, value in asdict(self._book(book_id)).items() if name != "copies"}
        return {"body": json.dumps(known), **known}

    def _get_stock(self, book_id: str) -> Results:
        copies = self._book(book_id).copies
        return {"body": json.dumps({"copies": copies}), "copies": copies, "shelf": "A3"}

    def _list(self, status: str | None = None, limit: int = 10) -> Results:
        found = [order for order in reversed(self.orders.values()) if status in (None, order.status)]
        body = json.dumps([order.order_id for order in found[:limit]])
        return {"body": body, "total": len(found), "first_order_id": found[0].order_id if found else None}

    def _create(self, book_id: str, copies: int = 1, gift: bool = False, note: str = "") -> Results:
        book = self._book(book_id)
        self._made += 1
        made = Order(f"n-{self._made}", book_id, copies, copies * book.price_cents)
        self.orders[made.order_id] = made
        return made.results()

    def _delete(self, order_id: str) -> Results:
        order = self._order(order_id)
        if order.status == "paid":
            self._move("payback", order)
        del self.orders[order_id]
        return {"body": ""}

    def _cancel(self, order_id: str) -> Results:
        order = self._order(order_id)
        if order.status == "paid":
            raise ToolError(f"the order {order_id} is paid and cannot be cancelled", field="order_id")
        order.status = "cancelled"
        return order.results()

    def _deliver(self, order_id: str, method: str) -> Results:
        order = self._order(order_id)
        order.delivery = method
        return order.results()

    def _pay(self, order_id: str, method: str = "account") -> Results:
        order = self._order(order_id)
        if order.status != "open":
            raise ToolError(f"the order {order_id} is {order.status}, only an open one is paid", field="order_id")
        order.status, order.account = "paid", method
        self._move("payment", order)
        receipt = f"r-{len(self.movements)}"
        known = {"receipt_id": receipt, "order_id": order_id, "total_cents": order.total_cents}
        return {"body": json.dumps(known), **known}

    def _move(self, kind: Literal["payment", "payback"], order: Order) -> None:
        cents = order.total_cents
        self.movements.append(
            Movement(kind=kind, order=order.order_id, book=order.book_id, account=order.account, cents=cents, paid_cents=cents)
        )

    def _book(self, book_id: str) -> Book:
        if book_id not in self.books:
            raise ToolError(f"there is no book {book_id!r:.40}", field="book_id")
        return self.books[book_id]

    def _order(self, order_id: str) -> Order:
        if order_id not in self.orders:
            raise ToolError(f"there is no order {order_id!r:.40}", field="order_id")
        return self.orders[order_id]
