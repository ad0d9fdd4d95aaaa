"""One case of the conformance corpus: a constraint, what it tests, and texts that satisfy it or do not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from builderbrain.grammar.base import Constraint, ConstraintKind


@dataclass(frozen=True, kw_only=True)
class Case:
    """`feature` is the row of the engine table: a keyword, two that stand beside each other (`a+b`), or a kind.

    `texts` are outputs to try. Which of them are valid is not written here: the judge says so.
    """

    feature: str
    kind: ConstraintKind
    source: str
    texts: tuple[str, ...]

    @property
    def constraint(self) -> Constraint:
        """The constraint to compile."""
        return Constraint(kind=self.kind, source=self.source)


def as_text(value: Any) -> str:
    """JSON without spaces, members in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def schema_case(feature: str, schema: Any, values: Iterable[Any] = (), texts: Iterable[str] = ()) -> Case:
    """A case of a JSON Schema with instances as values, or as texts where the spelling matters."""
    tried = dict.fromkeys([*map(as_text, values), *texts])
    return Case(feature=feature, kind="json_schema", source=json.dumps(schema, ensure_ascii=False), texts=tuple(tried))


def pair(first: str, second: str) -> str:
    """The feature of two keywords in one schema object."""
    return "+".join(sorted((first, second)))
