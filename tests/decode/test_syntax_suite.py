"""The syntax suite finds nothing wrong with the engine, and finds what is wrong with a saboteur."""

from __future__ import annotations

import json
from dataclasses import replace

from builderbrain.decode.base import Generation
from builderbrain.decode.random_model import RandomModel
from builderbrain.eval import syntax
from builderbrain.grammar.base import Constraint, ConstraintReport
from builderbrain.grammar.engine import CompiledGrammar
from tests.grammar.toys import VOCAB_SIZE, toy_engine, toy_tokenizer

PLAN = 'root ::= ("s" [1-9] "=talk(text=\\"" [a-z ]{0,8} "\\")\\n")+\n'


class InProcess:
    """The toy engine without its child, which takes seconds to start."""

    def compile(self, constraint: Constraint, *, trusted: bool = False) -> CompiledGrammar:
        return toy_engine().compile(constraint, trusted=True)


def test_a_hostile_model_makes_no_invalid_output() -> None:
    model = RandomModel(toy_tokenizer(), VOCAB_SIZE, end_bias=4.0, max_length=120)
    report = syntax.run(model, InProcess(), 152, plan_grammar=PLAN)
    assert report.invalid == 0, [row.example for row in report.rows if row.invalid]
    assert report.valid + report.length + report.refused == report.generations == 152
    assert report.valid > 100
    assert report.schemas >= 120
    plan = report.rows[-1]
    assert (plan.name, plan.valid + plan.length) == ("plan", 19)
    assert json.loads(json.dumps(report.to_json()))["valid"] == report.valid


def generation(text: str, *, finish: str, valid: bool | None) -> Generation:
    report = ConstraintReport(kind="json_schema", engine="x", exact=True, valid=valid)
    return Generation(
        tokens=(1, 2),
        text=text,
        finish_reason=finish,  # type: ignore[arg-type]
        prompt_tokens=1,
        weight_version="w",
        constraint=report,
    )


def test_dishonest_outputs_are_counted_as_invalid() -> None:
    def refuses(text: str) -> str | None:
        return None if text == "1" else "no"

    def judge(made: Generation) -> str:
        return syntax._judge(made, refuses, room=2)[0]

    honest = generation("1", finish="stop", valid=True)
    assert judge(honest) == "valid"
    assert judge(replace(honest, text="2")) == "invalid"
    assert judge(generation("1", finish="stop", valid=None)) == "invalid"
    assert judge(generation("1", finish="stop", valid=False)) == "invalid"
    assert judge(generation("1", finish="length", valid=None)) == "length"
    assert judge(generation("1", finish="length", valid=True)) == "invalid"
    assert judge(replace(generation("1", finish="length", valid=None), tokens=(1,))) == "invalid"
