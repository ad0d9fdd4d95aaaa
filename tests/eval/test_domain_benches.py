"""Held-out goals of other domains: sound, scored fairly, and told in wordings that training does not have."""

import hashlib
import json
import re
from importlib import import_module
from itertools import islice

import pytest

from builderbrain.errors import BenchError
from builderbrain.eval.bench import domain_benches, load_domain_bench
from builderbrain.eval.cli import main
from builderbrain.eval.compare import is_accepted, plans_equal
from builderbrain.eval.measure_domain import NO_PLAN, validity_of
from builderbrain.eval.references import Oracle, Saboteur
from builderbrain.eval.score import run_suite
from builderbrain.plan import parse_text, print_text
from builderbrain.train.repo_tools import condition_phrases, values
from builderbrain.train.robot_cell.goals import ZONES
from builderbrain.train.spoken.domains import ALONE, SPOKEN_DOMAINS

DOMAINS = SPOKEN_DOMAINS | ALONE
TOOLS = "repo_assistant_2"
MODULES = {name: import_module(f"builderbrain.train.{'repo_tools' if name == TOOLS else name}.phrases") for name in DOMAINS}
PHRASES = {name: module.PHRASES for name, module in MODULES.items()} | {
    TOOLS: MODULES[TOOLS].PHRASES
    | {f"{kind} of the last": table for kind, table in condition_phrases.CONDITIONS.items()}
    | {f"{kind} of the named": table for kind, table in condition_phrases.FIRST_CONDITIONS.items()}
}
_QUOTED = r""""[^"]*"|'[^']*'"""
_ID = r"[A-Za-z]{1,3}[-_]?\d+"
_PATH = r"(?:(?:the|our|my|file|folder|directory) ){0,2}[\"'`]?[\w./-]+[\"'`]?(?: (?:file|folder|directory|dir))?"
_SAID = r"""[\"'`][^\"'`]+[\"'`]|\S+(?: \S+){0,3}?"""
_MANY = r"(?:\w+ ){0,2}\d+(?: or (?:more|fewer))?"
_QUOTED_SLOTS = {
    TOOLS: ("text",),
    "phone_flow": ("text", "question"),
    "ui_macro": ("name", "other", "field", "text", "value"),
    "chat_social": ("topic", "other", "text", "question"),
}
_CLOSED_SLOTS = {
    "robot_cell": {"zone": ZONES, "other": ZONES, "part": (*MODULES["robot_cell"].PARTS, r"\w+")},
    "phone_flow": {
        slot: [said for sayings in table.values() for said in sayings]
        for slot, table in (
            ("method", MODULES["phone_flow"].METHODS),
            ("team", MODULES["phone_flow"].TEAMS),
            ("topic", MODULES["phone_flow"].TOPICS),
        )
    }
    | {"language": MODULES["phone_flow"].TONGUES.values()},
    "ui_macro": {
        "page": (r"/\S*",),
        "role": MODULES["ui_macro"].ROLES,
        "state": ("shown", "hidden", "(?:en|dis)abled", "(?:un)?checked"),
    },
    "chat_social": {
        "field": ("medical", "health", "legal", "law"),
        "reason": [said for sayings in MODULES["chat_social"].REASONS.values() for said in sayings],
    },
    "api_json": {
        "book": (_ID,),
        "order": (_ID,),
        "genre": ("", *MODULES["api_json"].GENRES.values()),
        "status": ("", *MODULES["api_json"].STATUS.values()),
    }
    | {
        "copies": ("", "(?:a|one|[0-9]+) (?:cop(?:y|ies) )?(?:of )?(?:it|them)?"),
        "method": [said for sayings in MODULES["api_json"].METHODS.values() for said in sayings],
    },
    TOOLS: {slot: (_PATH,) for slot in ("path", "output", "rail")}
    | {
        "where": ("", f" (?:{'|'.join(dict.fromkeys(values.PLACES))}) {_PATH}"),
        "pattern": (_SAID,),
        "query": (_SAID,),
        "id": (r"\d+",),
    }
    | {"claim": (r"""[\"'][^\"']*=[^\"']*[\"']""", r"\S*\d?(?: [-+*/] \S+)* ?==? ?\S+"), "many": (_MANY,)}
    | {"the_bench": [said for sayings in values.BENCHES.values() for said in sayings]},
}
SLOTS = {
    name: dict.fromkeys(_QUOTED_SLOTS.get(name, ()), _QUOTED)
    | {slot: "|".join(sorted(values, key=len, reverse=True)) for slot, values in _CLOSED_SLOTS.get(name, {}).items()}
    for name in DOMAINS
}
FROZEN = {
    "repo_assistant_2": "86eaddb7a0e09b8215d9866b5f40dd4badf8514b0156df96cb91af50f118d4f1",
    "api_json": "3a058fcb1b5b893a10623bdb1f444b09b7f739d008154b86145cd12c3c2fd213",
    "chat_social": "ae2db9f97f26df9fa881d9e15cf06ca38e85d320afc1ba77682021cf4eb5ba16",
    "phone_flow": "970b244c3e4654d320f2ab13dd684a19b4b157c504ad1284c5adf844707daaab",
    "robot_cell": "c1649d9a927f6faac2f5b4b84faca98f12b246c501bc5e6d5bc8cae82578d8e4",
    "ui_macro": "eb0df4b7d9c98efb85f64f2d43b41b0abc0a1cbe85640516ed636799c9b320a8",
}
TRAINING_GOALS = 1500
EVERY = [pytest.param(name, id=name) for name in domain_benches()]
ITEMS = [pytest.param(name, item, id=item.id) for name in domain_benches() for item in load_domain_bench(name).items]


