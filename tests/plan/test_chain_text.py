"""Chains as text: what the grammar lets through is what the planchecker of the graph accepts."""

from __future__ import annotations

from itertools import product

import pytest

from builderbrain.data.tool_graph import ToolGraph, domain_of
from builderbrain.errors import GrammarRefusedError, PlanSyntaxError
from builderbrain.eval.toolgraph_models import chain_plan
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.plan import READ_ONLY, parse_text
from builderbrain.plan.chain_text import chain_grammar, chain_text, parse_chain, spellings
from builderbrain.plan.graph import check_plan
from tests.hosts.tiny_models import tiny_tokenizer

TOOLS = ("find", "play", "Stop-It", "set_volume")
LINKS = frozenset({("find", "play"), ("play", "Stop-It"), ("set_volume", "play"), ("Stop-It", "find"), ("play", "play")})


def accepts(grammar: CompiledConstraint, tokens: list[int]) -> bool:
    matcher = grammar.matcher()
    try:
        for token in tokens:
            matcher.accept(token)
    except GrammarRefusedError:
        return False
    return True


def test_the_grammar_and_the_planchecker_agree_on_all_chains_of_up_to_four_tools() -> None:
    tokenizer = HuggingFaceTokenizer(tiny_tokenizer())
    source = chain_grammar(TOOLS, LINKS, longest=3)
    grammar = XGrammarEngine(tokenizer, tokenizer.vocab_size).compile(Constraint(kind="grammar", source=source), trusted=True)
    domain = domain_of(ToolGraph(tools=dict.fromkeys(TOOLS, ""), arguments={}, links=LINKS), "toolgraph")
    legal = 0
    for size in range(1, 5):
        for chain in product(TOOLS, repeat=size):
            text = chain_text(chain, TOOLS)
            said = accepts(grammar, [*tokenizer.encode(text), tokenizer.eos_token_id])
            assert parse_chain(text, TOOLS) == chain
            assert said == (size <= 3 and not check_plan(chain_plan(chain), domain, READ_ONLY)), chain
            legal += said
    assert legal > 8


def test_the_text_is_a_plan_of_the_text_form() -> None:
    plan = parse_text(chain_text(("find", "play", "Stop-It"), TOOLS), domain="toolgraph")
    assert [(step.id, step.skill, step.needs) for step in plan.steps] == [
        ("s1", "find", ()), ("s2", "play", ("s1",)), ("s3", "stop_it", ("s2",)),
    ]  # fmt: skip


def test_tools_that_would_be_spelled_alike_are_refused() -> None:
    assert spellings(("Text-to-Image", "3D")) == ("text_to_image", "t_3d")
    with pytest.raises(PlanSyntaxError, match="'text_to_image' and 'Text to Image'"):
        spellings(("text_to_image", "Text to Image"))


@pytest.mark.parametrize("text", ["", "s1=find() after s1", "s2=find()", "s1=find()\ns2=play()", "s1=sing()"])
def test_other_texts_are_no_chains(text: str) -> None:
    with pytest.raises(PlanSyntaxError, match="expected a call of a tool"):
        parse_chain(text, TOOLS)
