"""Admission limits: what a client's schema, grammar, pattern or choice may cost, checked before any engine sees it.

An engine asked for too much takes minutes or gigabytes instead of failing (object depth 400: 13 s; `minLength` 16,000:
5.6 GB; an enum of 10^5: no end). The figures are those of the specification; every refusal names limit and JSON pointer.
Linear in the text, without recursion.
"""

from __future__ import annotations

import json
import re
from typing import Any

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.grammar.endless import check_finite
from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.patterns import check_json_pattern, read_pattern
from builderbrain.grammar.subschemas import pointer_of, resolve, walk

MAX_SOURCE_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_BRANCHES = 64
MAX_ENUM = 1_000
MAX_PROPERTIES = 500
MAX_COUNTED_PROPERTIES = 32
"""Properties of an object that also has minProperties or maxProperties: the engine expands the counts."""
MAX_MINIMUM_LENGTH = 512
MAX_LITERAL_BYTES = 4 * 1024
MAX_NUMBER = 10**15
"""Magnitude of numbers in a schema: the engine's bounds and literals lose precision beyond."""
MAX_RULES = 500
MAX_REPETITION = 256

_DRAFTS = ("2020-12", "2019-09", "draft-07", "draft-06")
_UNSUPPORTED_REFERENCES = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor")
_OLDER_KEYWORDS = {"dependencies": "dependentRequired or dependentSchemas", "additionalItems": "items beside prefixItems"}
FORMATS = frozenset(
    (
        *(
            "date",
            "date-time",
            "time",
            "duration",
            "email",
            "idn-email",
            "hostname",
            "idn-hostname",
            "ipv4",
            "ipv6",
            "uri",
            "iri",
        ),
        *("uri-reference", "iri-reference", "uri-template", "uuid", "json-pointer", "relative-json-pointer", "regex"),
    )
)
"""Those of draft 2020-12, which the validator asserts. It would let any text through under another one, without a word."""
_EBNF_TOKENS = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<literal>"(?:[^"\\\n]|\\.)*")|(?P<set>\[(?:[^\]\\\n]|\\.)*\])'
    r"|(?P<count>\{\s*(\d+)\s*(?:,\s*(\d*)\s*)?\})|(?P<rule>::=)|(?P<bracket>[()])"
)


def over(limit: str, *, most: int, got: int, field: str, remedy: str) -> GrammarLimitError:
    """The refusal of one limit."""
    return GrammarLimitError(f"{limit}: expected at most {most}, got {got}; {remedy}", field=field)


def check_source_size(source: str, *, field: str, most: int = MAX_SOURCE_BYTES) -> None:
    """Raises GrammarLimitError when the text is over `most` bytes."""
    size = len(source) if len(source) > most else len(source.encode("utf-8", "surrogatepass"))
    if size > most:
        raise over("source size in bytes", most=most, got=size, field=field, remedy="send a smaller one")


