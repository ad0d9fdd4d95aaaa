"""Plans mutated at random, judged by the checker and by an independent one; accepted ones convert and are in the grammar."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builderbrain.plan import Plan, Step, check, load_grammar, parse_text, plan_from_json, plan_to_json, print_text
from builderbrain.plan.assets import schema_paths
from builderbrain.plan.condition import parse_condition
from builderbrain.plan.faults import EFFECT_CODES
from builderbrain.plan.schema import load_schema
from tests.plan.agreement import compare, mutate, sources
from tests.plan.conftest import goldens
from tests.plan.naive_checker import accepts

SCHEMA = load_schema(next(path for path in schema_paths() if path.name == "repo_assistant.v1.yaml"))
SEEDS = [golden.values[0]["plan"] for golden in goldens("valid")]


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), base=st.sampled_from(SEEDS), count=st.integers(0, 4))
def test_a_mutated_plan_is_judged_as_an_independent_checker_judges_it(
    in_grammar: Callable[[str], bool], seed: int, base: Any, count: int
) -> None:
    draw = random.Random(seed)
    plan = copy.deepcopy(base)
    for _ in range(count):
        plan = mutate(plan, draw)
    verdict = check(plan)
    assert verdict.accepted == (not verdict.faults)
    assert verdict.accepted == accepts(SCHEMA, plan), (plan, verdict.faults)
    if verdict.accepted:
        read = plan_from_json(plan)
        text = print_text(read)
        assert plan_from_json(plan_to_json(read)) == read
        assert parse_text(text) == read
        assert print_text(parse_text(text)) == text
        assert in_grammar(text)
        assert check(read).accepted


@pytest.mark.parametrize("name", ["repo_assistant", "scan", "bakery"])
def test_random_plans_of_every_domain_are_judged_as_an_independent_checker_judges_them(name: str) -> None:
    """A share of the hundred thousand that `python -m tests.plan.agreement` compares."""
    found = list(compare(sources()[name], seed=1, plans=1200))
    assert [plan for plan, quick, slow in found if quick != slow] == []
    codes = {code for _, quick, _ in found for code, _ in quick}
    assert codes == ({"other", *EFFECT_CODES} if name == "bakery" else {"other"})
    assert 150 < sum(not quick for _, quick, _ in found) < 1050


def test_mutation_reaches_both_verdicts() -> None:
    draw = random.Random(7)
    verdicts = [check(mutate(copy.deepcopy(draw.choice(SEEDS)), draw)).accepted for _ in range(300)]
    assert 30 < sum(verdicts) < 270


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(source=JSON)
def test_no_json_makes_the_checker_raise(source: Any) -> None:
    assert not check(source).accepted
    step = {"id": "s1", "skill": source, "args": source, "needs": source, "if": source}
    assert not check({"domain": "repo_assistant", "version": 1, "steps": [step, source]}).accepted
    search = {"id": "s1", "skill": "search", "args": {"pattern": source, "path": source}}
    plan = {"domain": "repo_assistant", "version": 1, "steps": [search]}
    assert check(plan).accepted == accepts(SCHEMA, plan)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(text=st.text(min_size=1, max_size=60))
def test_every_string_survives_both_forms(text: str) -> None:
    plan = Plan("repo_assistant", 1, (Step("s1", "talk", {"text": text}),))
    assert parse_text(print_text(plan)) == plan
    assert plan_from_json(plan_to_json(plan)) == plan


def test_the_grammar_only_produces_plans_that_parse(random_texts: list[str]) -> None:
    assert len(random_texts) > 30
    for text in random_texts:
        plan = parse_text(text)
        structural = {
            "malformed",
            "unknown_skill",
            "unknown_argument",
            "missing_argument",
            "ill_typed_argument",
            "order",
            "cycle",
        }
        assert not structural.intersection(fault.code for fault in check(plan).faults), text
        for step in plan.steps:
            if step.condition is not None:
                assert str(parse_condition(step.condition)) == step.condition


@pytest.fixture(scope="module")
def random_texts() -> list[str]:
    """Whole walks through the grammar's own masks over a vocabulary that makes steps likely."""
    import xgrammar

    spoken = 'search( read( list( talk( pattern= path= text= about= " ) ") , = .ok .count .text .first_path s s1 s2 s3 1 2 3 a'
    words = [word.encode() for word in spoken.split(" ")]
    words += [
        b" after ",
        b" if ",
        b"not ",
        b" and ",
        b" > ",
        b"\n",
        "ä".encode(),
        b"\xf0\x9f",
        b"\x98\x80",
        b"\\",
        b"n",
        b"u00",
        b"1f",
    ]
    vocabulary = [*words, *(bytes([byte]) for byte in range(256)), b"</s>"]
    end = len(vocabulary) - 1
    tokenizer = xgrammar.TokenizerInfo(vocabulary, vocab_size=len(vocabulary), stop_token_ids=[end])
    compiled = xgrammar.GrammarCompiler(tokenizer, max_threads=1).compile_grammar(load_grammar("repo_assistant"))
    draw = random.Random(3)
    texts = []
    for _ in range(80):
        matcher, walked = xgrammar.GrammarMatcher(compiled), b""
        mask = xgrammar.allocate_token_bitmask(1, len(vocabulary))
        for _ in range(120):
            matcher.fill_next_token_bitmask(mask)
            bits = mask[0].tolist()
            legal = [token for token in range(len(vocabulary)) if bits[token // 32] >> (token % 32) & 1]
            likely = [token for token in legal if token < len(words)]
            token = draw.choice(likely if likely and draw.random() < 0.9 else legal)
            token = end if end in legal and draw.random() < 0.3 else token
            assert matcher.accept_token(token)
            if token == end:
                texts.append(walked.decode("utf-8"))
                break
            walked += vocabulary[token]
    return texts
