"""Golden plans and strings of the released domain: what was accepted stays accepted, what was refused stays refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from builderbrain.plan import check, checked, parse_text, plan_from_json, plan_to_json, print_text
from builderbrain.plan.faults import EFFECT_CODES, FAULT_CODES
from tests.plan.conftest import ROOT, goldens


@pytest.mark.parametrize("golden", goldens("valid"))
def test_a_valid_golden_is_accepted_and_converts_without_loss(golden: dict[str, Any]) -> None:
    assert check(golden["plan"]).faults == ()
    plan = plan_from_json(golden["plan"])
    assert plan_to_json(plan) == golden["plan"]
    assert print_text(plan) == golden["text"]
    assert parse_text(golden["text"]) == plan
    assert checked(plan).plan == plan


@pytest.mark.parametrize("golden", goldens("valid"))
def test_the_grammar_accepts_the_text_of_a_valid_golden(golden: dict[str, Any], in_grammar: Callable[[str], bool]) -> None:
    assert in_grammar(golden["text"])


@pytest.mark.parametrize("golden", goldens("invalid"))
def test_an_invalid_golden_is_refused_with_exactly_its_codes(golden: dict[str, Any]) -> None:
    verdict = check(golden["plan"])
    assert not verdict.accepted
    assert sorted({fault.code for fault in verdict.faults}) == golden["codes"]
    assert all(fault.message and fault.remedy for fault in verdict.faults)


def test_every_fault_code_has_a_golden_but_those_this_domain_cannot_have() -> None:
    covered = {code for golden in goldens("invalid") for code in golden.values[0]["codes"]}
    # Every skill of the domain is read_only, and speaks of no facts, resources and budgets.
    assert set(FAULT_CODES) - covered == {"safety_not_granted", *EFFECT_CODES}


def strings(kind: str) -> list[str]:
    path = ROOT / "grammars" / "golden" / f"repo_assistant.v1.{kind}.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["strings"])


@pytest.mark.parametrize("text", strings("valid"))
def test_the_grammar_accepts_valid_strings_and_they_are_accepted_plans(text: str, in_grammar: Callable[[str], bool]) -> None:
    assert in_grammar(text)
    assert check(parse_text(text)).faults == ()


@pytest.mark.parametrize("text", strings("invalid"))
def test_the_grammar_refuses_invalid_strings(text: str, in_grammar: Callable[[str], bool]) -> None:
    assert not in_grammar(text)


@pytest.mark.parametrize("half", [b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\x80"])
def test_the_grammar_never_lets_broken_utf8_through(half: bytes) -> None:
    import xgrammar

    from builderbrain.plan import load_grammar

    tokens = [bytes([byte]) for byte in range(256)] + [b"</s>"]
    tokenizer = xgrammar.TokenizerInfo(tokens, vocab_size=257, stop_token_ids=[256])
    compiled = xgrammar.GrammarCompiler(tokenizer, max_threads=1).compile_grammar(load_grammar("repo_assistant"))
    for before in (b's1=talk(text="', b's1=read(path="'):
        matcher = xgrammar.GrammarMatcher(compiled)
        assert all(matcher.accept_token(byte) for byte in before)
        assert not all(matcher.accept_token(byte) for byte in half)
