"""From a constraint to what each library compiles for it and to the validator of finished texts.

The source is checked against the admission limits here, once, before any library sees it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.features import feature_pointers
from builderbrain.grammar.limits import admit_choice, admit_grammar, admit_schema
from builderbrain.grammar.lowering import lower
from builderbrain.grammar.native import ENGINES, EngineName, NativeKind
from builderbrain.grammar.patterns import read_pattern
from builderbrain.grammar.relaxing import relax
from builderbrain.grammar.structural_tags import Tag, TagSet, read_structural_tags
from builderbrain.grammar.validate import check_json, regex_validator, validator_for
from builderbrain.grammar.validate_tags import check_tags

Validate = Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A source for one library, and its schema where outputs are JSON. `declared`: JSON pointers of keywords that it leaves to
    the validator."""

    kind: NativeKind
    source: str
    schema: dict[str, Any] | bool | None = None
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """An admitted constraint. `check` is None for EBNF, whose texts are replayed through a fresh matcher."""

    kind: NativeKind
    source: str
    check: Validate | None
    uses: dict[str, list[str]]
    """JSON pointers by feature of the engine table; of no JSON, the kind alone."""
    schema: dict[str, Any] | bool | None = None
    """Of a JSON constraint; None for the others."""
    tags: TagSet | None = None
    """Of a structural tag; None for the others."""

    @property
    def json(self) -> bool:
        """Whether outputs are JSON."""
        return self.schema is not None

    @property
    def schemas(self) -> tuple[dict[str, Any] | bool, ...]:
        """Every schema of the source."""
        return tuple(tag.schema for tag in self.tags.tags) if self.tags else () if self.schema is None else (self.schema,)

    @property
    def engines(self) -> tuple[EngineName, ...]:
        """The libraries that can make its masks. In structural tags xgrammar does not bound whitespace."""
        return ENGINES if self.tags is None else ("llguidance",)

    def prepare(self, engine: EngineName) -> Prepared:
        """The source for a library.

        Raises:
            GrammarLimitError: the schema grows beyond a limit when it is rewritten.
            GrammarRefusedError: no value satisfies the schema.
        """
        if self.tags is not None:
            return _prepare_tags(self.tags)
        if self.schema is None:
            return Prepared(kind=self.kind, source=self.source)
        if engine == "xgrammar":
            lowered = lower(self.schema)
            schema, declared = lowered.schema, lowered.declared
        else:
            relaxed = relax(self.schema)
            schema, declared = relaxed.schema, relaxed.declared
        if schema is False:
            raise GrammarRefusedError("expected a schema that some value satisfies, got one that none does", field="")
        return Prepared(kind="schema", source=json.dumps(schema), schema=schema, declared=declared)


def admit(constraint: Constraint, *, trusted: bool) -> Admitted:
    """Check a constraint.

    Args:
        trusted: the source ships with the project; EBNF has no limits then.

    Raises:
        GrammarLimitError: over an admission limit; names the limit and the JSON pointer.
        GrammarRefusedError: malformed, or uses what cannot be enforced.
    """
    source = constraint.source
    if constraint.kind in ("json_object", "json_schema"):
        schema: dict[str, Any] | bool = {"type": "object"} if constraint.kind == "json_object" else admit_schema(source)
        validator = validator_for(schema)
        return Admitted(
            kind="schema",
            source=source,
            check=lambda text: check_json(text, validator),
            schema=schema,
            uses=feature_pointers(schema),
        )
    if constraint.kind == "structural_tag":
        return _admit_tags(source)
    if constraint.kind == "regex":
        read_pattern(source, field="regex")
        matches = regex_validator(source)
        return Admitted(
            kind="regex",
            source=source,
            check=lambda text: None if matches.is_valid(text) else "the text does not match the pattern",
            uses={"regex": []},
        )
    if constraint.kind == "choice":
        choices = frozenset(admit_choice(source))
        return Admitted(
            kind="choice",
            source=source,
            check=lambda text: None if text in choices else "the text is none of the choices",
            uses={"choice": []},
        )
    if not trusted:
        admit_grammar(source)
    return Admitted(kind="ebnf", source=source, check=None, uses={"grammar": []})


def _admit_tags(source: str) -> Admitted:
    tags = read_structural_tags(source)
    validators = [_tag_validator(tag) for tag in tags.tags]
    uses: dict[str, list[str]] = {}
    for tag in tags.tags:
        for feature, pointers in feature_pointers(tag.schema).items():
            uses.setdefault(feature, []).extend(tag.pointer + pointer for pointer in pointers)
    return Admitted(kind="tags", source=source, check=lambda text: check_tags(text, tags, validators), uses=uses, tags=tags)


def _tag_validator(tag: Tag) -> Any:
    try:
        return validator_for(tag.schema)
    except GrammarRefusedError as error:
        raise GrammarRefusedError(error.message, field=tag.pointer + (error.field or "")) from error


def _prepare_tags(tags: TagSet) -> Prepared:
    relaxed = [relax(tag.schema) for tag in tags.tags]
    for tag, found in zip(tags.tags, relaxed, strict=True):
        if found.schema is False:
            raise GrammarRefusedError("expected a schema that some value satisfies, got one that none does", field=tag.pointer)
    fields = {
        "triggers": tags.triggers,
        "separator": tags.separator,
        "at_least_one": tags.at_least_one,
        "stop_after_first": tags.stop_after_first,
        "tags": [
            {"begin": tag.begin, "schema": found.schema, "end": tag.end} for tag, found in zip(tags.tags, relaxed, strict=True)
        ],
    }
    declared = tuple(tag.pointer + pointer for tag, found in zip(tags.tags, relaxed, strict=True) for pointer in found.declared)
    return Prepared(kind="tags", source=json.dumps(fields, ensure_ascii=False), declared=declared)
