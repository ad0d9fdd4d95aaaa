"""The benches are sound: every reference is a plan the checker accepts, and says what its slots say."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from builderbrain.errors import BenchError
from builderbrain.eval.bench import INTENTS, SUITE_NAMES, bench_path, load_bench
from builderbrain.eval.compare import guess_of_plan, is_accepted
from builderbrain.plan import parse_text, print_text

ITEMS = [(name, item) for name in SUITE_NAMES for item in load_bench(name).items]
FROZEN = {
    "plan-bench": "5e06121c8790eb8873ebfc30e9b3d0e2804ad3a3ea1c5b35873fcf77fffeeacc",
    "brain-bench": "d85a3b6358901e4af0c51e1cd4b74ec9fb2081528999c63da0584fba5d7b1373",
    "held-out": "df1be1c9c63c81ca2ed766c3e41c9c103dfe8c88768e6ec8bab19c709944415e",
    "wordings": "e3c802b1bbfa9dccdee2e813ae8f910157253343feb134dfe935921a03864eb7",
}
GOOD = {
    "id": "a",
    "kind": "plan",
    "goal": "Search for x",
    "intent": "search",
    "plan": 's1=search(pattern="x")',
    "pattern": "x",
    "path": None,
    "pick": None,
}


def test_benches_have_the_promised_sizes_and_kinds():
    kinds = {name: Counter(item.kind for item in load_bench(name).items) for name in SUITE_NAMES}
    assert kinds["plan-bench"].total() == 21
    assert kinds["brain-bench"]["core"] == 16
    assert kinds["brain-bench"].total() == 64
    assert kinds["wordings"].total() == 79
    assert min(kinds["held-out"][kind] for kind in ("paraphrase", "unseen_name", "composition")) >= 50


def test_core_goals_are_one_per_intent():
    core = [item.intent for item in load_bench("brain-bench").items if item.kind == "core"]
    assert sorted(core) == sorted(INTENTS)


def test_no_goal_is_in_two_benches():
    goals = Counter(item.goal.lower().strip(" .!?") for _, item in ITEMS)
    assert [goal for goal, count in goals.items() if count > 1] == []


@pytest.mark.parametrize("item", [item for _, item in ITEMS], ids=[item.id for _, item in ITEMS])
def test_reference_is_an_accepted_plan_in_canonical_spelling_and_agrees_with_its_labels(item):
    assert is_accepted(item.plan)
    assert print_text(parse_text(item.plan)) == item.plan
    guess = guess_of_plan(item.plan)
    assert (guess.intent, guess.pattern, guess.path, guess.pick) == (item.intent, item.pattern, item.path, item.pick)


@pytest.mark.parametrize("item", [item for _, item in ITEMS], ids=[item.id for _, item in ITEMS])
def test_every_word_a_reference_searches_or_opens_is_in_the_goal(item):
    for step in parse_text(item.plan).steps:
        if step.skill != "talk":
            assert all(value in item.goal for value in step.args.values() if isinstance(value, str))


def test_compositions_have_three_steps():
    for item in load_bench("held-out").items:
        if item.kind == "composition":
            assert len(parse_text(item.plan).steps) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pattern": "y"}, "pattern"),
        ({"pick": "middle"}, "pick"),
        ({"intent": "dance"}, "intent"),
        ({"goal": ""}, "goal"),
        ({"plan": None}, "plan"),
        ({"extra": 1}, "fields"),
    ],
)
def test_a_malformed_item_is_refused_with_its_line_and_field(tmp_path: Path, change, message):
    file = tmp_path / "bench.jsonl"
    file.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "id": "b", "goal": "Search for x now", **change}) + "\n")
    with pytest.raises(BenchError, match=message) as error:
        load_bench("plan-bench", file)
    assert error.value.field.startswith("line 2")


def test_a_torn_line_a_missing_file_an_empty_file_and_a_repeated_goal_are_refused(tmp_path: Path):
    file = tmp_path / "bench.jsonl"
    with pytest.raises(BenchError, match="expected a bench of goals"):
        load_bench("plan-bench", file)
    for content, message in (('{"id": ', "line 1"), ("", "at least one goal"), (2 * (json.dumps(GOOD) + "\n"), "twice")):
        file.write_text(content)
        with pytest.raises(BenchError, match=message):
            load_bench("plan-bench", file)


def test_the_goals_are_those_that_were_frozen():
    """Scores compare only over the same goals: new goals are a new file, never a change of these."""
    assert {name: load_bench(name).sha256 for name in SUITE_NAMES} == FROZEN
    assert FROZEN["held-out"] == hashlib.sha256(bench_path("held-out").read_bytes()).hexdigest()
