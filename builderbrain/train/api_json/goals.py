"""Compose requests to a shop of books, in one to five steps, with their plans.

Words to look for and notes stand in quotes, ids are said as they are. "The first one" is what was found last, and "it" the order that was
just made. One copy is ordered where no number is said, and an order is paid from the account where nothing else is said.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from builderbrain.plan import Reference
from builderbrain.train.api_json import phrases
from builderbrain.train.api_json.phrases import PHRASES
from builderbrain.train.goal import Goal
from builderbrain.train.spoken import Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled
from builderbrain.train.spoken.goal import COMPOSITE

DOMAIN = "api_json"
ACTIONS = (
    "search_books",
    "get_book",
    "get_stock",
    "list_orders",
    "get_order",
    "create_order",
    "set_delivery",
    "pay_order",
    "cancel_order",
    "delete_order",
)
SPAN_SLOTS = ("query", "book", "order", "note")
_FOUND = ("book_first", "stock_first", "buy_first", "if_first_price_buy")
_LISTED = ("order_first", "cancel_first")
_MADE = ("delivery", "pay")
INTENTS = (*(kind for kind in PHRASES if kind not in (*_FOUND, *_LISTED, *_MADE)), COMPOSITE)
MAX_STEPS = 5
_ANY = (
    "search",
    "search",
    "search",
    "book",
    "stock",
    "orders",
    "orders",
    "order_read",
    "buy",
    "buy",
    "buy",
    "delivery_of",
    "pay_of",
    "cancel",
    "delete",
    "if_stock_buy",
    "if_price_buy",
)
_READING = ("search", "book", "stock", "orders", "order_read")
_LAST = ("pay", "pay_of", "delete", "if_stock_buy", "if_price_buy", "if_first_price_buy")


class _Scene(Scene):
    """A request to the shop; it knows what was found, listed and ordered last."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng)
        self.found, self.listed, self.made = "", "", ""

    def maybe(self, share: float, slot: str, wordings: Sequence[str], name: str, make: Callable[[], object]) -> dict[str, Any]:
        """A value that may be left out, said with one of the wordings, in which `{name}` stands for it."""
        self.words[slot] = ""
        if self.rng.random() > share:
            return {}
        value = make()
        said = self.quoted(name, str(value)) if name in ("query", "note") else str(value)
        self.words[slot] = self.rng.choice(wordings).replace(f"{{{name}}}", said)
        return {name: value}

    def option(self, share: float, slot: str, options: Mapping[str, str | Sequence[str]]) -> str | None:
        """An option of a table, said, or None."""
        self.words[slot] = ""
        if self.rng.random() > share:
            return None
        option = self.rng.choice(list(options))
        said = options[option]
        self.words[slot] = said if isinstance(said, str) else self.rng.choice(said)
        return option

    def identifier(self, slot: str) -> str:
        """An id of a book or an order, as it is said."""
        rng = self.rng
        letters = "".join(rng.choices("abcdefghkmnprstuvwxyz", k=rng.randint(1, 3)))
        name = f"{letters}{rng.choice(('', '-', '_'))}{rng.randint(1, 9999)}"
        name = name.upper() if rng.random() < 0.3 else name
        self.words[slot] = self.value(slot, name)
        return name

    def copies(self, *, of_it: bool = False) -> int:
        """How many copies, said or not; `of_it` where the book was named before."""
        count = 1 if self.rng.random() < 0.5 else self.rng.randint(2, 10)
        if of_it:
            said = (
                ("it", "one", "a copy of it", "one copy")
                if count == 1
                else (f"{count} copies", f"{count} copies of it", f"{count} of them")
            )
        else:
            said = (
                ("", "", "a copy of ", "one copy of ")
                if count == 1
                else (f"{count} copies of ", f"{count} copies of ", f"{count} copies ", f"{count} of ")
            )
        self.words["copies"] = self.rng.choice(said)
        return count

    def price(self) -> int:
        """A price in cents."""
        return self.rng.choice((50, 100)) * self.rng.randint(2, 99)


def _search(scene: _Scene) -> None:
    query = scene.maybe(0.7, "about", phrases.ABOUT, "query", lambda: filled(scene.rng.choice(phrases.QUERIES), scene.rng))
    genre = scene.option(0.45, "genre", phrases.GENRES)
    price = scene.maybe(0.3, "price", phrases.PRICE, "cents", scene.price)
    limit = scene.maybe(0.25, "limit", phrases.LIMIT, "count", lambda: scene.rng.randint(1, 50))
    arguments = query | ({"genre": genre} if genre else {})
    arguments |= {"max_price_cents": price["cents"]} if price else {}
    scene.found = scene.draft.step("search_books", **arguments, **({"limit": limit["count"]} if limit else {}))


def _first_book(scene: _Scene) -> Reference:
    return result(scene.found, "first_book_id")


def _reading(skill: str, name: str, slot: str) -> Callable[[_Scene], None]:
    def add(scene: _Scene) -> None:
        scene.draft.step(skill, **{name: scene.identifier(slot)})

    return add


def _book_first(scene: _Scene) -> None:
    scene.draft.step("get_book", book_id=_first_book(scene))


def _stock_first(scene: _Scene) -> None:
    scene.draft.step("get_stock", book_id=_first_book(scene))


def _orders(scene: _Scene) -> None:
    status = scene.option(0.6, "status", phrases.STATUS)
    limit = scene.maybe(0.3, "most", phrases.LIMIT, "count", lambda: scene.rng.randint(1, 50))
    arguments = ({"status": status} if status else {}) | ({"limit": limit["count"]} if limit else {})
    scene.listed = scene.draft.step("list_orders", **arguments)