def parsed(plan, name):
    return parse_text(plan, domain=DOMAINS[name].name, version=DOMAINS[name].version)


def skeleton(text, plan, name):
    """The wording of a goal: without what its plan copies, numbers, quotes, case and final punctuation."""
    for step in parsed(plan, name).steps:
        for value in sorted((value for value in step.args.values() if isinstance(value, str)), key=len, reverse=True):
            text = text.replace(value, "\0")
    text = re.sub(r"[-+]?\d+", "\0", text.lower())
    return re.sub(r"[\"'`,;:]|[ .!?]+$", "", text)


def test_every_domain_that_is_put_together_of_clauses_has_a_bench():
    assert set(domain_benches()) == set(DOMAINS)


@pytest.mark.parametrize("name", EVERY)
def test_the_goals_are_frozen(name):
    bench = load_domain_bench(name)
    assert (bench.sha256, len(bench.items)) == (FROZEN[name], 50)
    kinds = {"single", "sequence", "condition"} | (
        {"parallel"} if name != "ui_macro" else set()
    )  # a page is in one state at a time
    assert {item.kind for item in bench.items} == kinds


@pytest.mark.parametrize(("name", "item"), ITEMS)
def test_a_reference_is_a_valid_plan_in_its_normal_spelling(name, item):
    assert is_accepted(item.plan, DOMAINS[name].name, DOMAINS[name].version)
    assert print_text(parsed(item.plan, name)) == item.plan


@pytest.mark.parametrize(("name", "item"), ITEMS)
def test_numbers_and_quoted_words_of_a_reference_are_said_in_its_goal(name, item):
    for step in parsed(item.plan, name).steps:
        for argument, value in step.args.items():
            unsaid = (name, argument, value) == ("robot_cell", "force_n", 20)  # the force of a grip that is not said
            if isinstance(value, int) and not isinstance(value, bool) and not unsaid:
                assert re.search(rf"(?<!\d){value}(?!\d)", item.goal)
            if argument in ("text", "question", "topic", "note") and isinstance(value, str):
                assert value in item.goal


@pytest.mark.parametrize("name", EVERY)
def test_no_template_of_training_occurs_in_a_goal(name):
    patterns = [pattern for table in PHRASES[name].values() for pattern in table.patterns(SLOTS[name])]
    found = [
        (item.goal, pattern.pattern)
        for item in load_domain_bench(name).items
        for pattern in patterns
        if pattern.search(item.goal)
    ]
    assert found == []


