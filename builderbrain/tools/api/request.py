"""From checked arguments to a request: every value in its place, escaped, and within what the server's description allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from builderbrain.errors import ToolError
from builderbrain.plan.openapi.document import Document
from builderbrain.plan.openapi.operations import Operation, Place
from builderbrain.tools.api.fit import Fit


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request of an operation. `url` is relative to the base and begins with a slash."""

    method: str
    url: str
    content: bytes | None


class Requests:
    """Makes the requests of one operation."""

    def __init__(self, document: Document, operation: Operation) -> None:
        self._operation = operation
        self._fits = {
            name: Fit(document, place.schema, f"{operation.pointer}/{name}") for name, place in operation.places.items()
        }

    def make(self, arguments: Mapping[str, Any]) -> Request:
        """The request for these arguments.

        Raises:
            ToolError: a value is outside what the server's description allows; nothing is sent.
        """
        operation = self._operation
        path, query, body = operation.path, [], {}
        for name, value in arguments.items():
            fault = self._fits[name].fault(value)
            if fault is not None:
                raise ToolError(f"{name} does not fit the description of the server: {fault}; give another value", field=name)
            place = operation.places[name]
            if place.where == "path":
                path = path.replace(f"{{{place.name}}}", _segment(name, value))
            elif place.where == "query":
                query += _query(place, value)
            else:
                body[place.name] = value
        url = f"{path}?{urlencode(query)}" if query else path
        content = json.dumps(body, ensure_ascii=False).encode() if operation.has_body else None
        return Request(method=operation.method.upper(), url=url, content=content)


def _segment(name: str, value: Any) -> str:
    """A value as one part of a path, which it can neither leave nor leave out."""
    text = _text(value)
    if text in ("", ".", ".."):
        raise ToolError(f"{name} is part of an address and cannot be {text!r}; give an id", field=name)
    return quote(text, safe="")


def _query(place: Place, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        return [(place.name, _text(value))]
    if place.explode:
        return [(place.name, _text(item)) for item in value]
    return [(place.name, ",".join(_text(item) for item in value))]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
