"""What a JSON Schema uses, in the words of the engine table.

A feature is an assertion keyword, `format:` with a format's name, or two keywords beside each other in one schema object
(`minimum+type`): a library may know each of them and drop one beside the other.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from builderbrain.grammar.keywords import ASSERTIONS
from builderbrain.grammar.subschemas import pointer_of, walk


def feature_pointers(schema: Any) -> dict[str, list[str]]:
    """JSON pointers of every use of each feature; of two keywords, the pointers of both."""
    found: dict[str, list[str]] = {}
    for pointer, node in walk(schema):
        used = sorted(keyword for keyword in node if keyword in ASSERTIONS)
        for keyword in used:
            name = f"format:{node[keyword]}" if keyword == "format" else keyword
            found.setdefault(name, []).append(pointer_of(pointer, keyword))
        for first, second in combinations(used, 2):
            found.setdefault(f"{first}+{second}", []).extend((pointer_of(pointer, first), pointer_of(pointer, second)))
    return found