def admit_schema(source: str) -> dict[str, Any] | bool:
    """Parse the text of a JSON Schema and check every limit.

    Raises:
        GrammarLimitError: over a limit; `field` is the JSON pointer.
        GrammarRefusedError: no strict JSON, no schema, a reference that is not local, or no finite value.
    """
    check_source_size(source, field="")
    try:
        schema = parse_strict(source, max_depth=4 * MAX_DEPTH)
    except JsonTextError as error:
        if "depth" in str(error):
            raise GrammarLimitError(f"depth: {error}; flatten the schema", field="") from error
        raise GrammarRefusedError(f"expected the JSON text of a schema, got: {error}; correct it", field="") from error
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise GrammarRefusedError(f"expected a JSON Schema object, got {type(schema).__name__}; wrap it in an object", field="")
    branches = 0
    for pointer, node in walk(schema):
        depth = pointer.count("/")
        if depth > 2 * MAX_DEPTH:  # a level of nesting is a keyword and a name
            raise over("depth", most=MAX_DEPTH, got=(depth + 1) // 2, field=pointer, remedy="flatten the schema")
        branches += sum(len(node[key]) for key in ("anyOf", "oneOf", "allOf") if isinstance(node.get(key), list))
        if branches > MAX_BRANCHES:
            raise over("branches", most=MAX_BRANCHES, got=branches, field=pointer, remedy="use fewer alternatives in all")
        _check_counts(node, pointer)
        _check_literals(node, pointer)
        _check_references(schema, node, pointer)
        _check_vocabulary(node, pointer, str(schema.get("$schema", "2020-12")))
        if isinstance(pattern := node.get("pattern"), str):
            _admit_json_pattern(pattern, pointer_of(pointer, "pattern"))
        for pattern in node.get("patternProperties", {}) if isinstance(node.get("patternProperties"), dict) else ():
            _admit_json_pattern(pattern, pointer_of(pointer, "patternProperties", pattern))
    check_finite(schema)
    return schema


def _admit_json_pattern(pattern: str, field: str) -> None:
    check_json_pattern(read_pattern(pattern, field=field), field=field)


def _check_counts(node: dict[str, Any], pointer: str) -> None:
    properties = node.get("properties")
    if isinstance(properties, dict):
        counted = "minProperties" in node or "maxProperties" in node
        most = MAX_COUNTED_PROPERTIES if counted else MAX_PROPERTIES
        if len(properties) > most:
            field = pointer_of(pointer, "properties")
            raise over("properties", most=most, got=len(properties), field=field, remedy="split the object")
    for keyword in ("minItems", "minLength", "minProperties"):
        least = node.get(keyword)
        if isinstance(least, int | float) and least > MAX_MINIMUM_LENGTH:
            raise over(keyword, most=MAX_MINIMUM_LENGTH, got=int(least), field=pointer_of(pointer, keyword), remedy="lower it")


def _check_literals(node: dict[str, Any], pointer: str) -> None:
    enum = node.get("enum")
    if isinstance(enum, list) and len(enum) > MAX_ENUM:
        raise over("enum", most=MAX_ENUM, got=len(enum), field=pointer_of(pointer, "enum"), remedy="list fewer values")
    groups = {
        keyword: value if isinstance(value, list) else [value]
        for keyword, value in node.items()
        if keyword in ("enum", "const", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    }
    groups["properties"] = list(node["properties"]) if isinstance(node.get("properties"), dict) else []
    for keyword, values in groups.items():
        pending = list(values)
        while pending:
            value = pending.pop()
            field = pointer_of(pointer, keyword)
            if isinstance(value, dict):
                pending += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                pending += value
            elif isinstance(value, str) and len(value.encode("utf-8")) > MAX_LITERAL_BYTES:
                size = len(value.encode("utf-8"))
                raise over("string literal in bytes", most=MAX_LITERAL_BYTES, got=size, field=field, remedy="shorten it")
            elif isinstance(value, int | float) and abs(value) > MAX_NUMBER:
                raise GrammarLimitError(
                    f"number: expected a magnitude of at most {MAX_NUMBER}, got {value!r:.30}; use a smaller one", field=field
                )


def _check_references(root: dict[str, Any], node: dict[str, Any], pointer: str) -> None:
    reference = node.get("$ref")
    field = pointer_of(pointer, "$ref")
    if isinstance(reference, str):
        if reference != "#" and not reference.startswith("#/"):
            raise GrammarLimitError(
                f"references: expected a local one such as #/$defs/name, got {reference!r:.80}; copy the definition into $defs",
                field=field,
            )
        if not isinstance(resolve(root, reference), dict | bool):
            raise GrammarRefusedError(
                f"expected a reference to a schema in this document, got {reference!r:.80}; correct it", field=field
            )
    for keyword in _UNSUPPORTED_REFERENCES:
        if keyword in node:
            raise GrammarRefusedError(
                f"expected references by JSON pointer only, got {keyword}; use $ref with #/$defs/name",
                field=pointer_of(pointer, keyword),
            )
    if pointer and ("$id" in node or "$schema" in node):
        raise GrammarRefusedError("expected $id and $schema at the root only; remove them here", field=pointer)
    dialect = node.get("$schema")
    if dialect is not None and not any(draft in str(dialect) for draft in _DRAFTS):
        raise GrammarRefusedError(
            f"expected a $schema of {', '.join(_DRAFTS)}, got {dialect!r:.80}; write it in one of those", field="/$schema"
        )


def _check_vocabulary(node: dict[str, Any], pointer: str, dialect: str) -> None:
    """What the validator would ignore is refused: a keyword of an older draft, a format that it does not know."""
    for keyword, successor in _OLDER_KEYWORDS.items():
        if keyword in node and "2020-12" in dialect:
            raise GrammarRefusedError(
                f"expected keywords of draft 2020-12, got {keyword}; use {successor}, or name the older draft in $schema",
                field=pointer_of(pointer, keyword),
            )
    name = node.get("format")
    if isinstance(name, str) and name not in FORMATS:
        raise GrammarRefusedError(
            f"expected a format of {', '.join(sorted(FORMATS))}, got {name!r:.80}; leave it out, or use pattern",
            field=pointer_of(pointer, "format"),
        )


def admit_grammar(source: str) -> None:
    """Check the text of an EBNF grammar against the limits.

    Raises:
        GrammarLimitError: over a limit.
    """
    check_source_size(source, field="grammar")
    depth = rules = 0
    for match in _EBNF_TOKENS.finditer(source):
        kind = match.lastgroup
        if kind == "bracket":
            depth += 1 if match[0] == "(" else -1
            if depth > MAX_DEPTH:
                raise over("depth", most=MAX_DEPTH, got=depth, field="grammar", remedy="name the inner parts as rules")
        elif kind == "rule":
            rules += 1
            if rules > MAX_RULES:
                raise over("rules", most=MAX_RULES, got=rules, field="grammar", remedy="use fewer rules")
        elif kind == "literal" and len(match[0].encode("utf-8", "surrogatepass")) > MAX_LITERAL_BYTES:
            raise over(
                "string literal in bytes", most=MAX_LITERAL_BYTES, got=len(match[0]), field="grammar", remedy="shorten it"
            )
        elif kind == "count":
            repeated = max(int(number) for number in re.findall(r"\d{1,9}", match[0]))
            if repeated > MAX_REPETITION:
                raise over("repetition", most=MAX_REPETITION, got=repeated, field="grammar", remedy="use * or +")


def admit_choice(source: str) -> list[str]:
    """The alternatives of a choice: the JSON text of a list of different, non-empty strings.

    Raises:
        GrammarLimitError: over a limit.
        GrammarRefusedError: no such list.
    """
    check_source_size(source, field="choice")
    try:
        choices = parse_strict(source, max_depth=2)
    except JsonTextError as error:
        raise GrammarRefusedError(f"expected the JSON text of a list of strings, got: {error}", field="choice") from error
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) and choice for choice in choices):
        raise GrammarRefusedError(
            f"expected a non-empty list of non-empty strings, got {json.dumps(choices)[:80]}; list the choices", field="choice"
        )
    if len(choices) > MAX_ENUM:
        raise over("choices", most=MAX_ENUM, got=len(choices), field="choice", remedy="list fewer")
    for index, choice in enumerate(choices):
        if len(choice.encode("utf-8")) > MAX_LITERAL_BYTES:
            size = len(choice.encode("utf-8"))
            raise over(
                "string literal in bytes", most=MAX_LITERAL_BYTES, got=size, field=f"choice/{index}", remedy="shorten it"
            )
    return choices
