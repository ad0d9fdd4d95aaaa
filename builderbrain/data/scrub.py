"""Personal data out of a row, before anything of it is stored.

A value becomes a typed placeholder, `<EMAIL_1>`. Within a row equal values become the same placeholder and different ones
different ones, so that which argument holds which result can still be told; between rows nothing connects them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from builderbrain.data.lookalikes import Reading, plain, read
from builderbrain.data.patterns import FINDERS, SECRET_KEYS, Finder, Span, luhn

PLACEHOLDER = re.compile(r"<(SECRET|EMAIL|IBAN|CARD|IP|PHONE)_([0-9]{1,6})>")


class Scrubber:
    """Scrubs one row. `counts` are the values replaced so far, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._names: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with every text, every key of an object and every card number among its numbers scrubbed."""
        self._reserve(row)
        return {key: self._value(value) for key, value in row.items()}

    def text(self, text: str) -> str:
        """The text with placeholders for what the finders find, in it as it is written and as it reads."""
        reading = read(text)
        for kind, find in FINDERS:
            spans = _found(text, reading, find)
            if not spans:
                continue
            parts, end = [], 0
            for start, stop in spans:
                if start >= end:  # of two that overlap the first counts, of two that begin together the longer
                    parts += [text[end:start], self._placeholder(kind, plain(text[start:stop]))]
                    end = stop
            text = "".join([*parts, text[end:]])
            reading = read(text)
        return text

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._member(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if type(value) is int and 13 <= len(str(value)) <= 19 and str(value)[0] in "23456" and luhn(str(value)):
            return self._placeholder("CARD", str(value))
        return value

    def _member(self, key: str, value: Any) -> Any:
        named = re.sub("[-_ ]", "", plain(key)).lower() in SECRET_KEYS
        if not named or isinstance(value, bool | dict | list) or value is None:
            return self._value(value)
        written = str(value)
        if not written or PLACEHOLDER.fullmatch(written) or written.startswith("${"):
            return value
        return self._placeholder("SECRET", written)

    def _placeholder(self, kind: str, value: str) -> str:
        self.counts[kind] += 1
        same = (kind, value if kind == "SECRET" else re.sub(r"[\s().-]", "", value).casefold())
        if same not in self._names:
            self._last[kind] += 1
            self._names[same] = f"<{kind}_{self._last[kind]}>"
        return self._names[same]

    def _reserve(self, value: Any) -> None:
        """Numbers of placeholders that the row brings along are not given again."""
        if isinstance(value, str):
            for kind, number in PLACEHOLDER.findall(value):
                self._last[kind] = max(self._last[kind], int(number))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._reserve(key)
                self._reserve(item)
        elif isinstance(value, list):
            for item in value:
                self._reserve(item)


def _found(text: str, reading: Reading | None, find: Finder) -> list[Span]:
    """Spans of the text as it is written and as it reads; a number that the reading joins to its neighbour is still found."""
    spans = set(find(text))
    if reading is not None:
        spans |= {reading.original(start, stop) for start, stop in find(reading.text)}
    return sorted(spans, key=lambda span: (span[0], -span[1]))
