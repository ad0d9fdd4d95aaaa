"""Which sources llguidance may compile without a trial in the child process.

Its limits are counted work, which ends a compilation within tens of milliseconds, except where it intersects alternatives:
`allOf` of `anyOf`, or a reference with siblings, multiplies schemas before the limits count (12 nested pairs: 4.8 s). So a
source is light when its alternatives cannot multiply to more than a few. xgrammar has no limits; whatever it compiles goes
through the child.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from builderbrain.grammar.native import EngineName
from builderbrain.grammar.subschemas import walk

MAX_LIGHT_BYTES = 16 * 1024
MAX_LIGHT_COMBINATIONS = 64
_COMBINED = ("anyOf", "oneOf", "allOf")


def is_light(engine: EngineName, source: str, schemas: Iterable[dict[str, Any] | bool]) -> bool:
    """Whether `source`, prepared from these schemas (none: no JSON), needs no trial. Those of a structural tag stand apart."""
    if engine != "llguidance" or len(source) > MAX_LIGHT_BYTES:
        return False
    return all(map(_multiplies_little, schemas))


def _multiplies_little(schema: dict[str, Any] | bool) -> bool:
    combinations = 1
    for _, node in walk(schema):
        if "$ref" in node and len(node) > 1:
            return False
        combinations *= prod(len(node[keyword]) for keyword in _COMBINED if isinstance(node.get(keyword), list))
        if combinations > MAX_LIGHT_COMBINATIONS:
            return False
    return True
