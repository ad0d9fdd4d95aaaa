"""Alarms: each rings for the fault it names and stays silent without it."""

from __future__ import annotations

import json
import random

import pytest
import torch

from builderbrain.rail.config import RailConfig
from builderbrain.rail.heads import PolicyOutput
from builderbrain.train.alarms import Alarm, AlarmBell
from builderbrain.train.watch import Ease, Seen, Watch, WatchSection, read_ease
from builderbrain.train.watch.concepts import mean_cosine

CONFIG = WatchSection(history=80, every=20, windows=16, at_cap=20)


def ease(**signals: float) -> Ease:
    usual = {"answer_length": 30.0, "plan_length": 2.0, "entropy": 1.0, "empty_plans": 0.0, "refused": 0.1}
    return Ease(goals=8, **(usual | signals))


def seen(*, dual: float = 0.5, reading: float = 1.0, count: int = 100) -> dict[str, Seen]:
    return {"kl_budget": Seen(dual=dual, cap=5.0, reading=reading, count=count)}


def names(watch: Watch) -> set[tuple[str, str]]:
    return {(alarm.name, alarm.subject) for alarm in watch.alarms()}


def test_a_dual_at_its_cap_alarms_unless_its_reading_falls() -> None:
    stuck, falling, leaving = (Watch(CONFIG, seed=0) for _ in range(3))
    rng = random.Random(0)
    for step in range(60):
        noise = 1.0 + 0.02 * rng.random()
        stuck.observe(step, seen(dual=5.0, reading=noise), ease())
        falling.observe(step, seen(dual=5.0, reading=noise * 0.98**step), ease())
        leaving.observe(step, seen(dual=5.0 if step % 15 else 4.9, reading=noise), ease())
    assert names(stuck) == {("dual_unbounded", "kl_budget")}
    assert names(falling) == names(leaving) == set()
    assert "target" in stuck.alarms()[0].message


@pytest.mark.parametrize("speed", [1.0, 0.995, 0.98])
def test_a_denominator_that_shrinks_alarms_however_slowly(speed: float) -> None:
    watch, rng = Watch(CONFIG, seed=0), random.Random(1)
    for step in range(400):
        watch.observe(step, seen(count=round((100 + rng.randint(-20, 20)) * speed**step)), ease())
    assert names(watch) == (set() if speed == 1.0 else {("denominator_shrank", "kl_budget")})


def test_a_constraint_that_scores_nothing_any_more_alarms() -> None:
    watch = Watch(CONFIG, seed=0)
    for step in range(60):
        watch.observe(step, seen(count=100 if step < 30 else 0), ease())
    assert names(watch) == {("denominator_shrank", "kl_budget")}


def test_a_dual_that_falls_while_plans_become_empty_alarms() -> None:
    honest, bought, rng = Watch(CONFIG, seed=0), Watch(CONFIG, seed=0), random.Random(2)
    for step in range(160):
        dual, noise = 2.0 - 0.01 * step + 0.05 * rng.random(), 0.02 * rng.random()
        honest.observe(step, seen(dual=dual), ease(empty_plans=noise))
        log = bought.observe(step, seen(dual=dual), ease(empty_plans=noise + 0.004 * step))
        assert (len(log) > 0) == ((step + 1) % 20 == 0 and step + 1 >= 80)
    assert names(honest) == set()
    assert names(bought) == {("wireheading", "kl_budget|empty_plans")}
    assert log["kl_budget|empty_plans"] < 0


def test_a_signal_that_moves_away_from_ease_is_no_alarm() -> None:
    watch = Watch(CONFIG, seed=0)
    for step in range(160):
        watch.observe(step, seen(dual=2.0 - 0.01 * step), ease(plan_length=1.0 + 0.02 * step))
    assert names(watch) == set()


def test_the_cosine_of_concept_vectors_is_that_of_their_pairs() -> None:
    right_angles = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    assert mean_cosine(right_angles) == pytest.approx(0.0, abs=1e-12)
    assert mean_cosine(torch.ones(4, 3) * torch.tensor([[1.0], [2.0], [3.0], [4.0]])) == pytest.approx(1.0)
    assert mean_cosine(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])) == pytest.approx(-1 / 3)
    assert mean_cosine(torch.ones(1, 3)) == 0.0


def test_concept_vectors_that_fall_together_alarm_once_a_quarter_of_the_run_is_done() -> None:
    watch = Watch(CONFIG, seed=0)
    watch.observe_concepts(0.96, done=80, steps=400)
    assert names(watch) == set()
    watch.observe_concepts(0.96, done=100, steps=400)
    assert names(watch) == {("concept_collapse", "concept")}
    watch.observe_concepts(0.43, done=120, steps=400)
    assert names(watch) == set()
    watch.observe_concepts(0.96, done=8, steps=8)
    assert names(watch) == set(), "a new rail's vectors are alike at first, however short the run"


def test_a_restored_watch_goes_on_as_it_was() -> None:
    config = WatchSection(history=20, every=5, windows=4, at_cap=8)
    one, two = Watch(config, seed=3), Watch(config, seed=3)
    for step in range(33):
        one.observe(step, seen(dual=5.0, count=100 - step), ease(entropy=1.0 / (step + 1)))
    two.restore(json.loads(json.dumps(one.state())))
    assert two.alarms() == one.alarms() != []
    for step in range(33, 50):
        arguments = (step, seen(dual=4.0 + step % 2, count=60), ease(entropy=0.01))
        assert two.observe(*arguments) == one.observe(*arguments)
    assert two.state() == one.state()


def test_an_alarm_rings_once_until_its_condition_has_gone() -> None:
    bell, alarm = AlarmBell(), Alarm(name="n", subject="s", message="m")
    assert [bell.ring(alarms) for alarms in ([alarm], [alarm], [], [alarm])] == [[alarm], [], [], [alarm]]
    other = AlarmBell()
    other.restore(json.loads(json.dumps(bell.state())))
    assert other.ring([alarm]) == []


def test_ease_is_read_off_the_policy_heads() -> None:
    config = RailConfig(base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=8, intents=("greet", "refuse"),
                        actions=("search", "read"))  # fmt: skip
    actions = torch.full((2, 3, 3), -50.0)
    actions[0, 0, 1] = actions[0, 1, 2] = actions[0, 2, 0] = 50.0  # search, read, none
    actions[1, :, 0] = 50.0
    none = torch.zeros(2, 0)
    policy = PolicyOutput(concept=none, intent=torch.tensor([[50.0, -50.0], [0.0, 1e-3]]), actions=actions, span_start=none,
                          span_end=none, choices=())  # fmt: skip
    reading = read_ease(policy, torch.tensor([1.0, 0.1, 0.0, 1.0]), config)
    assert (reading.answer_length, reading.plan_length, reading.empty_plans, reading.refused) == (1.5, 1.0, 0.5, 0.5)
    assert reading.entropy == pytest.approx(0.25 * 0.6931, abs=1e-3)  # of intents: 0 and ln 2; of actions: 0
    both = Ease.mean([reading, ease()])
    assert both.goals == 10
    assert both.plan_length == pytest.approx(0.2 * 1.0 + 0.8 * 2.0)
