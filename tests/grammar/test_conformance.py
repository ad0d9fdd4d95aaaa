"""The corpus against an independent validator, the engine table against the corpus, and the promises of what is served."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from builderbrain.eval.grammar_conformance.corpus import corpus, verdicts
from builderbrain.eval.grammar_conformance.measure import Counts, Measured
from builderbrain.eval.grammar_conformance.table import as_lines, measure_library, measure_served
from builderbrain.grammar.choosing import TABLE, engine_table, order_engines
from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.keywords import ASSERTIONS
from builderbrain.grammar.native import ENGINES, EngineName

_SHORTHAND = re.compile(r"\\\\[wdsWDS]")
"""Classes that are ASCII in ECMA 262, which JSON Schema names, and Unicode in Python's expressions."""
MAX_WRONGLY_REFUSED = 0.01
"""Of the valid instances, over all features."""


@pytest.fixture(scope="module")
def served() -> Measured:
    return measure_served()


def total(measured: Measured, name: str) -> int:
    return sum(counts.to_json()[name] for counts in measured.counts.values())


def test_the_corpus_covers_every_keyword_with_valid_and_invalid_instances() -> None:
    judged = {case.feature: Counts() for case in corpus()}
    for case in corpus():
        valid = verdicts(case)
        judged[case.feature].valid += sum(valid)
        judged[case.feature].invalid += len(valid) - sum(valid)
    assert sum(counts.valid + counts.invalid for counts in judged.values()) >= 2_000
    assert [feature for feature, counts in judged.items() if not (counts.valid and counts.invalid)] == []
    of_older_drafts = {"dependencies", "additionalItems"}
    assert ASSERTIONS - of_older_drafts - {"format"} <= set(judged)
    assert any(feature.startswith("format:") for feature in judged)


def test_an_independent_validator_agrees_with_the_judge() -> None:
    differing = []
    for case in corpus():
        if case.kind != "json_schema" or case.feature.startswith("format:") or _SHORTHAND.search(case.source):
            continue
        validator = jsonschema.Draft202012Validator(json.loads(case.source))
        for text, verdict in zip(case.texts, verdicts(case), strict=True):
            try:
                value = parse_strict(text, max_depth=64)
            except JsonTextError:
                valid = False
            else:
                valid = validator.is_valid(value)
            if valid != verdict:
                differing.append((case.source, text))
    assert differing == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_table_is_what_the_corpus_gives(engine: EngineName) -> None:
    measured = measure_library(engine)
    assert set(measured.counts) == set(engine_table())
    for feature, counts in measured.counts.items():
        row = engine_table()[feature][engine]
        assert {name: counts.to_json()[name] for name in row} == row, (
            f"{feature}: run python -m builderbrain.eval.grammar_conformance"
        )


def test_the_table_is_written_as_the_command_writes_it() -> None:
    text = TABLE.read_text(encoding="utf-8")
    table = json.loads(text)
    assert as_lines(table) == text
    assert (table["schemas"], table["instances"]) == (len(corpus()), sum(len(case.texts) for case in corpus()))


def test_no_invalid_instance_is_handed_out(served: Measured) -> None:
    assert served.wrong == []
    assert total(served, "handed_out") == 0


def test_a_mask_that_is_called_exact_allows_nothing_invalid(served: Measured) -> None:
    assert {feature: counts.falsely_exact for feature, counts in served.counts.items() if counts.falsely_exact} == {}


def test_few_valid_instances_are_refused_and_no_schema_is(served: Measured) -> None:
    assert total(served, "wrongly_refused") <= MAX_WRONGLY_REFUSED * total(served, "valid")
    refused = {feature: counts.refused_schemas for feature, counts in served.counts.items() if counts.refused_schemas}
    assert refused == {}


def test_the_choice_is_better_than_either_library_alone(served: Measured) -> None:
    for engine in ENGINES:
        alone = {
            name: sum(row[engine][name] for row in engine_table().values()) for name in ("wrongly_allowed", "wrongly_refused")
        }
        assert total(served, "wrongly_allowed") <= alone["wrongly_allowed"]
        assert total(served, "wrongly_refused") < alone["wrongly_refused"]


def test_the_order_follows_the_table() -> None:
    assert order_engines({"type"}, ENGINES) == ("llguidance", "xgrammar")
    assert order_engines({"propertyNames"}, ENGINES)[0] == "xgrammar"
    assert order_engines({"grammar"}, ("xgrammar",)) == ("xgrammar",)
    assert order_engines({"unheard of"}, ENGINES) == ENGINES
