"""Planchecker of the domain api_json, version 1.

Looks for books, orders them and pays, over HTTP.
Generated from schemas/api_json.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_search_books(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # query: string, optional
    if (value := args.get("query", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "query", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "query", "string", value))
        elif not 1 <= len(value) <= 100:
            faults.append(fault.bad_value(step.id, "query", value, "must have 1 to 100 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "query", value, reason, remedy))
    # genre: string, optional
    if (value := args.get("genre", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "genre", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "genre", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "genre", value, reason, remedy))
        elif value not in ("novel", "crime", "poetry", "history", "science", "children"):
            remedy = fault.nearest(value, ("novel", "crime", "poetry", "history", "science", "children"))
            faults.append(fault.bad_value(step.id, "genre", value, "is not one of the legal values", remedy))
    # max_price_cents: integer, optional
    if (value := args.get("max_price_cents", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "max_price_cents", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "max_price_cents", "integer", value))
        elif value < 0:
            faults.append(fault.bad_value(step.id, "max_price_cents", value, "must be at least 0", "give at least 0"))
        elif value > 100000:
            faults.append(fault.bad_value(step.id, "max_price_cents", value, "must be at most 100000", "give at most 100000"))
    # limit: integer, optional
    if (value := args.get("limit", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "limit", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "limit", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at least 1", "give at least 1"))
        elif value > 50:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at most 50", "give at most 50"))
    if known != len(args):
        legal = ("query", "genre", "max_price_cents", "limit")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "search_books", name, legal))


def _check_get_book(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # book_id: string
    if (value := args.get("book_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "book_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "book_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "book_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "book_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "get_book", "book_id", "string"))
    if known != len(args):
        legal = ("book_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "get_book", name, legal))


def _check_get_stock(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # book_id: string
    if (value := args.get("book_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "book_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "book_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "book_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "book_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "get_stock", "book_id", "string"))
    if known != len(args):
        legal = ("book_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "get_stock", name, legal))


def _check_list_orders(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # status: string, optional
    if (value := args.get("status", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "status", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "status", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "status", value, reason, remedy))
        elif value not in ("open", "paid", "cancelled"):
            remedy = fault.nearest(value, ("open", "paid", "cancelled"))
            faults.append(fault.bad_value(step.id, "status", value, "is not one of the legal values", remedy))
    # limit: integer, optional
    if (value := args.get("limit", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "limit", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "limit", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at least 1", "give at least 1"))
        elif value > 50:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at most 50", "give at most 50"))
    if known != len(args):
        legal = ("status", "limit")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "list_orders", name, legal))


def _check_create_order(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # book_id: string
    if (value := args.get("book_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "book_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "book_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "book_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "book_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "create_order", "book_id", "string"))
    # copies: integer, optional
    if (value := args.get("copies", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "copies", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "copies", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "copies", value, "must be at least 1", "give at least 1"))
        elif value > 10:
            faults.append(fault.bad_value(step.id, "copies", value, "must be at most 10", "give at most 10"))
    # gift: boolean, optional
    if (value := args.get("gift", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "gift", "boolean", value, faults)
        elif type(value) is not bool:
            faults.append(fault.ill_typed_argument(step.id, "gift", "boolean", value))
    # note: string, optional
    if (value := args.get("note", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "note", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "note", "string", value))
        elif not 0 <= len(value) <= 200:
            faults.append(fault.bad_value(step.id, "note", value, "must have 0 to 200 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "note", value, reason, remedy))
    if known != len(args):
        legal = ("book_id", "copies", "gift", "note")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "create_order", name, legal))


def _check_get_order(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # order_id: string
    if (value := args.get("order_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "order_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "order_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "order_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "order_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "get_order", "order_id", "string"))
    if known != len(args):
        legal = ("order_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "get_order", name, legal))


def _check_delete_order(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # order_id: string
    if (value := args.get("order_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "order_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "order_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "order_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "order_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "delete_order", "order_id", "string"))
    if known != len(args):
        legal = ("order_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "delete_order", name, legal))


def _check_cancel_order(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # order_id: string
    if (value := args.get("order_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "order_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "order_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "order_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "order_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "cancel_order", "order_id", "string"))
    if known != len(args):
        legal = ("order_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "cancel_order", name, legal))


def _check_set_delivery(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # order_id: string
    if (value := args.get("order_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "order_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "order_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "order_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "order_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "set_delivery", "order_id", "string"))
    # method: string
    if (value := args.get("method", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "method", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "method", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "method", value, reason, remedy))
        elif value not in ("post", "courier", "pickup"):
            remedy = fault.nearest(value, ("post", "courier", "pickup"))
            faults.append(fault.bad_value(step.id, "method", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "set_delivery", "method", "string"))
    if known != len(args):
        legal = ("order_id", "method")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "set_delivery", name, legal))


def _check_pay_order(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # order_id: string
    if (value := args.get("order_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "order_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "order_id", "string", value))
        elif not 1 <= len(value) <= 32:
            faults.append(fault.bad_value(step.id, "order_id", value, "must have 1 to 32 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "order_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "pay_order", "order_id", "string"))
    # method: string, optional
    if (value := args.get("method", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "method", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "method", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "method", value, reason, remedy))
        elif value not in ("card", "account", "invoice"):
            remedy = fault.nearest(value, ("card", "account", "invoice"))
            faults.append(fault.bad_value(step.id, "method", value, "is not one of the legal values", remedy))
    if known != len(args):
        legal = ("order_id", "method")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "pay_order", name, legal))


def _check_explain_error(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "explain_error", name, legal))


DOMAIN = Domain(
    name="api_json",
    version=1,
    schema_sha256="70b9d64b6790052ebd574920b292df75b90fcad0c7c648dcb6c03a7ec1a2f774",
    max_steps=12,
    max_depth=12,
    max_width=4,
    skills={
        "search_books": Skill(
            name="search_books",
            summary="Finds books by words, genre and price.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "query": Argument(
                    type="string",
                    summary="words of the title or the author",
                ),
                "genre": Argument(
                    type="string",
                    summary="kind of book",
                ),
                "max_price_cents": Argument(
                    type="integer",
                    summary="highest price, in cents",
                    maximum=100000,
                ),
                "limit": Argument(
                    type="integer",
                    default=10,
                    summary="how many books at most",
                    maximum=50,
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "total": "integer",
                "first_book_id": "string",
                "first_title": "string",
                "first_price_cents": "integer",
            },
            check=_check_search_books,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            fallback="explain_error",
        ),
        "get_book": Skill(
            name="get_book",
            summary="Reads what is known of a book.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "book_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the book",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "book_id": "string",
                "title": "string",
                "author": "string",
                "genre": "string",
                "price_cents": "integer",
                "rating": "number",
            },
            check=_check_get_book,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            fallback="explain_error",
        ),
        "get_stock": Skill(
            name="get_stock",
            summary="Says how many copies of a book are there.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "book_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the book",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "copies": "integer",
                "shelf": "string",
            },
            check=_check_get_stock,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            fallback="explain_error",
        ),
        "list_orders": Skill(
            name="list_orders",
            summary="Lists orders, the newest first.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "status": Argument(
                    type="string",
                    summary="only orders of this status",
                ),
                "limit": Argument(
                    type="integer",
                    default=10,
                    summary="how many orders at most",
                    maximum=50,
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "total": "integer",
                "first_order_id": "string",
            },
            check=_check_list_orders,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            fallback="explain_error",
        ),
        "create_order": Skill(
            name="create_order",
            summary="Orders copies of a book.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "book_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the book",
                ),
                "copies": Argument(
                    type="integer",
                    default=1,
                    summary="copies to order",
                    maximum=10,
                ),
                "gift": Argument(
                    type="boolean",
                    default=False,
                    summary="whether it is wrapped as a gift",
                ),
                "note": Argument(
                    type="string",
                    summary="words for the recipient",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "order_id": "string",
                "book_id": "string",
                "copies": "integer",
                "delivery": "string",
                "status": "string",
                "total_cents": "integer",
            },
            check=_check_create_order,
            uses=("server",),
            costs={
                "copies": "copies",
            },
            retry_attempts=3,
            retry_wait_seconds=1.0,
            idempotent=True,
            undo="cancel_order",
            fallback="explain_error",
        ),
        "get_order": Skill(
            name="get_order",
            summary="Reads an order.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "order_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the order",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "order_id": "string",
                "book_id": "string",
                "copies": "integer",
                "delivery": "string",
                "status": "string",
                "total_cents": "integer",
            },
            check=_check_get_order,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            fallback="explain_error",
        ),
        "delete_order": Skill(
            name="delete_order",
            summary="Deletes an order for good.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "order_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the order",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
            },
            check=_check_delete_order,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            idempotent=True,
            irreversible=True,
            confirm=True,
            fallback="explain_error",
        ),
        "cancel_order": Skill(
            name="cancel_order",
            summary="Cancels an order that is not paid.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "order_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the order",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "order_id": "string",
                "book_id": "string",
                "copies": "integer",
                "delivery": "string",
                "status": "string",
                "total_cents": "integer",
            },
            check=_check_cancel_order,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            idempotent=True,
            fallback="explain_error",
        ),
        "set_delivery": Skill(
            name="set_delivery",
            summary="Says how an order is delivered.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "order_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the order",
                ),
                "method": Argument(
                    type="string",
                    required=True,
                    summary="how it is delivered",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "order_id": "string",
                "book_id": "string",
                "copies": "integer",
                "delivery": "string",
                "status": "string",
                "total_cents": "integer",
            },
            check=_check_set_delivery,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            idempotent=True,
            fallback="explain_error",
        ),
        "pay_order": Skill(
            name="pay_order",
            summary="Pays an order; a person agrees first.",
            safety="mutating",
            timeout_seconds=20,
            arguments={
                "order_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the order",
                ),
                "method": Argument(
                    type="string",
                    default="account",
                    summary="how it is paid",
                ),
            },
            results={
                "ok": "boolean",
                "body": "text",
                "receipt_id": "string",
                "order_id": "string",
                "total_cents": "integer",
            },
            check=_check_pay_order,
            uses=("server",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
            idempotent=True,
            irreversible=True,
            critical=True,
            confirm=True,
            fallback="explain_error",
        ),
        "explain_error": Skill(
            name="explain_error",
            summary="Gives the error of a call that failed, with an explanation, as a problem object.",
            safety="read_only",
            timeout_seconds=10,
            arguments={},
            results={
                "ok": "boolean",
                "body": "text",
                "status": "integer",
                "code": "string",
            },
            check=_check_explain_error,
        ),
    },
    data_edges={
        "search_books": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_book": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_stock": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "list_orders": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "create_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "delete_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "cancel_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "set_delivery": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "pay_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "explain_error": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
    },
    condition_edges={
        "search_books": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_book": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_stock": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "list_orders": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "create_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "delete_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "cancel_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "set_delivery": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "pay_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "explain_error": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
    },
    sequence_edges={
        "search_books": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_book": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_stock": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "list_orders": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "create_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "get_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "delete_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "cancel_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "set_delivery": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "pay_order": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
        "explain_error": frozenset(
            {
                "search_books",
                "get_book",
                "get_stock",
                "list_orders",
                "create_order",
                "get_order",
                "delete_order",
                "cancel_order",
                "set_delivery",
                "pay_order",
                "explain_error",
            }
        ),
    },
    resources={
        "server": Resource(fixed_order=False, capacity=4),
    },
    budgets={
        "copies": 20,
    },
)
