"""What a JSON Schema uses, in the words of the engine table: its assertion keywords, and `format:` with the format's name."""

from __future__ import annotations

from typing import Any

from builderbrain.grammar.keywords import ASSERTIONS
from builderbrain.grammar.subschemas import pointer_of, walk


def feature_pointers(schema: Any) -> dict[str, list[str]]:
    """JSON pointers of every use of each feature, in document order within a node."""
    found: dict[str, list[str]] = {}
    for pointer, node in walk(schema):
        for keyword, value in node.items():
            if keyword in ASSERTIONS:
                name = f"format:{value}" if keyword == "format" else keyword
                found.setdefault(name, []).append(pointer_of(pointer, keyword))
    return found


def features_of(schema: Any) -> frozenset[str]:
    """The features that a schema uses."""
    return frozenset(feature_pointers(schema))
