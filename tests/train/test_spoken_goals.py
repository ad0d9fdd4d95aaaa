"""Goals that are put together of clauses: what they ask for is a valid plan, and what the plan says was asked for."""

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import islice
from random import Random

import pytest

from builderbrain.hosts.load import NANO, load_host
from builderbrain.plan import check, get_domain, parse_text, print_text
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.train.inputs import GENERATED
from builderbrain.train.rows import row_of
from builderbrain.train.spoken import Clause, Draft, Templates, spoken_goal
from builderbrain.train.spoken.domains import ALONE, JOINT, SPOKEN_DOMAINS
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.labels import find_names
from builderbrain.train.spoken.marks import Part, mark, mark_part, marked_ranges, part_number, part_of, strip_marks, strip_parts

LEVELS = frozenset({"read_only", "mutating", "meta"})
GOALS = 800
DOMAINS = SPOKEN_DOMAINS | ALONE
EVERY = [pytest.param(name, id=name) for name in DOMAINS]


@pytest.fixture(scope="module")
def tokenizer_of_rows():
    return load_host(NANO).tokenizer


@pytest.fixture(scope="module")
def config_of_rows():
    trunk = load_rail(BUNDLED_RAIL).config

    def made(name):
        domain = DOMAINS[name]
        heads = {"intents": domain.intents, "actions": domain.actions, "span_slots": domain.span_slots}
        return replace(trunk, **heads, choice_slots=domain.choice_slots, token_slots=domain.token_slots)

    return made


@cache
def goals_of(name, seed=3):
    return tuple(islice(DOMAINS[name].goals(seed), GOALS))


def unwritten_values(name):
    """Values that plans leave out, because they are what an argument is without them."""
    domain = get_domain(DOMAINS[name].name, DOMAINS[name].version)
    return {str(argument.default) for skill in domain.skills.values() for argument in skill.arguments.values()}


def parsed(plan, name):
    return parse_text(plan, domain=DOMAINS[name].name, version=DOMAINS[name].version)


@pytest.mark.parametrize("name", EVERY)
def test_every_plan_passes_the_checker_and_is_in_its_normal_spelling(name):
    refused = []
    for goal in goals_of(name):
        plan = parsed(goal.plan, name)
        verdict = check(plan, granted=LEVELS)
        if not verdict.accepted or print_text(plan) != goal.plan:
            refused.append((goal.text, goal.plan, [fault.message for fault in verdict.faults]))
    assert refused == []


@pytest.mark.parametrize("name", EVERY)
def test_labels_are_those_of_the_domain_and_spans_hold_what_the_plan_copies(name):
    domain, unwritten = DOMAINS[name], unwritten_values(name)
    for goal in goals_of(name):
        assert goal.intent in domain.intents
        assert set(goal.actions) <= set(domain.actions)
        assert set(goal.spans) >= set(domain.span_slots)
        for slot, span in goal.spans.items():
            if span is not None and slot not in ("team", "other"):
                assert goal.text[slice(*span)] in goal.plan or goal.text[slice(*span)] in unwritten


@pytest.mark.parametrize("name", EVERY)
def test_what_a_plan_says_in_numbers_was_said(name):
    for goal in goals_of(name):
        for step in parsed(goal.plan, name).steps:
            for argument, value in step.args.items():
                unsaid = name == "robot_cell" and (argument, value) == ("force_n", 20)
                if type(value) is int and not unsaid:
                    assert re.search(rf"(?<![\d]){value}(?!\d)", goal.text), (goal.text, goal.plan)


@pytest.mark.parametrize("name", EVERY)
def test_the_numbers_of_a_request_are_all_in_its_plan(name):
    unwritten = unwritten_values(name)
    for goal in goals_of(name):
        asked = set(re.findall(r"\d+", re.sub(r"\"[^\"]*\"|'[^']*'", "", goal.text)))
        assert asked - unwritten <= set(re.findall(r"\d+", goal.plan)), (goal.text, goal.plan)


@pytest.mark.parametrize("name", EVERY)
def test_goals_are_of_many_kinds_lengths_and_wordings(name):
    goals = goals_of(name)
    lengths = Counter(goal.plan.count("\n") + 1 for goal in goals)
    assert all(lengths[steps] >= GOALS * 0.02 for steps in (1, 2, 3, 4, 5))
    assert {goal.intent for goal in goals} == set(DOMAINS[name].intents)
    assert sum(" if " in goal.plan for goal in goals) > 0.1 * GOALS
    if name != "ui_macro":  # a page is in one state at a time
        assert sum(goal.environment == "parallel" for goal in goals) > 0.04 * GOALS
    assert len({goal.text for goal in goals}) > 0.9 * GOALS


