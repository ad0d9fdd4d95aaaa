"""Cases of the keywords of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builderbrain.eval.grammar_conformance.case import Case, pair, schema_case

ARRAYS: tuple[Any, ...] = (
    *([], [1], [1, 2], [1, 1], [1, 2, 3], [1, 2, 2], [1, 2, 3, 4], ["a"], ["a", 1], [1, "a"], [1, "a", None], ["a", "b"]),
    *([None], [[]], [[1]], [[1], [1]], [{}], [{"a": 1}], [True, False], [5, 6, 7, 8, 9], ["a", "a"], [0.5], [10], [-1, 10]),
)
OTHERS: tuple[Any, ...] = ("a", 1, {}, None)
INTEGER = {"type": "integer"}
STRING = {"type": "string"}


def array_cases() -> Iterator[Case]:
    """All of them."""
    schema: dict[str, Any]
    for items in (
        INTEGER,
        STRING,
        {"type": ["integer", "null"]},
        {"type": "array"},
        True,
        False,
        {"minimum": 2},
        {"enum": [1, 2]},
    ):
        yield schema_case("items", {"type": "array", "items": items}, ARRAYS)
        yield schema_case("items", {"items": items}, (*ARRAYS[::4], *OTHERS))
    for prefix in ([INTEGER], [INTEGER, STRING], [STRING, INTEGER, {"type": "null"}], [True, STRING], [False]):
        yield schema_case("prefixItems", {"type": "array", "prefixItems": prefix}, ARRAYS)
        for rest in (False, STRING):
            schema = {"type": "array", "prefixItems": prefix, "items": rest}
            yield schema_case(pair("prefixItems", "items"), schema, ARRAYS)
        schema = {"type": "array", "prefixItems": prefix, "minItems": 2, "maxItems": 3}
        yield schema_case(pair("prefixItems", "minItems"), schema, ARRAYS)
    for count in (0, 1, 2, 3):
        for keyword in ("minItems", "maxItems"):
            yield schema_case(keyword, {"type": "array", keyword: count}, ARRAYS)
            yield schema_case(keyword, {keyword: count}, (*ARRAYS[::4], *OTHERS))
    for least, most in ((0, 0), (1, 1), (1, 2), (2, 4)):
        schema = {"type": "array", "items": INTEGER, "minItems": least, "maxItems": most}
        yield schema_case(pair("minItems", "maxItems"), schema, ARRAYS)
    yield schema_case("uniqueItems", {"type": "array", "uniqueItems": True}, ARRAYS)
    yield schema_case("uniqueItems", {"type": "array", "uniqueItems": False}, ARRAYS)
    yield schema_case("uniqueItems", {"type": "array", "items": INTEGER, "uniqueItems": True}, ARRAYS)
    yield schema_case("uniqueItems", {"uniqueItems": True}, texts=("[1,1.0]", '[{"a":1,"b":2},{"b":2,"a":1}]', "[1,true]", "3"))
    for wanted in (INTEGER, {"const": 2}, {"minimum": 3}, STRING):
        yield schema_case("contains", {"type": "array", "contains": wanted}, ARRAYS)
        yield schema_case("minContains", {"type": "array", "contains": wanted, "minContains": 2}, ARRAYS)
        yield schema_case("minContains", {"type": "array", "contains": wanted, "minContains": 0}, ARRAYS)
        yield schema_case("maxContains", {"type": "array", "contains": wanted, "maxContains": 1}, ARRAYS)
    yield schema_case("unevaluatedItems", {"type": "array", "prefixItems": [INTEGER], "unevaluatedItems": False}, ARRAYS)
    yield schema_case("unevaluatedItems", {"type": "array", "unevaluatedItems": STRING}, ARRAYS)
    yield schema_case("unevaluatedItems", {"contains": STRING, "unevaluatedItems": INTEGER}, ARRAYS)
    schema = {"type": "array", "items": {"type": "array", "items": INTEGER, "maxItems": 1}, "minItems": 1}
    yield schema_case("items", schema, ARRAYS)
