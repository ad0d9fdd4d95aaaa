"""The whole corpus, in a fixed order, and its judge."""

from __future__ import annotations

import json
from functools import cache

from builderbrain.eval.grammar_conformance.arrays import array_cases
from builderbrain.eval.grammar_conformance.case import Case
from builderbrain.eval.grammar_conformance.combining import combining_cases
from builderbrain.eval.grammar_conformance.formats import format_cases
from builderbrain.eval.grammar_conformance.objects import object_cases
from builderbrain.eval.grammar_conformance.plain import plain_cases
from builderbrain.eval.grammar_conformance.scalars import scalar_cases
from builderbrain.grammar.validate import check_json, regex_validator, validator_for


@cache
def corpus() -> tuple[Case, ...]:
    """Every case."""
    groups = (scalar_cases, format_cases, array_cases, object_cases, combining_cases, plain_cases)
    return tuple(case for group in groups for case in group())


def verdicts(case: Case) -> tuple[bool, ...]:
    """Whether each text of a case is valid: by jsonschema-rs after strict parsing, by its expressions, or by membership."""
    if case.kind == "json_schema":
        validator = validator_for(json.loads(case.source))
        return tuple(check_json(text, validator) is None for text in case.texts)
    if case.kind == "regex":
        matches = regex_validator(case.source)
        return tuple(bool(matches.is_valid(text)) for text in case.texts)
    choices = set(json.loads(case.source))
    return tuple(text in choices for text in case.texts)
