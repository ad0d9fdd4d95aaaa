"""Rows by step: repeatable, and split into parts without losing any."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import pytest

from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.plan import load_grammar
from builderbrain.rail.config import RailConfig
from builderbrain.rail.reading import literal_tokens
from builderbrain.train import goals
from builderbrain.train.batch import Collator
from builderbrain.train.data import GeneratedGoals, base_text_rows
from builderbrain.train.goals import ACTIONS, INTENTS, TOKEN_SLOTS, Goal, generate_goals
from builderbrain.train.rows import row_of, split_by_length
from tests.hosts.tiny_models import llama, tiny_tokenizer

TOKENIZER = HuggingFaceTokenizer(tiny_tokenizer())
_, LINES = literal_tokens(TOKENIZER)
CONFIG = RailConfig(
    base_name="x",
    d_model=8,
    vocab_size=8,
    tap_points=(0,),
    width=8,
    intents=INTENTS,
    actions=ACTIONS,
    token_slots=TOKEN_SLOTS,
    line_tokens=LINES,
)


def test_a_step_always_gives_the_same_rows() -> None:
    first, second = (GeneratedGoals(TOKENIZER, CONFIG, seed=3).rows(7, 5) for _ in range(2))
    assert first == second
    assert GeneratedGoals(TOKENIZER, CONFIG, seed=4).rows(7, 5) != first


def test_the_shortest_and_the_longest_rows_are_drawn_as_often_as_the_others() -> None:
    source = GeneratedGoals(TOKENIZER, CONFIG, seed=0)
    drawn = Counter(len(row.answer) > 60 for step in range(60) for row in source.rows(step, 4))
    every = Counter(len(row.answer) > 60 for row in source._take(generate_goals(9), 2000))
    assert drawn[True] / drawn.total() == pytest.approx(every[True] / every.total(), abs=0.12)


def test_parts_hold_every_row_once_and_rows_of_like_length() -> None:
    rows = GeneratedGoals(TOKENIZER, CONFIG, seed=0).rows(0, 11)
    parts = split_by_length(rows, 4)
    assert sorted(len(part) for part in parts) == [2, 3, 3, 3]
    assert sorted(map(repr, rows)) == sorted(repr(row) for part in parts for row in part)
    lengths = [[len(row.prompt) + len(row.answer) for row in part] for part in parts]
    assert all(max(short) <= min(long) for short, long in pairwise(lengths))
    assert [len(part) for part in split_by_length(rows[:2], 4)] == [1, 1]


def test_spans_are_token_ranges_of_the_prompt() -> None:
    for row in GeneratedGoals(TOKENIZER, CONFIG, seed=1).rows(0, 40):
        answer = TOKENIZER.decode(row.answer)
        for span in row.spans.values():
            if span is not None:
                assert TOKENIZER.decode(row.prompt[slice(*span)]).strip() in answer


def test_every_token_of_a_goal_says_its_clause_its_name_and_its_step() -> None:
    goal = Goal(
        text="find x7 in a1 then open it",
        plan='s1=search(pattern="x7",path="a1")\ns2=read(path=s1.first_path)',
        intent="search_under_open",
        actions=("search", "read"),
        spans={},
        pick="first",
        clauses=((0, 13, "search_under"), (19, 26, "open_first")),
        names=((5, 7, "pattern"), (11, 13, "path")),
    )
    row = row_of(goal, TOKENIZER, CONFIG)
    told = {
        slot: [("none", *options)[label] for label in labels]
        for (slot, options), labels in zip(TOKEN_SLOTS, row.token_labels, strict=True)
    }
    texts = [TOKENIZER.decode([token]) for token in row.prompt + row.answer[:-1]]

    def said(slot: str, option: str) -> str:
        return "".join(text for text, label in zip(texts, told[slot], strict=True) if label == option).strip()

    assert said("clause", "search_under") == "find x7 in a1"
    assert said("clause", "open_first") == "open it"
    assert said("name", "pattern begins") + said("name", "pattern") == 'x"7'
    assert said("name", "path begins") + said("name", "path") == 'a"1'
    assert said("step", "1").replace(" ", "") == 'findx7ina1s1=search(pattern="x7",path="a1")'
    assert said("step", "2") == "open it\ns2=read(path=s1.first_path)"


def test_a_wrong_step_stands_in_the_plan_and_is_not_scored() -> None:
    plan = 's1=list(path="docs")\ns2=search(pattern="x7")\ns3=read(path=s2.first_path)'
    goal = Goal(text="list docs, find x7, open it", plan=plan, intent="composite", actions=(), spans={}, pick="first")
    row = row_of(goal, TOKENIZER, CONFIG, wrong_step=(1, 'read(path="a")'))
    assert TOKENIZER.decode(row.answer[:-1]) == plan.replace('search(pattern="x7")', 'read(path="a")')
    assert TOKENIZER.decode(row.answer[slice(*row.unscored)]) == 's2=read(path="a")\n'
    host = HuggingFaceHost(llama(), TOKENIZER, name="tiny")
    engine = XGrammarEngine(TOKENIZER, TOKENIZER.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    weights = Collator(host=host, config=CONFIG, grammar=grammar, trivial_weight=0.1, literal_weight=0.3)([row]).weights
    assert [at for at, weight in enumerate(weights.tolist()) if not weight] == list(range(*row.unscored))


def test_wrong_steps_are_as_many_as_asked_for_and_never_the_last() -> None:
    rows = GeneratedGoals(TOKENIZER, CONFIG, seed=0, wrong_steps=0.5).rows(0, 300)
    wrong = [row for row in rows if row.unscored != (0, 0)]
    several = [row for row in rows if "\n" in TOKENIZER.decode(row.answer)]
    assert 0.4 < len(wrong) / len(several) < 0.6
    assert all(row.unscored[1] < len(row.answer) - 1 for row in wrong)
    assert not any(row.unscored != (0, 0) for row in GeneratedGoals(TOKENIZER, CONFIG, seed=0).rows(0, 50))


def test_no_common_word_of_names_is_a_word_of_the_held_out_bench() -> None:
    root = Path(goals.__file__).parents[2]
    words = set((root / "train/goals/words.txt").read_text(encoding="utf-8").split())
    bench = [json.loads(line)["goal"] for line in (root / "eval/goals/held_out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(words) > 1000
    assert words.isdisjoint(word for goal in bench for word in re.findall("[a-z]+", goal.lower()))


def test_ranges_of_generated_goals_are_those_of_their_plans() -> None:
    for goal in islice(generate_goals(5), 200):
        steps = goal.plan.split("\n")
        assert len(goal.clauses) == len(steps)
        for start, end, slot in goal.names:
            assert f"{slot}={json.dumps(goal.text[start:end])}" in goal.plan
        assert len(goal.names) == sum(step.count('="') for step in steps if "talk" not in step)


def test_base_text_fills_its_rows() -> None:
    rows = base_text_rows(TOKENIZER, seed=0, step=1, count=3, width=50)
    assert rows.shape == (3, 50)
    assert not rows.equal(base_text_rows(TOKENIZER, seed=0, step=2, count=3, width=50))


def test_a_goal_said_in_a_chat_is_ordinary_text() -> None:
    texts = [TOKENIZER.decode(row) for row in base_text_rows(TOKENIZER, seed=0, step=1, count=4, width=300).tolist()]
    assert [text.startswith("User: ") and "\nAssistant: " in text for text in texts] == [False, True, False, True]
    assert base_text_rows(TOKENIZER, seed=0, step=1, count=0, width=9).shape == (0, 9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_half_of_the_ordinary_text_is_chat_however_few_rows_a_part_has(count: int) -> None:
    rows = [row for step in range(12) for row in base_text_rows(TOKENIZER, seed=0, step=step, count=count, width=40).tolist()]
    chats = sum(TOKENIZER.decode(row).startswith("User: ") for row in rows)
    assert chats * 2 == len(rows)


def test_what_decides_weighs_more_than_what_is_forced_or_copied() -> None:
    config = RailConfig(base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=8, intents=INTENTS, actions=ACTIONS,
                        quote_tokens=tuple(TOKENIZER.encode('"')), line_tokens=tuple(TOKENIZER.encode("\n")))  # fmt: skip
    plan = 's1=search(pattern="a bc d")\ns2=read(path=s1.first_path)'
    goals = [Goal(text="x", plan=text, intent="search", actions=(), spans={}, pick="none") for text in (plan, "s1=list()")]
    rows = [row_of(goal, TOKENIZER, config) for goal in goals]
    engine = XGrammarEngine(TOKENIZER, TOKENIZER.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    host = HuggingFaceHost(llama(), TOKENIZER, name="tiny")
    batch = Collator(host=host, config=config, grammar=grammar, trivial_weight=0.125, literal_weight=0.5)(rows)
    first = len(rows[0].answer)
    tokens = [TOKENIZER.decode([token]) for token in rows[0].answer]
    own = batch.weights[:first] / batch.weights[:first].max()
    start = tokens.index('"') + 1
    end = tokens.index('"', start)
    assert own[0] == 0.125  # "s": nothing else can begin a plan
    assert own[start] == 1.0  # which name
    assert set(own[start + 1 : end + 1].tolist()) == {0.5}  # going on and ending alike
    assert own[tokens.index("f", end)] == 1.0  # "first_path": no literal
    sums = [float(batch.weights[:first].sum()), float(batch.weights[first:].sum())]
    assert sums[0] > sums[1] > 1.0  # a long plan counts more than a short one, but not in proportion
    assert sums[0] / sums[1] < first / len(rows[1].answer)