def test_each_domain_and_all_at_once_can_be_named_as_data():
    assert {*DOMAINS, JOINT} <= set(GENERATED)


@pytest.mark.parametrize("name", EVERY)
def test_a_seed_gives_the_same_goals_again_and_another_one_others(name):
    domain = DOMAINS[name]
    first = [goal.text for goal in islice(domain.goals(4), 50)]
    assert first == [goal.text for goal in islice(domain.goals(4), 50)]
    assert first != [goal.text for goal in islice(domain.goals(5), 50)]
    assert len(domain.held_out(9, 7)) == 7


@pytest.mark.parametrize("name", EVERY)
def test_calls_stand_alone_as_a_first_step(name):
    for call in islice(DOMAINS[name].calls(2), 200):
        assert len(parsed(f"s1={call}", name).steps) == 1


@pytest.mark.parametrize("name", EVERY)
def test_token_labels_are_options_and_say_the_same_in_the_request_and_in_its_plan(name):
    slots = dict(DOMAINS[name].token_slots)
    for goal in goals_of(name):
        steps = goal.plan.count("\n") + 1
        assert len(goal.step_numbers) == steps
        assert set(goal.step_numbers) <= set(goal.numbers)
        for slot in slots:
            assert {option for *_, option in goal.token_ranges(slot)} <= set(slots[slot])
        said = {(option, goal.text[start:end]) for start, end, option in goal.names}
        assert said == {(option, goal.plan[start:end]) for start, end, option in goal.literals}
        assert all(any(first <= start and end <= last for first, last, _ in goal.clauses) for start, end, _ in goal.names)


def test_a_word_that_is_the_same_by_chance_is_not_taken_for_the_value():
    text = f"search the code for {mark('code', 0)}"
    plan = 's1=search(pattern="code")'
    plain, _ = strip_marks(text, ("pattern",))
    whole = {0: (0, len(plain))}
    known = find_names(plain, whole, plan, [0], "repo_assistant", 2, marked=marked_ranges(text))
    assert known.names == ((20, 24, "pattern"),)
    assert find_names(plain, whole, plan, [0], "repo_assistant", 2).names == ((11, 15, "pattern"),)


def test_a_condition_has_labels_of_its_own_within_its_clause():
    draft = Draft("repo_assistant", 2)
    draft.begin()
    tested = draft.step("run_tests")
    draft.begin()
    draft.step("talk", condition=f"not {tested}.passed", text="Oh")
    when = mark_part("if they fail", part_number(1, Part.CONDITION))
    clauses = [
        Clause(kind="run_tests", text="run the tests"),
        Clause(kind="say", text=f'say "Oh" {when}', condition="if_failing"),
    ]
    goal = spoken_goal(clauses, draft, ("text",), Random(2))
    assert goal.plan == 's1=run_tests()\ns2=talk(text="Oh") if not s1.passed'
    found = {
        (option, goal.text[start:end].lower(), number)
        for (start, end, option), number in zip(goal.clauses, goal.numbers, strict=True)
    }
    assert {("if_failing", "if they fail", 2), ("say", 'say "oh" if they fail', 2)} <= found


def test_a_goal_of_one_clause_that_depends_on_something_is_conditional():
    draft = Draft("repo_assistant", 2)
    draft.begin()
    draft.step("talk", condition=f"{draft.step('list')}.ok", text="Oh")
    text = f'{mark_part("if all is well", part_number(0, Part.CONDITION))}, list it and say "Oh"'
    assert spoken_goal([Clause(kind="say", text=text, condition="if_ok")], draft, ("text",), Random(1)).intent == "conditional"


def test_parts_of_a_request_are_numbered_by_clause():
    numbers = [part_number(clause, part) for clause in range(3) for part in Part]
    assert numbers == list(range(9))
    assert part_of(part_number(2, Part.BESIDE)) == (2, Part.BESIDE)
    text = "see " + mark_part(f"if {mark('x', 0)} is", 2)
    assert strip_parts(text)[1] == {2: (4, 11)}
    assert marked_ranges(strip_parts(text)[0]) == ((7, 8),)