@pytest.mark.parametrize("name", EVERY)
def test_templates_are_found_in_the_goals_that_are_made_of_them(name):
    """Otherwise the test above could not fail."""
    patterns = {kind: table.patterns(SLOTS[name]) for kind, table in PHRASES[name].items()}
    every = [pattern for those in patterns.values() for pattern in those]
    seen = list(islice(DOMAINS[name].goals(5), 300))
    missed = [goal.text for goal in seen if not any(pattern.search(goal.text) for pattern in patterns.get(goal.intent, every))]
    assert len(missed) <= 0.3 * len(seen)  # "would you mind looking at" is no "look at", and some leave articles out


@pytest.mark.parametrize("name", EVERY)
def test_no_skeleton_of_a_goal_is_one_of_training(name):
    seen = {skeleton(goal.text, goal.plan, name) for goal in islice(DOMAINS[name].goals(17), TRAINING_GOALS)}
    mine = {skeleton(item.goal, item.plan, name) for item in load_domain_bench(name).items}
    assert len(mine) >= 48
    assert mine & seen == set()


@pytest.mark.parametrize("name", EVERY)
def test_the_oracle_scores_all_and_the_saboteur_nothing(name):
    bench = load_domain_bench(name)
    assert run_suite(bench, Oracle(bench.items)).score == 1.0
    assert run_suite(bench, Saboteur(bench.items, bench.domain, bench.version)).score == 0.0


def test_plans_are_compared_by_the_normal_form_of_their_domain():
    assert plans_equal("s1=grasp(force_n=9)", "s1=grasp(force_n=9,width_mm=40)", "robot_cell")
    assert not plans_equal("s1=grasp(force_n=9)", "s1=grasp(force_n=9,width_mm=41)", "robot_cell")


class _Fixed:
    name = "fixed"

    def __init__(self, plans):
        self.plans = plans

    def plan(self, goal):
        return self.plans[goal]


def test_faults_of_plans_that_are_not_valid_are_counted_by_their_code():
    bench = load_domain_bench("robot_cell")
    plans = {item.goal: item.plan for item in bench.items}
    first, second, third, *_ = plans
    plans[first] = "s1=release()"  # there is nothing in the gripper
    plans[second] = 's1=precheck(zone="bin")\ns2=precheck(zone="tray")'  # two steps of one arm, in no order
    plans[third] = "s1=loo\n<cut off>"
    found = validity_of(run_suite(bench, _Fixed(plans)), "robot_cell")
    assert found["valid"] == pytest.approx(0.94)
    assert found["low"] < 0.94 < found["high"]
    assert (found["faults"]["precondition"], found["faults"]["lock_conflict"], found["faults"][NO_PLAN]) == (1, 1, 1)


def test_the_command_scores_subjects_and_writes_a_report(tmp_path, capsys):
    target = tmp_path / "report.json"
    status = main(
        ["domain-bench", "--domain", "phone_flow", "--subject", "oracle", "--subject", "saboteur", "--json", str(target)]
    )
    report = json.loads(target.read_text())
    assert status == 0
    assert [subject["score"] for subject in report["subjects"]] == [1.0, 0.0]
    assert report["goals_sha256"] == FROZEN["phone_flow"]
    assert "valid 100.0%" in capsys.readouterr().out


def test_an_unknown_domain_is_refused_with_those_there_are(tmp_path, capsys):
    assert main(["domain-bench", "--domain", "kitchen", "--subject", "oracle", "--json", str(tmp_path / "x.json")]) == 2
    assert "api_json, chat_social, phone_flow, repo_assistant_2, robot_cell, ui_macro" in capsys.readouterr().err


def test_a_malformed_goal_is_named_with_its_line(tmp_path):
    path = tmp_path / "goals.jsonl"
    path.write_text('{"id": "a", "kind": "single", "goal": "stop", "plan": "s1=stop()"}\n{"id": "b"}\n')
    with pytest.raises(BenchError, match="line 2"):
        load_domain_bench("robot_cell", path)


def test_the_digest_is_that_of_the_file(tmp_path):
    path = tmp_path / "goals.jsonl"
    path.write_text('{"id": "a", "kind": "single", "goal": "stop", "plan": "s1=stop()"}\n')
    assert load_domain_bench("robot_cell", path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
