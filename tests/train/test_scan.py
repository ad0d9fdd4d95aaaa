"""SCAN as training data: rows by step, skins that keep their word, nothing of a test part, and a run whose loss falls."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from builderbrain.config import load_config
from builderbrain.domains.scan import SPLITS, generate_examples, moves_of, plan_of, split_examples
from builderbrain.domains.scan.grammar import vocabulary
from builderbrain.errors import ConfigError, ScanError
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.plan import check, parse_text, print_text
from builderbrain.rail.checkpoint import save_rail
from builderbrain.train.boot import build_rail
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import GeneratedGoals
from builderbrain.train.scan import scan_domain, skin_command
from builderbrain.train.scan.tasks import TASKS, Task, task_of
from builderbrain.train.setup import build_trainer
from tests.hosts.tiny_models import llama, save_model, tiny_tokenizer

KEPT = {"and", "after", "opposite", "around", "twice", "thrice"}
SMALL = (
    "data=scan", "scan.split=addprim_jump", "wrong_steps=0", "batch_size=3", "micro_batches=1", "base_text_rows=1",
    "evaluation_rows=4",
    "evaluation_every=100", "checkpoint_every=100", "tensorboard=never", "rail.width=16", "rail.head_size=8",
    "rail.num_skills=4", "budget.steps=[1.0]", "learning_rate=0.03",
)  # fmt: skip


@pytest.mark.parametrize("example", generate_examples()[::301], ids=lambda example: example.command.replace(" ", "_"))
def test_a_skin_renames_verbs_and_directions_one_to_one_and_the_plan_with_them(example) -> None:
    skinned = skin_command(example.command, random.Random(example.command))
    before, after = example.command.split(" "), skinned.split(" ")
    renamed = dict(zip(after, before, strict=True))
    assert len(renamed) == len(set(before))
    for new, old in renamed.items():
        assert (new == old) if old in KEPT else new not in vocabulary()[0]
    plan = print_text(plan_of(skinned))
    assert check(parse_text(plan, domain="scan")).accepted
    for new, old in renamed.items():
        plan = plan.replace(f'"{new}"', f'"{old}"')
    assert moves_of(parse_text(plan, domain="scan")) == example.moves


def test_a_skin_comes_from_the_generator_and_refuses_what_is_no_command() -> None:
    first, second, third = (skin_command("jump around left and run", random.Random(seed)) for seed in (1, 1, 2))
    assert first == second != third
    with pytest.raises(ScanError):
        skin_command("and", random.Random(0))


@pytest.mark.parametrize("name", SPLITS)
def test_training_goals_come_from_the_training_part_and_leave_out_what_is_held_out(name: str) -> None:
    split = split_examples(name)
    domain = scan_domain(name, skins=0.0)
    shown = {goal.text for goal in islice(domain.goals(5), 1000)}
    held_out = {goal.text for goal in domain.held_out(1, 10_000)}
    train = {example.command for example in split.train}
    assert shown <= train
    assert held_out <= train
    assert not shown & held_out
    assert 0.005 < len(held_out) / len(train) < 0.04
    assert not (shown | held_out) & {example.command for example in split.test}


def test_goals_are_drawn_as_often_as_they_stand_in_the_split() -> None:
    shown = [goal.text for goal in islice(scan_domain("addprim_jump", skins=0.0).goals(0), 2500)]
    assert shown.count("jump") / len(shown) == pytest.approx(0.1, abs=0.02)
    dressed = [goal.text for goal in islice(scan_domain("addprim_jump", skins=0.7).goals(0), 2500)]
    bare = [text for text in dressed if set(text.split(" ")) <= vocabulary()[0]]
    assert len(bare) / len(dressed) == pytest.approx(0.3, abs=0.04)


def test_labels_say_what_the_command_says() -> None:
    for goal in islice(scan_domain("simple", skins=0.5).goals(2), 200):
        steps = parse_text(goal.plan, domain="scan").steps
        assert goal.actions == tuple(step.skill for step in steps)
        assert goal.intent == ("clause" if len(steps) == 1 else {"then": "and", "follows": "after"}[steps[2].skill])
        for slot, span in goal.spans.items():
            assert (None if span is None else goal.text[slice(*span)]) == steps[0].args.get(slot)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


def test_a_step_always_gives_the_same_rows_and_they_fit_the_rail(base: Path, tmp_path: Path) -> None:
    config = load_config(TrainConfig, None, [f"model={base}", f"output={tmp_path / 'run'}", *SMALL])
    run = build_trainer(config)[0]
    tokenizer = HuggingFaceTokenizer(tiny_tokenizer())
    sources = [GeneratedGoals(tokenizer, run.rail.config, seed=3, domain=scan_domain("length", skins=0.7)) for _ in range(2)]
    assert sources[0].rows(7, 20) == sources[1].rows(7, 20)
    assert sources[0].rows(7, 20) != sources[0].rows(8, 20)
    run.check()  # every trainable parameter gets a gradient from these rows, and the goldens of the domain pass


def test_the_loss_falls_in_twenty_steps(base: Path, tmp_path: Path) -> None:
    config = load_config(TrainConfig, None, [f"model={base}", f"output={tmp_path / 'run'}", "steps=20", *SMALL])
    build_trainer(config)[0].run()
    losses = [json.loads(line)["plan"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 20
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_a_rail_of_another_domain_and_a_split_that_nobody_published_are_refused(base: Path, tmp_path: Path) -> None:
    other = load_config(TrainConfig, None, [f"model={base}", "rail.width=16", "rail.head_size=8", "rail.num_skills=4"])
    host = build_trainer(load_config(TrainConfig, None, [f"model={base}", *SMALL]))[0].pair.host
    save_rail(build_rail(host, other), tmp_path / "rail")
    with pytest.raises(ConfigError, match="heads are those of scan") as refused:
        build_trainer(load_config(TrainConfig, None, [f"model={base}", f"start={tmp_path / 'rail'}", *SMALL]), host)
    assert refused.value.field == "start"
    with pytest.raises(ConfigError, match=r"scan\.split"):
        load_config(TrainConfig, None, ["scan.split=mcd1"])
    with pytest.raises(ConfigError, match="scan: expected skins in"):
        load_config(TrainConfig, None, ["scan.skins=2"])


def test_every_command_is_of_one_task_by_the_latest_thing_it_says() -> None:
    tasks = Counter(task_of(example.command) for example in split_examples("simple").train)
    assert list(TASKS) == sorted(tasks, key=TASKS.index)
    said = {"walk": "verb", "turn left": "verb", "jump around left": "way", "run opposite right thrice": "times"}
    said |= {"walk twice and jump": "and", "walk after jump around left twice": "after"}
    assert {command: task_of(command) for command in said} == said


@pytest.mark.parametrize("task", TASKS)
def test_a_task_shows_its_own_commands_and_holds_out_skins_of_them(task: Task) -> None:
    domain = scan_domain("simple", skins=0.5, task=task)
    goals = list(islice(domain.goals(0), 60))
    held_out = domain.held_out(1, 20)
    assert {task_of(goal.text) for goal in goals + held_out} == {task}
    assert {goal.environment for goal in held_out} == {"skin"}
    assert len({goal.text for goal in held_out}) > 10
    assert domain.held_out(1, 20) == held_out != domain.held_out(2, 20)
