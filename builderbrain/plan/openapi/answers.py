"""What an operation answers: the schema of each success, and the results that a plan may refer to.

Results are `body`, the whole answer as JSON; the top-level properties of the first success that are scalars or lists of
scalars; and those that `x-results` names by JSON pointer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builderbrain.plan.openapi.document import Document, escaped, tokens_of
from builderbrain.plan.openapi.expression import InexpressibleError, plain_summary, snake_case, type_of

BODY = "body"
_BODY_ENTRY = {"type": "text", "summary": "the whole answer, as JSON"}
_TAKEN = (BODY, "ok")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Successes of an operation.

    Args:
        schemas: by status (`200`, `2XX`), the schema of the JSON; None where there is no content.
        results: by name, as a domain file declares them.
        pointers: by name, the parts of the JSON pointer at which a result stands; not for `body`.
    """

    schemas: Mapping[str, Any]
    results: Mapping[str, Mapping[str, Any]]
    pointers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def answers_of(document: Document, node: Mapping[str, Any], pointer: str) -> tuple[Answers, list[tuple[str, str]]]:
    """The answers of an operation, and what of them plans cannot say: (pointer, reason).

    Raises:
        InexpressibleError: no success is declared, or one is no JSON.
        SchemaError: a reference of it points at nothing.
    """
    schemas: dict[str, Any] = {}
    for status, given in node.get("responses", {}).items():
        if not re.fullmatch(r"2(\d\d|XX)", status):
            continue
        where = f"{pointer}/responses/{status}"
        content = document.resolved(given, where).get("content", {})
        if not content:
            schemas[status] = None
            continue
        media = next((kind for kind in content if kind.partition(";")[0] == "application/json"), None)
        if media is None:
            raise InexpressibleError(f"it answers {', '.join(content)}, and only JSON is understood")
        schemas[status] = content[media].get("schema", {})
    if not schemas:
        raise InexpressibleError("it declares no answer of success (2xx)")
    results: dict[str, Mapping[str, Any]] = {BODY: _BODY_ENTRY}
    pointers: dict[str, tuple[str, ...]] = {}
    left: list[tuple[str, str]] = []
    first = min(schemas)
    if schemas[first] is not None:
        where = f"{pointer}/responses/{first}/content/application~1json/schema"
        schema = document.schema(schemas[first], where)
        for name, property_schema in schema.get("properties", {}).items():
            here = f"{where}/properties/{escaped(name)}"
            try:
                called = snake_case(name)
                if called in _TAKEN or called in results:
                    raise InexpressibleError(f"{called} is taken; name it in x-results")
                results[called] = _result(document, property_schema, here)
                pointers[called] = (name,)
            except InexpressibleError as error:
                left.append((here, f"{error}; {BODY} has it"))
        for name, at in node.get("x-results", {}).items():
            called = snake_case(name)
            found = _schema_at(document, schema, tokens_of(str(at)), f"{pointer}/x-results/{escaped(name)}")
            results[called] = _result(document, found, f"{pointer}/x-results/{escaped(name)}")
            pointers[called] = tokens_of(str(at))
    return Answers(schemas=schemas, results=results, pointers=pointers), left


def _result(document: Document, schema: Any, pointer: str) -> dict[str, Any]:
    kind, found = type_of(document, schema, pointer)
    return {"type": kind, "summary": plain_summary(found.get("description"))}


def _schema_at(document: Document, schema: Mapping[str, Any], tokens: tuple[str, ...], pointer: str) -> Mapping[str, Any]:
    """The schema of what stands at a pointer of the answer."""
    found: Mapping[str, Any] = schema
    for token in tokens:
        types = found.get("type")
        if types == "array" and token.isdecimal():
            inner = found.get("items", {})
        elif types == "object" and token in found.get("properties", {}):
            inner = found["properties"][token]
        else:
            raise InexpressibleError(f"{pointer} points at nothing: there is no {token!r} in the declared answer")
        found = document.schema(inner, pointer)
    return found
