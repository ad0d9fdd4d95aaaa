"""The simulated shop: it answers as its description says, and writes down which way money went."""

from __future__ import annotations

import pytest

from builderbrain.domains.api_json import Order, SimulatedShop
from builderbrain.errors import ToolError
from builderbrain.plan import get_domain
from builderbrain.plan.domain import OK_RESULT
from tests.domains.worlds import Hands

CALLS = {
    "search_books": {"query": "sea"},
    "get_book": {"book_id": "bk-101"},
    "get_stock": {"book_id": "bk-101"},
    "list_orders": {"status": "paid"},
    "create_order": {"book_id": "bk-101", "copies": 2, "gift": True, "note": "x"},
    "get_order": {"order_id": "o-101"},
    "delete_order": {"order_id": "o-102"},
    "cancel_order": {"order_id": "o-103"},
    "set_delivery": {"order_id": "o-104", "method": "courier"},
    "pay_order": {"order_id": "o-105", "method": "card"},
    "explain_error": {},
}


def test_every_call_of_the_domain_gives_what_the_schema_declares() -> None:
    hands = Hands("api_json", SimulatedShop())
    skills = get_domain("api_json").skills
    assert set(CALLS) == set(skills)
    for skill, arguments in CALLS.items():
        given = hands.do(skill, **arguments)
        assert set(given) == {name for name in skills[skill].results if name != OK_RESULT}


def test_money_goes_to_the_shop_and_back_and_never_twice() -> None:
    shop = SimulatedShop()
    hands = Hands("api_json", shop)
    made = hands.do("create_order", book_id="bk-104", copies=3)
    assert made["total_cents"] == 7_500
    hands.do("pay_order", order_id=made["order_id"], method="card")
    with pytest.raises(ToolError, match="is paid, only an open one"):
        hands.do("pay_order", order_id=made["order_id"])
    with pytest.raises(ToolError, match="cannot be cancelled"):
        hands.do("cancel_order", order_id=made["order_id"])
    hands.do("delete_order", order_id=made["order_id"])
    with pytest.raises(ToolError, match="there is no order"):
        hands.do("delete_order", order_id=made["order_id"])
    assert [(one.kind, one.account, one.cents) for one in shop.movements] == [
        ("payment", "card", 7_500),
        ("payback", "card", 7_500),
    ]


def test_what_was_not_paid_is_not_paid_back() -> None:
    shop = SimulatedShop([Order("a", "bk-101", 1, 1_200)])
    Hands("api_json", shop).do("delete_order", order_id="a")
    assert shop.movements == []
    with pytest.raises(ToolError, match="there is no book"):
        Hands("api_json", shop).do("create_order", book_id="nowhere")
