"""Plans of `api_json` against the described server over a real socket: what is sent, and what happens on each fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builderbrain.plan import get_domain
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.api.domain import api_tools
from tests.domains.bookshop import Bookshop, serving
from tests.domains.runs import Runs, statuses, story

SEARCH = 's1=search_books(query="sea")'
ORDER = f"{SEARCH}\ns2=create_order(book_id=s1.first_book_id,copies=2)"
PAY = f"{ORDER}\ns3=pay_order(order_id=s2.order_id)"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, list[Bookshop]]]:
    """One server for the file; the shop behind it is exchanged by each test."""
    current: list[Bookshop] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await current[-1].app(scope, receive, send)

    with serving(app) as base:
        yield base, current


class Buyer(Runs):
    def __init__(self, folder: Path, shop: Bookshop, base: str, seconds: float = 30.0) -> None:
        self.shop = shop
        self.waited: list[float] = []

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)

        settings = ApiSettings(base_url=base, headers={"authorization": "Bearer secret"}, seconds=seconds)
        super().__init__(folder, "api_json", api_tools(get_domain("api_json"), settings, sleep=sleep))


@pytest.fixture
def buyer(address: tuple[str, list[Bookshop]], tmp_path: Path) -> Buyer:
    base, current = address
    current.append(Bookshop())
    return Buyer(tmp_path, current[-1], base)


def test_the_playbook_looks_orders_and_pays_each_once(buyer: Buyer) -> None:
    report = buyer.run(
        f'{PAY}\ns4=get_order(order_id=s2.order_id) after s3\ns5=set_delivery(order_id=s2.order_id,method="courier")'
    )
    assert (report.status, statuses(report)) == ("finished", ["done"] * 5)
    assert buyer.asked == [("pay_order",)]
    assert report.entries[0].output is not None
    assert report.entries[0].output["total"] == 2
    assert json.loads(report.entries[0].output["body"])["items"][0]["title"] == "The Sea"
    assert report.entries[2].output is not None
    assert report.entries[2].output["total_cents"] == 2400
    assert buyer.shop.paid == ["o1"]
    sent = {path: key for method, path, key in buyer.shop.asked if method != "GET"}
    assert len(set(sent.values())) == 3
    assert None not in sent.values()
    assert all(key is None for method, _, key in buyer.shop.asked if method == "GET")
    assert {headers["authorization"] for headers in buyer.shop.headers} == {"Bearer secret"}
    journal = (buyer.folder / f"{report.execution}.jsonl").read_text()
    assert "secret" not in journal


def test_what_is_not_there_blocks_what_needs_it_and_nothing_is_ordered(buyer: Buyer) -> None:
    report = buyer.run(ORDER.replace('"sea"', '"no such words"'))
    assert statuses(report) == ["done", "blocked"]
    assert buyer.shop.orders == {}


def test_a_transient_fault_of_an_idempotent_call_is_tried_again_with_the_same_key(buyer: Buyer) -> None:
    buyer.shop.fail("GET", "/books", ("status", 500), ("drop", None))
    buyer.shop.fail("POST", "/orders", ("lost drop", None), ("status", 503))
    report = buyer.run(ORDER)
    assert statuses(report) == ["done", "done"]
    assert [entry.attempts for entry in report.entries] == [3, 3]
    keys = [key for method, _, key in buyer.shop.asked if method == "POST"]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert list(buyer.shop.orders) == ["o1"]  # the lost one was had, and not once more
    assert buyer.clock.slept == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (("status", 404), "tool_failed", "nothing of this name"),
        (("text", "<html>busy</html>"), "garbage_answer", "not what the server's own description allows"),
        (("json", {"total": "many", "items": []}), "garbage_answer", "not what"),
        (("raw", b'{"total": NaN, "items": []}'), "garbage_answer", "not what"),
        (("raw", b"x" * (1024 * 1024 + 1)), "garbage_answer", "not what"),
        (("redirect", "http://169.254.169.254/latest"), "tool_failed", "not made"),
    ],
)
def test_a_failure_gives_a_well_formed_error_object_with_an_explanation(
    buyer: Buyer, fault: tuple[str, Any], code: str, words: str
) -> None:
    buyer.shop.fail("GET", "/books", fault)
    report = buyer.run(ORDER)
    assert statuses(report) == ["failed", "blocked"]
    assert len(buyer.shop.asked) == 1
    (fallback,) = report.fallbacks
    assert (fallback.step, fallback.skill, fallback.status) == ("s1", "explain_error", "done")
    problem = json.loads(fallback.results["body"])
    assert (problem["code"], problem["skill"], problem["step"]) == (code, "search_books", "s1")
    assert words in problem["explanation"]
    assert problem.get("status") == (404 if fault == ("status", 404) else None)
    assert story(report) == ["attempt s1", "fallback s1", "attempt s1", "held_back s2", "ended"]


def test_a_slow_answer_is_not_waited_for_and_not_asked_for_again(address: tuple[str, list[Bookshop]], tmp_path: Path) -> None:
    base, current = address
    current.append(Bookshop())
    buyer = Buyer(tmp_path, current[-1], base, seconds=0.5)
    buyer.shop.fail("GET", "/books", ("slow", 3))
    report = buyer.run(ORDER)
    assert (statuses(report), report.entries[0].error_code) == (["failed", "blocked"], "tool_timeout")
    assert "took too long" in json.loads(report.fallbacks[0].results["body"])["explanation"]
    assert len(buyer.shop.asked) == 1


def test_garbage_counts_as_a_fault_of_the_tool_and_not_found_does_not(buyer: Buyer) -> None:
    buyer.shop.fail("GET", "/books/b1", *[("text", "?")] * 3)
    report = buyer.run(
        's1=get_book(book_id="b1")\n' + "\n".join(f's{n}=get_book(book_id="b1") if not s{n - 1}.ok' for n in (2, 3, 4))
    )
    assert [entry.error_code for entry in report.entries] == ["garbage_answer"] * 3 + ["tool_cooling_down"]
    report = buyer.run(
        's1=get_book(book_id="x")\n' + "\n".join(f's{n}=get_book(book_id="x") if not s{n - 1}.ok' for n in (2, 3, 4))
    )
    assert [entry.error_code for entry in report.entries] == ["tool_failed"] * 4


def test_a_payment_without_credit_takes_the_order_back_and_says_why(buyer: Buyer) -> None:
    buyer.shop.credit = False
    report = buyer.run(PAY)
    assert report.status == "stopped"
    assert statuses(report) == ["done", "undone", "failed"]
    assert buyer.shop.orders["o1"]["status"] == "cancelled"
    problem = json.loads(report.fallbacks[0].results["body"])
    assert (problem["status"], problem["detail"]) == (402, "the account has no credit")
    assert "nothing was paid" in problem["explanation"]
    assert [each for each in story(report) if not each.startswith("confirmed")] == [
        *("attempt s1", "attempt s2", "attempt s3", "stopped", "fallback s3", "attempt s3", "attempt s2", "undo s2", "ended")
    ]


def test_a_payment_whose_answers_are_all_lost_is_unknown_and_paid_at_most_once(buyer: Buyer) -> None:
    buyer.shop.fail("POST", "/orders/o1/payment", ("lost status", 500), ("status", 500), ("status", 502))
    report = buyer.run(PAY)
    assert report.status == "unsettled"
    assert statuses(report)[2] == "unknown"
    assert buyer.shop.paid == ["o1"]


def test_a_busy_server_is_waited_for_as_long_as_it_asks_within_the_time_of_the_step(buyer: Buyer) -> None:
    buyer.shop.fail("POST", "/orders", ("busy", 0), ("busy", 0))
    assert statuses(buyer.run(ORDER)) == ["done", "done"]
    assert buyer.waited == [0.0, 0.0]
    buyer.shop.fail("GET", "/books", *[("busy", 3600)] * 3)
    report = buyer.run(SEARCH)
    assert statuses(report) == ["failed"]
    assert report.entries[0].error_code == "tool_unavailable"
    assert json.loads(report.fallbacks[0].results["body"])["explanation"] == "The server was asked too often; try again later."
    assert buyer.waited == [0.0, 0.0]


def test_a_deletion_whose_answer_was_lost_is_done_when_nothing_is_there_any_more(buyer: Buyer) -> None:
    buyer.run(ORDER)
    buyer.shop.fail("DELETE", "/orders/o1", ("lost drop", None))
    buyer.shop.served.clear()
    report = buyer.run('s1=delete_order(order_id="o1")')
    assert (statuses(report), report.entries[0].attempts, buyer.shop.orders) == (["done"], 2, {})


@pytest.mark.parametrize("name", ["..", ".", "a/../../orders", "b1?admin=1", "b1#x", "%2e%2e"])
def test_an_id_stays_one_part_of_the_address(buyer: Buyer, name: str) -> None:
    report = buyer.run(f's1=get_book(book_id="{name}")')
    assert statuses(report) == ["failed"]
    assert all(path.startswith("/books/") and path != "/books/" for _, path, _ in buyer.shop.asked)


def test_what_plans_cannot_bound_is_checked_before_anything_is_sent(buyer: Buyer) -> None:
    report = buyer.run('s1=create_order(book_id="b1",note="<b>")')
    assert statuses(report) == ["failed"]
    assert "note does not fit" in str(report.entries[0].error)
    assert buyer.shop.asked == []


def test_a_server_that_is_not_there_is_tried_again_and_then_explained(tmp_path: Path) -> None:
    gone = Buyer(tmp_path, Bookshop(), "http://127.0.0.1:9")
    report = gone.run(ORDER)
    assert statuses(report) == ["failed", "blocked"]
    assert report.entries[0].attempts == 3
    assert json.loads(report.fallbacks[0].results["body"])["try_again_later"] is True
