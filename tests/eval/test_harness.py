"""The harness proves itself: gold scores 1.0, shuffled gold 0, and a broken feature lowers its own suite and no other."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from builderbrain.errors import SubjectError
from builderbrain.eval.bench import SUITE_NAMES, load_bench
from builderbrain.eval.plot import bar_chart
from builderbrain.eval.references import NearestNeighbour, Oracle, Saboteur
from builderbrain.eval.report import as_json, print_table, summarise
from builderbrain.eval.score import GUESS_FIELDS, run_suite


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_oracle_scores_all_and_saboteur_nothing(name):
    bench = load_bench(name)
    assert run_suite(bench, Oracle(bench.items)).score == 1.0
    assert run_suite(bench, Saboteur(bench.items)).score == 0.0


class Broken(Oracle):
    """An oracle with one faulty part."""

    name = "broken"

    def __init__(self, items, *, plan=None, **guess):
        super().__init__(items)
        self._break_plan, self._guess = plan, guess

    def plan(self, goal):
        return self._break_plan(super().plan(goal)) if self._break_plan else super().plan(goal)

    def intent(self, goal):
        return replace(super().intent(goal), **self._guess)


@pytest.mark.parametrize("field", GUESS_FIELDS)
def test_a_broken_head_lowers_its_own_mark_and_the_brain_bench_alone(field):
    brain, plan = load_bench("brain-bench"), load_bench("plan-bench")
    run = run_suite(brain, Broken(brain.items, **{field: "nonsense"}))
    assert run.mark_rate(field) == 0.0
    assert all(run.mark_rate(other) == 1.0 for other in GUESS_FIELDS if other != field)
    assert run.score == 0.0
    assert run_suite(plan, Broken(plan.items, **{field: "nonsense"})).score == 1.0


def test_a_subject_that_never_picks_loses_exactly_the_items_with_a_pick():
    brain = load_bench("brain-bench")
    run = run_suite(brain, Broken(brain.items, pick=None))
    assert [r.id for r in run.results if not r.right] == [item.id for item in brain.items if item.pick is not None]


def test_a_decoder_that_always_opens_the_first_hit_loses_exactly_the_last_picks():
    held_out = load_bench("held-out")
    run = run_suite(held_out, Broken(held_out.items, plan=lambda text: text.replace("last_path", "first_path")))
    assert [r.id for r in run.results if not r.right] == [item.id for item in held_out.items if "last_path" in item.plan]
    brain = load_bench("brain-bench")
    assert run_suite(brain, Broken(brain.items, plan=lambda text: "")).score == 1.0


def test_a_decoder_that_cuts_off_gives_no_accepted_plan():
    bench = load_bench("plan-bench")
    run = run_suite(bench, Broken(bench.items, plan=lambda text: text[:-1]))
    assert run.score == 0.0
    assert run.mark_rate("accepted") == 0.0


def test_nearest_neighbour_copies_what_it_has_seen_and_binds_nothing():
    bench = load_bench("plan-bench")
    floor = NearestNeighbour(bench.items)
    assert run_suite(bench, floor).score == 1.0
    copied = floor.plan("Search for retry_limit under build, please")
    assert copied == 's1=search(pattern="retry_limit",path="src")'
    assert floor.intent("zzz").intent == bench.items[0].intent  # nothing in common: the first row
    with pytest.raises(SubjectError, match="training rows"):
        NearestNeighbour(())


def test_a_bench_that_cannot_be_shuffled_wrong_is_refused():
    item = load_bench("plan-bench").items[0]
    with pytest.raises(SubjectError, match="shuffled"):
        Saboteur([item, replace(item, id="other", goal="Hello again")])


def test_the_report_averages_over_seeds_and_carries_every_item():
    bench = load_bench("plan-bench")
    runs = [
        run_suite(bench, Oracle(bench.items), seed=0),
        run_suite(bench, Broken(bench.items, plan=lambda text: text.replace("last_path", "first_path")), seed=0),
        run_suite(bench, Broken(bench.items), seed=1),
    ]
    oracle, broken = summarise(runs)
    assert (oracle.right, oracle.score, oracle.seeds_interval) == (21, 1.0, None)
    assert broken.seeds == (0, 1)
    assert broken.right == pytest.approx(20.5)
    assert broken.seeds_interval.low <= broken.score <= broken.seeds_interval.high
    report = json.loads(json.dumps(as_json(bench, runs)))
    assert report["goals_sha256"] == bench.sha256
    assert [len(run["items"]) for run in report["runs"]] == [21, 21, 21]
    assert report["runs"][1]["items"][15]["right"] is False
    console = Console(width=200, record=True)
    print_table(bench, runs, console)
    text = console.export_text()
    assert "20.5/21" in text
    assert "21/21" in text
    drawing = bar_chart("plan-bench", summarise(runs))
    assert drawing.count("<rect") == 3
    assert "97.6%" in drawing
