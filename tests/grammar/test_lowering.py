"""What the mask enforces and what is declared; a hostile walk never leaves an exact schema."""

from __future__ import annotations

import pytest

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.eval.schema_corpus import NamedSchema, schema_corpus
from builderbrain.grammar.keywords import disjoint, merge
from builderbrain.grammar.lowering import lower
from tests.grammar.toys import compile_trusted, random_walk

INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "declared"),
    [
        ({"minimum": 3}, ()),
        ({"type": ["integer", "string"], "minimum": 3, "maxLength": 2}, ()),
        ({"enum": [1, "a"], "type": "integer"}, ()),
        ({"allOf": [INTEGER, {"minimum": 3}]}, ()),
        ({"anyOf": [INTEGER, {"type": "boolean"}], "minimum": 3}, ()),
        ({"oneOf": [INTEGER, {"type": "string"}]}, ()),
        ({"oneOf": [INTEGER, {"type": "number"}]}, ("/oneOf",)),
        ({"type": "object", "required": ["b"]}, ()),
        ({"not": INTEGER}, ("/not",)),
        ({"type": "array", "items": {"if": INTEGER, "then": {"minimum": 1}}}, ("/items/if", "/items/then")),
        ({"type": "array", "contains": INTEGER, "uniqueItems": True}, ("/contains", "/uniqueItems")),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, ("/dependentRequired",)),
        ({"type": "object", "unevaluatedProperties": False}, ("/unevaluatedProperties",)),
        ({"type": "object", "properties": {"a": True}, "propertyNames": {"maxLength": 3}}, ("/propertyNames",)),
        ({"type": "number", "multipleOf": 0.5}, ("/multipleOf",)),
        ({"type": "integer", "multipleOf": 5}, ()),
        ({"$ref": "#/$defs/x", "minimum": 3, "$defs": {"x": INTEGER}}, ("/minimum",)),
        ({"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/y"}], "$defs": {"x": INTEGER, "y": INTEGER}}, ("/allOf",)),
        ({"type": "string", "format": "date"}, ("/format",)),
        ({"type": "string", "pattern": "^a{2}$", "maxLength": 3}, ()),
        ({"type": "string", "pattern": "^a+$", "maxLength": 3}, ("/maxLength",)),
        ({"type": "object", "properties": {"é": INTEGER}, "additionalProperties": False}, ()),
        ({"type": "object", "properties": {"a/é": INTEGER}}, ("/properties/a~1é",)),
    ],
)
def test_what_the_mask_does_not_enforce_is_declared_by_pointer(schema: dict[str, object], declared: tuple[str, ...]) -> None:
    assert lower(schema).declared == declared


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "integer", "minimum": 5, "maximum": 3},
        {"const": "x", "type": "integer"},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "object", "additionalProperties": False, "required": ["a"]},
        {"anyOf": [{"type": "string", "minLength": 3, "maxLength": 2}, False]},
        {"$ref": "#"},
    ],
)
def test_a_schema_that_nothing_satisfies_is_refused(schema: object) -> None:
    with pytest.raises(GrammarRefusedError, match="satisf"):
        compile_trusted("json_schema", schema)


def test_alternatives_that_multiply_are_limited() -> None:
    schema: dict[str, object] = {"type": "null"}
    for level in range(16):
        pair = [{"properties": {f"x{level}": {"type": "null"}}}, {"properties": {f"y{level}": {"type": "null"}}}]
        schema = {"type": "object", "properties": {"a": schema}, "anyOf": pair}
    with pytest.raises(GrammarLimitError, match="expanded size"):
        lower(schema)


def test_merge_joins_only_what_stays_exact() -> None:
    assert merge({"minimum": 1, "required": ["a"]}, {"minimum": 3, "required": ["b"]}) == {"minimum": 3, "required": ["a", "b"]}
    assert merge({"pattern": "a"}, {"pattern": "b"}) is None
    assert merge({"properties": {"a": True}, "additionalProperties": False}, {"properties": {"b": True}}) is None
    assert merge({"properties": {"a": True}, "additionalProperties": False}, {"required": ["a"]}) is not None
    assert merge({"type": ["integer"]}, {"type": ["number"]}) is None


def test_disjointness_needs_a_reason() -> None:
    tagged = [{"type": "object", "required": ["k"], "properties": {"k": {"const": name}}} for name in "ab"]
    assert disjoint(*tagged)
    assert not disjoint(tagged[0], tagged[0])
    assert not disjoint({"type": "integer"}, {"type": "number"})
    assert not disjoint({"properties": tagged[0]["properties"]}, {"properties": tagged[1]["properties"]})


MAY_DEAD_END = {"object-patterned", "object-names"}
"""Where a name of fixed length may be one that the object has already: only a quote may follow, and it may not."""


@pytest.mark.parametrize("named", schema_corpus(), ids=lambda named: named.name)
def test_hostile_walks_never_leave_an_exact_schema(named: NamedSchema) -> None:
    """On the whole corpus: every finished text of an exact schema is valid, and no walk ends in a dead end."""
    compiled = compile_trusted("json_schema", named.source)
    for seed in range(6):
        walk = random_walk(compiled, seed, steps=120)
        assert walk.end != "empty" or named.name in MAY_DEAD_END, walk.text
        if walk.end == "stop" and compiled.exact:
            assert compiled.validate(walk.text.decode()) is None, walk.text
    assert compiled.exact != bool(compiled.declared)


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    names = [named.name for named in schema_corpus()]
    assert len(names) == len(set(names)) >= 120
    assert len({named.source for named in schema_corpus()}) >= 120
