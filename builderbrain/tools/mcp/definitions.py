"""What a server says of its tools, as plain JSON, and the hash by which an approved list is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from builderbrain.plan.faults import shown

Definition = Mapping[str, Any]
"""A tool as the server lists it, by the protocol's names: `name`, `inputSchema`, `description`, `outputSchema`, ..."""


def definitions_sha256(definitions: Sequence[Definition]) -> str:
    """Hash of a list of tools, whatever their order. Every word of a definition counts, its description too."""
    lines = sorted(_canonical(definition) for definition in definitions)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def changes(approved: Sequence[Definition], listed: Sequence[Definition]) -> str:
    """What differs between two lists, in words: tools that were added, removed or changed."""
    before, now = _by_name(approved), _by_name(listed)
    parts = []
    for word, names in (
        ("added", now.keys() - before.keys()),
        ("removed", before.keys() - now.keys()),
        ("changed", {name for name in before.keys() & now.keys() if before[name] != now[name]}),
    ):
        if names:
            few = ", ".join(shown(name) for name in sorted(names)[:5])
            parts.append(f"{word} {few}{f' and {len(names) - 5} more' if len(names) > 5 else ''}")
    return "; ".join(parts) or "the same tools in another number"


def _by_name(definitions: Sequence[Definition]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for definition in definitions:
        found.setdefault(str(definition.get("name")), []).append(_canonical(definition))
    return {name: sorted(several) for name, several in found.items()}


def _canonical(definition: Definition) -> str:
    return json.dumps(definition, sort_keys=True, ensure_ascii=True)