def test_a_draft_is_of_a_version_of_its_domain():
    draft = Draft("repo_assistant", 2)
    draft.begin()
    draft.step("docs_lint", path=".")
    assert draft.text() == "s1=docs_lint()"


def test_what_is_done_otherwise_waits_for_what_it_depends_on():
    draft = Draft("repo_assistant", 2)
    draft.begin()
    draft.step("list")
    draft.begin()
    tested = draft.step("run_tests")
    draft.step("fix_tests", condition=f"not {tested}.passed")
    draft.branch(tested)
    draft.step("talk", condition=f"{tested}.passed", text="Fine")
    assert draft.text().split("\n")[1:] == [
        "s2=run_tests() after s1",
        "s3=fix_tests() if not s2.passed",
        's4=talk(text="Fine") if s2.passed',
    ]


def test_steps_follow_the_clause_before_and_parallel_ones_what_that_followed():
    draft = Draft("robot_cell")
    draft.begin()
    route = draft.step("precheck", zone="tray")
    draft.step("move", route=result(route, "route"))
    draft.begin()
    draft.step("rotate", angle_deg=5)
    draft.begin(parallel=True)
    draft.step("look", zone="bin")
    draft.begin()
    draft.step("stop")
    assert draft.text().split("\n")[2:] == [
        "s3=rotate(angle_deg=5) after s2",
        's4=look(zone="bin") after s2',
        "s5=stop() after s3,s4",
    ]


def test_a_wording_says_every_value_it_was_given():
    table = Templates("take it\ntake it with {force}\n~it is (taken|lifted) (|up) with {force}{wide}")
    rng = Random(0)
    assert {table.say(rng, {"force": "", "wide": ""})[1] for _ in range(40)} == {True, False}
    said = {table.say(rng, {"force": "9 N", "wide": " (4 mm)"}) for _ in range(40)}
    assert said == {("it is taken with 9 N (4 mm)", False), ("it is lifted with 9 N (4 mm)", False),
                    ("it is taken up with 9 N (4 mm)", False), ("it is lifted up with 9 N (4 mm)", False)}  # fmt: skip
    with pytest.raises(ValueError, match="speed"):
        table.say(rng, {"speed": "5"})


def test_the_wordings_of_a_table_can_be_listed_and_found():
    table = Templates("(look|peek) (in|) the {zone}\n~is it {zone}")
    assert list(table.wordings()) == [
        "look in the {zone}",
        "look the {zone}",
        "peek in the {zone}",
        "peek the {zone}",
        "is it {zone}",
    ]
    first, second = table.patterns()
    assert first.search("Then peek in the tray, please")
    assert not first.search("peeking into the tray")
    assert second.search("IS IT tray?")


def test_marks_give_the_range_of_the_first_value_of_a_slot():
    text, spans = strip_marks(f"from {mark('tray', 0)} and {mark('bin', 0)} with {mark('9', 2)}", ("zone", "other", "force"))
    assert text == "from tray and bin with 9"
    assert spans == {"zone": (5, 9), "other": None, "force": (23, 24)}


def test_a_goal_of_one_clause_has_its_kind_and_one_of_several_is_composite():
    draft = Draft("robot_cell")
    draft.begin()
    draft.step("stop")
    clause = Clause(kind="stop", text="stop moving")
    assert spoken_goal([clause], draft, ("zone",), Random(1)).intent == "stop"
    assert spoken_goal([clause, clause], draft, ("zone",), Random(1)).intent == "composite"


@pytest.mark.parametrize("name", EVERY)
def test_the_token_before_a_name_is_labelled_also_behind_a_step_of_another_plan(name, tokenizer_of_rows, config_of_rows):
    tokenizer, config = tokenizer_of_rows, config_of_rows(name)
    names = dict(config.token_slots)["name"]
    seen = 0
    for goal in goals_of(name)[:150]:
        for wrong in (None, (0, "look(anything=1234567)")) if len(goal.plan.split("\n")) > 1 else (None,):
            row = row_of(goal, tokenizer, config, wrong_step=wrong)
            begun = [names[label - 1] for label in row.token_labels[1][len(row.prompt) :] if label]
            first_line = len(goal.plan.split("\n")[0])
            kept = [name for start, _, name in goal.literals if wrong is None or start > first_line]
            known = [f"{name} begins" if f"{name} begins" in names else name for name in kept]
            assert begun == [name for name in known if name in names]
            seen += wrong is not None and bool(begun)
    assert seen
