"""Whether values fit the schemas of an OpenAPI file: arguments before they are sent, answers before they are believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from builderbrain.errors import SchemaError
from builderbrain.plan.openapi.document import Document


class Fit:
    """One schema of a document, compiled. References of it point into the document.

    Raises:
        SchemaError: no JSON schema.
    """

    def __init__(self, document: Document, schema: Any, pointer: str) -> None:
        whole = {"components": document.root.get("components", {}), "allOf": [schema]}
        try:
            self._validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise SchemaError(f"{pointer} is no JSON schema: {str(error)[:200]}", field=pointer) from error

    def fault(self, value: Any) -> str | None:
        """Where and why a value does not fit, in a few words; None when it does."""
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return None
        where = "/".join(str(part) for part in error.instance_path)
        return f"{where or 'the whole'}: {str(error.message)[:200]}"


def at(value: Any, tokens: tuple[str, ...]) -> Any:
    """What stands at a JSON pointer of a value, None where there is nothing."""
    for token in tokens:
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value