def _order_first(scene: _Scene) -> None:
    scene.draft.step("get_order", order_id=result(scene.listed, "first_order_id"))


def _cancel_first(scene: _Scene) -> None:
    scene.draft.step("cancel_order", order_id=result(scene.listed, "first_order_id"))


def _purchase(scene: _Scene, book: str | Reference) -> None:
    copies = scene.copies()
    gift = scene.rng.random() < 0.25
    scene.words["gift"] = scene.rng.choice(phrases.GIFT) if gift else ""
    note = scene.maybe(0.2, "note", phrases.NOTE, "note", lambda: filled(scene.rng.choice(phrases.NOTES), scene.rng))
    scene.made = scene.draft.step("create_order", book_id=book, copies=copies, gift=gift, **note)


def _buy(scene: _Scene) -> None:
    _purchase(scene, scene.identifier("book"))


def _buy_first(scene: _Scene) -> None:
    _purchase(scene, _first_book(scene))


def _deliver(scene: _Scene, order: str | Reference) -> None:
    scene.draft.step("set_delivery", order_id=order, method=scene.option(1.0, "method", phrases.METHODS))


def _pay(scene: _Scene, order: str | Reference) -> None:
    scene.draft.step("pay_order", order_id=order, method=scene.option(1.0, "means", phrases.MEANS))


def _delivery(scene: _Scene) -> None:
    _deliver(scene, result(scene.made, "order_id"))


def _delivery_of(scene: _Scene) -> None:
    _deliver(scene, scene.identifier("order"))


def _pay_made(scene: _Scene) -> None:
    _pay(scene, result(scene.made, "order_id"))


def _pay_of(scene: _Scene) -> None:
    _pay(scene, scene.identifier("order"))


def _if_stock_buy(scene: _Scene) -> None:
    book, least = scene.identifier("book"), scene.rng.randint(1, 20)
    scene.words["least"] = str(least)
    stock = scene.draft.step("get_stock", book_id=book)
    scene.draft.step("create_order", condition=f"{stock}.copies >= {least}", book_id=book, copies=scene.copies(of_it=True))


def _if_price_buy(scene: _Scene) -> None:
    book, cents = scene.identifier("book"), scene.price()
    scene.words["cents"] = str(cents)
    read = scene.draft.step("get_book", book_id=book)
    scene.draft.step("create_order", condition=f"{read}.price_cents <= {cents}", book_id=book, copies=scene.copies(of_it=True))


def _if_first_price_buy(scene: _Scene) -> None:
    cents = scene.price()
    scene.words["cents"] = str(cents)
    condition = f"{scene.found}.first_price_cents <= {cents}"
    scene.draft.step("create_order", condition=condition, book_id=_first_book(scene), copies=scene.copies(of_it=True))


_CLAUSES: dict[str, Callable[[_Scene], None]] = {
    "search": _search,
    "book_first": _book_first,
    "book": _reading("get_book", "book_id", "book"),
    "stock_first": _stock_first,
    "stock": _reading("get_stock", "book_id", "book"),
    "orders": _orders,
    "order_first": _order_first,
    "order_read": _reading("get_order", "order_id", "order"),
    "buy": _buy,
    "buy_first": _buy_first,
    "delivery": _delivery,
    "delivery_of": _delivery_of,
    "pay": _pay_made,
    "pay_of": _pay_of,
    "cancel": _reading("cancel_order", "order_id", "order"),
    "cancel_first": _cancel_first,
    "delete": _reading("delete_order", "order_id", "order"),
    "if_stock_buy": _if_stock_buy,
    "if_price_buy": _if_price_buy,
    "if_first_price_buy": _if_first_price_buy,
}


def _request(rng: random.Random) -> Goal:
    while True:
        scene = _Scene(rng)
        clauses = rng.choices((1, 2, 3, 4, 5), (2, 4, 5, 6, 3))[0]
        while len(scene.clauses) < clauses:
            last = scene.clauses[-1] if scene.clauses else None
            parallel = last is not None and last.kind in _READING and not last.parallel and rng.random() < 0.2
            _add(scene, rng.choice(_READING) if parallel else _next(scene), parallel=parallel)
            if scene.clauses[-1].kind in _LAST:
                break
        if len(scene.draft.steps) <= MAX_STEPS:
            return scene.goal()


def _next(scene: _Scene) -> str:
    """What may follow: half of it goes on with what was found, listed or ordered last."""
    last = scene.clauses[-1].kind if scene.clauses else ""
    going_on: tuple[str, ...] = ()
    if scene.made and scene.draft.steps[-1].skill in ("create_order", "set_delivery"):
        going_on = ("pay", "pay", "delivery") if scene.draft.steps[-1].skill == "create_order" else ("pay",)
    elif scene.found and last in ("search", "book_first", "stock_first"):
        going_on = _FOUND
    elif last == "orders":
        going_on = _LISTED
    return scene.rng.choice(going_on if going_on and scene.rng.random() < 0.7 else _ANY)


def _add(scene: _Scene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    _CLAUSES[kind](scene)
    scene.say(kind, parallel=parallel)


API_JSON = training_domain(
    DOMAIN,
    _request,
    kinds=tuple(PHRASES),
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS[:1],
    compared=("copies", "price_cents", "first_price_cents"),
)
