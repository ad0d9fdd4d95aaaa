"""Derives the engine table from the corpus: one row for each feature, with the counts of each library."""

from __future__ import annotations

import json
from typing import Any

from builderbrain.eval.grammar_conformance.corpus import corpus
from builderbrain.eval.grammar_conformance.measure import ByteTokenizer, Measured, measure
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.native import EngineName
from builderbrain.grammar.xgrammar_engine import XGrammarEngine

_KEPT = ("schemas", "refused_schemas", "valid", "invalid", "wrongly_allowed", "undeclared", "wrongly_refused")


def measure_library(name: EngineName) -> Measured:
    """The corpus through one library alone."""
    tokenizer = ByteTokenizer()
    engine = (LLGuidanceEngine if name == "llguidance" else XGrammarEngine)(tokenizer, tokenizer.vocab_size)
    return measure(engine, tokenizer.eos_token_id)


def measure_served() -> Measured:
    """The corpus as it is served: a library for each constraint, chosen by the table."""
    tokenizer = ByteTokenizer()
    return measure(GrammarEngine(tokenizer, tokenizer.vocab_size), tokenizer.eos_token_id)


def derive_table() -> dict[str, Any]:
    """What `builderbrain/grammar/engine_table.json` holds."""
    measured = {name: measure_library(name) for name in GrammarEngine.engines}
    features = {
        feature: {name: {key: run.counts[feature].to_json()[key] for key in _KEPT} for name, run in measured.items()}
        for feature in sorted(next(iter(measured.values())).counts)
    }
    return {
        "made_by": "python -m builderbrain.eval.grammar_conformance",
        "schemas": len(corpus()),
        "instances": sum(len(case.texts) for case in corpus()),
        "features": features,
    }


def as_lines(table: dict[str, Any]) -> str:
    """The table's text: one line for each feature, so that a change of one is a change of one line."""
    head = {key: value for key, value in table.items() if key != "features"}
    rows = ",\n".join(f"    {json.dumps(feature)}: {json.dumps(row)}" for feature, row in table["features"].items())
    return json.dumps(head, indent=2)[:-2] + ',\n  "features": {\n' + rows + "\n  }\n}\n"
