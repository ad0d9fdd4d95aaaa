"""Several domains as one: a request says which it is of, and every plan of each is in the grammar, and nothing else."""

from itertools import islice

import pytest

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.load import load_host
from builderbrain.plan import load_grammar
from builderbrain.train.spoken.domains import JOINT, SPOKEN_DOMAINS, spoken_domain
from builderbrain.train.spoken.joint import any_of, introduction


def test_a_request_begins_with_its_domain_and_spans_move_with_it():
    joint = spoken_domain(JOINT)
    seen = set()
    for goal in islice(joint.goals(1), 200):
        name = next(name for name in SPOKEN_DOMAINS if goal.text.startswith(introduction(name)))
        seen.add(name)
        assert set(goal.actions) <= set(SPOKEN_DOMAINS[name].actions)
        assert set(goal.spans) == set(joint.span_slots)
        text = goal.spans["text"]
        assert text is None or goal.text[slice(*text)] in goal.plan
    assert seen == set(SPOKEN_DOMAINS)


def test_held_out_goals_are_of_all_domains():
    held_out = spoken_domain(JOINT).held_out(7, 9)
    assert len(held_out) == 9
    assert {goal.text.split(":")[0] for goal in held_out} == set(SPOKEN_DOMAINS)


def test_rules_get_a_name_before_theirs_and_literals_are_kept():
    grammar = 'root ::= plan_1 ("\\n" [a-z"])?\nplan_1 ::= "root" | [0-9]+\n'
    assert any_of({"one": grammar, "two": 'root ::= "x"\n'}).split("\n") == [
        "root ::= one_root | two_root",
        'one_root ::= one_plan_1 ("\\n" [a-z"])?',
        'one_plan_1 ::= "root" | [0-9]+',
        'two_root ::= "x"',
        "",
    ]


def test_plans_of_each_domain_are_in_the_grammar_and_steps_of_two_are_not():
    host = load_host("builderbrain-nano")
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    names = ("chat_social", "phone_flow")  # two small ones: compiling those of all takes seconds
    source = any_of({name: load_grammar(name) for name in names})
    grammar = engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    def accept(text):
        matcher = grammar.matcher()
        for token in host.tokenizer.encode(text):
            matcher.accept(token)

    for name in names:
        for goal in islice(SPOKEN_DOMAINS[name].goals(2), 10):
            accept(goal.plan)
    with pytest.raises(GrammarRefusedError):
        accept('s1=greet()\ns2=refuse(reason="private")')
    engine.close()


def test_a_name_that_is_no_domain_of_these_is_none():
    assert spoken_domain("repo_assistant") is None
    assert spoken_domain("robot_cell") is SPOKEN_DOMAINS["robot_cell"]
