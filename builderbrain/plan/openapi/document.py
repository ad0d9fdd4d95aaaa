"""An OpenAPI file, read strictly: 3.0 or 3.1, references inside the file alone, schemas of 3.0 turned into those of 3.1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from builderbrain.errors import SchemaError
from builderbrain.plan.schema import StrictLoader

MAX_DOCUMENT_BYTES = 1024 * 1024
_MAX_DEPTH = 64
_MAX_REFERENCES = 32


@dataclass(frozen=True)
class Document:
    """A file whose every key is text."""

    root: Mapping[str, Any]

    def at(self, reference: str) -> Any:
        """What a reference such as `#/components/schemas/Book` points at.

        Raises:
            SchemaError: it leaves the file, or nothing is there.
        """
        if not reference.startswith("#/"):
            raise SchemaError(f"expected a reference inside the file (#/...), got {reference}; copy it in", field=reference)
        found: Any = self.root
        for token in tokens_of(reference[1:]):
            if not isinstance(found, Mapping) or token not in found:
                raise SchemaError(f"{reference} points at nothing; correct it", field=reference)
            found = found[token]
        return found

    def resolved(self, node: Any, pointer: str) -> Mapping[str, Any]:
        """An object with its references followed; keys beside a reference are put over what it points at.

        Raises:
            SchemaError: not an object, or the references go in a circle.
        """
        beside: dict[str, Any] = {}
        for _ in range(_MAX_REFERENCES):
            if not isinstance(node, Mapping):
                raise SchemaError(f"{pointer}: expected an object, got {type(node).__name__}", field=pointer)
            if "$ref" not in node:
                return {**node, **beside}
            beside = {**{key: value for key, value in node.items() if key != "$ref"}, **beside}
            node = self.at(str(node["$ref"]))
        raise SchemaError(f"{pointer}: references go in a circle; end it", field=pointer)

    def schema(self, node: Any, pointer: str, depth: int = 0) -> Mapping[str, Any]:
        """A schema with references followed and `allOf` put together; what later parts say goes before earlier ones.

        Raises:
            SchemaError: as `resolved`, or nested too deep.
        """
        if node is True:
            return {}
        found = self.resolved(node, pointer)
        if "allOf" not in found:
            return found
        if depth >= _MAX_REFERENCES or not isinstance(found["allOf"], list):
            raise SchemaError(
                f"{pointer}/allOf: expected a list of schemas, nested at most {_MAX_REFERENCES} deep", field=pointer
            )
        whole: dict[str, Any] = {}
        rest = {key: value for key, value in found.items() if key != "allOf"}
        for part in (*(self.schema(each, pointer, depth + 1) for each in found["allOf"]), rest):
            properties = {**whole.get("properties", {}), **part.get("properties", {})}
            required = [*whole.get("required", []), *part.get("required", [])]
            whole = {**whole, **part}
            if properties:
                whole["properties"] = properties
            if required:
                whole["required"] = required
        return whole


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The parts of a JSON pointer, unescaped (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def escaped(token: str) -> str:
    """A part of a JSON pointer, escaped."""
    return token.replace("~", "~0").replace("/", "~1")


def read_document(text: str) -> Document:
    """A document from YAML or JSON text.

    Raises:
        SchemaError: too long, not YAML or JSON, no mapping, or of another version.
    """
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise SchemaError(f"an OpenAPI file has at most {MAX_DOCUMENT_BYTES} bytes, got {len(text.encode())}; split it")
    try:
        loaded = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=StrictLoader)
    except (yaml.YAMLError, json.JSONDecodeError, RecursionError) as error:
        raise SchemaError(f"expected an OpenAPI file in YAML or JSON: {str(error)[:300]}") from error
    if not isinstance(loaded, dict):
        raise SchemaError(f"expected an OpenAPI file with openapi, info, paths at the top, got {type(loaded).__name__}")
    version = str(loaded.get("openapi", "nothing"))
    if not version.startswith(("3.0", "3.1")):
        raise SchemaError(f"expected OpenAPI 3.0 or 3.1, got {version}; convert the file", field="/openapi")
    root = _plain(loaded, version.startswith("3.0"), 0)
    if not isinstance(root.get("paths"), dict):
        raise SchemaError("expected paths with at least one operation, got none", field="/paths")
    return Document(root)


def _plain(value: Any, old: bool, depth: int) -> Any:
    """The value with text as keys and dates as text; what 3.0 says otherwise is said as in 3.1."""
    if depth > _MAX_DEPTH:
        raise SchemaError(f"an OpenAPI file is nested at most {_MAX_DEPTH} deep; flatten it")
    if isinstance(value, list):
        return [_plain(item, old, depth + 1) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, dict):
        return value
    plain = {str(key): _plain(item, old, depth + 1) for key, item in value.items()}
    if old:
        for bound in ("Minimum", "Maximum"):
            if isinstance(strict := plain.get(f"exclusive{bound}"), bool):
                del plain[f"exclusive{bound}"]
                if strict and (limit := plain.pop(bound.lower(), None)) is not None:
                    plain[f"exclusive{bound}"] = limit
        if isinstance(plain.get("nullable"), bool) and plain.pop("nullable") and isinstance(plain.get("type"), str):
            plain["type"] = [plain["type"], "null"]
            if isinstance(plain.get("enum"), list):
                plain["enum"] = [*plain["enum"], None]
    return plain
