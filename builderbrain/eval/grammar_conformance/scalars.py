"""Cases of `type`, `enum`, `const` and of the keywords of numbers and strings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from builderbrain.eval.grammar_conformance.case import Case, pair, schema_case

TYPES: tuple[str, ...] = ("string", "number", "integer", "array", "object", "boolean", "null")
ONE_OF_EACH: tuple[Any, ...] = ("", "a", "12", -3, 0, 12, 2.5, [], [1], {}, {"a": 1}, True, False, None)
NUMBERS: tuple[Any, ...] = (
    *(-1_000_001, -1000, -101, -100, -99, -11, -10.5, -10, -9, -1.5, -1, -0.5, 0),
    *(0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 9, 9.75, 10, 10.25, 11, 99, 100, 101, 999, 1000, 1001, 1_000_000, 12_345_678),
)
NOT_NUMBERS: tuple[Any, ...] = ("5", None, True, [5], {"a": 5})
STRINGS: tuple[str, ...] = (
    *(
        "",
        "a",
        "b",
        "ab",
        "abc",
        "abcd",
        "abcde",
        "a b",
        "A1",
        "12",
        "-1",
        "é",
        "éa",
        "日本",
        "日本語",
        "😀",
        "😀é",
        "x\ty",
        "x\ny",
    ),
    *('q"q', "b\\b", "a/b", "aaaaaaaaaaaa", "0123456789", "foo", "bar", "foobar", "FOO"),
)


def scalar_cases() -> Iterator[Case]:
    """All of them."""
    yield from _types()
    yield from _literals()
    yield from _numbers()
    yield from _strings()


def _types() -> Iterator[Case]:
    for name in TYPES:
        yield schema_case("type", {"type": name}, ONE_OF_EACH)
        yield schema_case("type", {"type": [name]}, ONE_OF_EACH[::2])
    for names in combinations(TYPES, 2):
        yield schema_case("type", {"type": list(names)}, ONE_OF_EACH)
    yield schema_case("type", {"type": "integer"}, texts=("1", "-1", "0", "-0", "01", "1.5", "+1", "1e400", ".5", "1.", "0x1"))
    yield schema_case("type", {"type": "number"}, texts=("1e2", "1E-2", "-0.0", "1.50", "00", "1e", "--1", "NaN", "Infinity"))
    yield schema_case("type", {"type": "null"}, texts=("null", "Null", "nul", "nulll", ""))
    yield schema_case(
        "type", {"type": "string"}, texts=('"\\n"', '"\n"', '"\x01"', '"\\x"', "'a'", '"a', '"\\ud800"', '"\x7f"')
    )


def _literals() -> Iterator[Case]:
    for value in ONE_OF_EACH:
        yield schema_case("const", {"const": value}, ONE_OF_EACH)
    yield schema_case(
        "const", {"const": {"a": [1, None], "b": "é"}}, ({"a": [1, None], "b": "é"}, {"a": [1], "b": "é"}, {"a": 1})
    )
    yield schema_case("const", {"const": 'q"\\\n'}, ('q"\\\n', "q"))
    for values in (
        ["red", "green"],
        [1, 2, 10],
        ["a", 1, None, True],
        [[], [1], {}],
        ["", "a", "ab", "abc"],
        [0.5, -1.5],
        ["é", "😀"],
    ):
        yield schema_case(
            "enum", {"enum": values}, (*ONE_OF_EACH, "red", "green", "re", "redgreen", 1, 2, 10, 1.5, "ab", "é", "😀")
        )
    for name in ("string", "integer", "number", "null"):
        schema = {"type": name, "enum": ["a", 1, 2.5, None, "ab"]}
        yield schema_case(pair("enum", "type"), schema, (*ONE_OF_EACH, 1, "ab"))
        yield schema_case(pair("const", "type"), {"type": ["string", "integer"], "const": "a"}, ("a", "b", 1))
    yield schema_case(pair("enum", "minimum"), {"enum": [1, 5, 9], "minimum": 4}, (1, 4, 5, 9, 10))
    yield schema_case(pair("enum", "maxLength"), {"enum": ["a", "abc", "abcde"], "maxLength": 3}, STRINGS)
    yield schema_case(pair("enum", "pattern"), {"enum": ["foo", "bar", "foobar"], "pattern": "^foo"}, STRINGS)


def _numbers() -> Iterator[Case]:
    bound: float
    step: float
    bounds = (-100, -10, -1, 0, 1, 3, 10, 99, 1000)
    for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        for bound in bounds:
            yield schema_case(keyword, {"type": "integer", keyword: bound}, NUMBERS)
        for bound in (-10, 0, 2.5, 10):
            yield schema_case(keyword, {"type": "number", keyword: bound}, NUMBERS)
            yield schema_case(keyword, {keyword: bound}, (*NUMBERS[::3], *NOT_NUMBERS))
    for low, high in ((0, 9), (-9, 9), (10, 100), (-100, -10), (1, 1), (95, 1005), (0, 255)):
        yield schema_case(pair("minimum", "maximum"), {"type": "integer", "minimum": low, "maximum": high}, NUMBERS)
        yield schema_case(pair("minimum", "maximum"), {"type": "number", "minimum": low, "maximum": high}, NUMBERS)
        schema = {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high + 1}
        yield schema_case(pair("exclusiveMinimum", "exclusiveMaximum"), schema, NUMBERS)
    for step in (1, 2, 3, 5, 7, 100):
        yield schema_case("multipleOf", {"type": "integer", "multipleOf": step}, NUMBERS)
    for step in (0.5, 0.25, 1.5, 2):
        yield schema_case("multipleOf", {"type": "number", "multipleOf": step}, NUMBERS)
        yield schema_case("multipleOf", {"multipleOf": step}, (*NUMBERS[::4], *NOT_NUMBERS))
    for step, low in ((2, 3), (5, -10), (3, 0)):
        schema = {"type": "integer", "multipleOf": step, "minimum": low, "maximum": 100}
        yield schema_case(pair("minimum", "multipleOf"), schema, NUMBERS)


def _strings() -> Iterator[Case]:
    for count in (0, 1, 2, 3, 5, 10):
        for keyword in ("minLength", "maxLength"):
            yield schema_case(keyword, {"type": "string", keyword: count}, STRINGS)
            yield schema_case(keyword, {keyword: count}, (*STRINGS[:6], *ONE_OF_EACH))
    for least, most in ((0, 0), (1, 1), (1, 3), (2, 5), (12, 12)):
        schema = {"type": "string", "minLength": least, "maxLength": most}
        yield schema_case(pair("minLength", "maxLength"), schema, STRINGS)
    yield schema_case(
        "minLength", {"type": "string", "minLength": 1}, texts=('"\x01"', '"\\n"', '"\\""', '"\\\\"', '""', '"é"')
    )
    patterns = (
        *("^a", "b$", "^a.*c$", "^[a-c]+$", "^[0-9]{2}$", "o", "^(foo|bar)$", "^foo|bar$", "^[^a-z]*$", "^.$", "^..?$", "^$"),
        *(
            "^\\d+$",
            "^\\w+$",
            "^-?[0-9]+$",
            "^[A-Z]",
            "^(?:ab)+c?$",
            "^[à-ü]+$",
            "^a{2,12}$",
            "^[^0-9 ]{1,4}$",
            "^\\S+$",
            "a/b",
        ),
    )
    for pattern in patterns:
        yield schema_case("pattern", {"type": "string", "pattern": pattern}, STRINGS)
        yield schema_case("pattern", {"pattern": pattern}, ("a", "foo", 3, None))
    for pattern, most in (("^[a-z]+$", 3), ("o", 3), ("^.*$", 2), ("^[a-c]{1,9}$", 4)):
        yield schema_case(pair("pattern", "maxLength"), {"type": "string", "pattern": pattern, "maxLength": most}, STRINGS)
        yield schema_case(pair("pattern", "minLength"), {"type": "string", "pattern": pattern, "minLength": most}, STRINGS)
