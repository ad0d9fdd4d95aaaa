"""Cases of the constraints that are no JSON: a regular expression, a choice."""

from __future__ import annotations

import json
from collections.abc import Iterator

from builderbrain.eval.grammar_conformance.case import Case
from builderbrain.eval.grammar_conformance.scalars import STRINGS

PATTERNS = (
    *(
        "a*",
        "[a-c]+",
        "(foo|bar)+",
        "a?b?c?d?e?",
        "[0-9]{1,10}",
        "-?[0-9]+",
        "é+a?",
        "[^a]*",
        ".",
        ".*",
        "\\w+",
        "\\d{2}",
        "日.?",
        "(a|b)(b|c)?",
    ),
    *(
        "😀.?",
        "[^0-9]+",
        "x\\ty",
        "a b|b",
        "\\S*",
        "[[:alpha:]]+",
        "a{3,}",
        "(?:ab)*c{0,2}",
        'q"q',
        "b\\\\b",
        "a/b",
        "[A-Z]{3}|[a-z]{3}",
        "\\s*",
    ),
)
CHOICES = (
    *(
        ["a", "b"],
        ["a", "ab", "abc"],
        ["foo", "foobar", "bar"],
        ["é", "日本", "日本語"],
        ["x\ty", 'q"q', "b\\b"],
        ["yes"],
        ["12", "0123456789"],
    ),
    *(["a" * count for count in range(1, 30)], ["a b", " a", "a "], ["/", "a/b", "//"], ["😀", "😀é"], ["${x}", "%s", "{}"]),
)


def plain_cases() -> Iterator[Case]:
    """All of them."""
    for pattern in PATTERNS:
        yield Case(feature="regex", kind="regex", source=pattern, texts=STRINGS)
    for choices in CHOICES:
        texts = tuple(dict.fromkeys([*STRINGS[::2], *choices, choices[0] + choices[0]]))
        yield Case(feature="choice", kind="choice", source=json.dumps(choices, ensure_ascii=False), texts=texts)
