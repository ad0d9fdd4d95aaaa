"""Model subjects decode under the plan grammar, say when they were cut off, and read their guess where they have one."""

from pathlib import Path

import pytest

from builderbrain.decode.host_model import HostModel
from builderbrain.errors import CheckpointError, SubjectError, UnsupportedModelError
from builderbrain.eval import models
from builderbrain.eval.bench import load_bench
from builderbrain.eval.compare import canonical_plan, guess_of_plan, strip_thinking
from builderbrain.eval.models import CUT_OFF, DecodedSubject, RailSubject, compile_plan_grammar
from builderbrain.eval.workbench import Workbench
from builderbrain.hosts.load import load_host
from builderbrain.rail.checkpoint import save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.model import RailModel
from builderbrain.rail.rail import BuilderRail
from builderbrain.train.goals import ACTIONS, INTENTS
from tests.hosts import tiny_models

GOALS = [item.goal for item in load_bench("plan-bench").items[:3]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_models.save_model(tiny_models.llama(max_position_embeddings=512), tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def host(folder):
    return load_host(str(folder), device="cpu")


@pytest.fixture(scope="module")
def grammar(host):
    return compile_plan_grammar(host)


def rail_for(host, *, intents=INTENTS) -> BuilderRail:
    return BuilderRail(
        RailConfig(
            base_name=host.name,
            d_model=host.d_model,
            vocab_size=host.vocab_size,
            tap_points=host.tap_points,
            width=32,
            intents=intents,
            actions=ACTIONS,
        )
    )


def test_a_random_base_gives_plans_or_says_that_it_was_cut_off(host, grammar, monkeypatch):
    monkeypatch.setattr(models, "MAX_PLAN_TOKENS", 24)
    subject = DecodedSubject("base", HostModel(host), grammar)
    for goal in GOALS:
        text = subject.plan(goal)
        assert text.startswith("s1=")
        assert text.endswith(CUT_OFF) or canonical_plan(text) is not None
        assert subject.intent(goal) == guess_of_plan(text)


def test_a_plan_that_was_cut_off_is_no_plan_even_when_the_half_parses():
    assert canonical_plan("s1=list()") is not None
    assert canonical_plan(strip_thinking("s1=list()") + CUT_OFF) is None


def test_a_rail_guesses_with_its_heads_and_its_spans_are_parts_of_the_prompt(host, grammar):
    subject = RailSubject("rail", RailModel(host, rail_for(host)), grammar)
    for goal in GOALS:
        guess = subject.intent(goal)
        assert guess.intent in INTENTS
        assert guess.first_action in (*ACTIONS, "none")
        assert guess.pick in (None, "first", "last")
        assert all(slot is None or slot in f"Goal: {goal}\nPlan:\n" for slot in (guess.pattern, guess.path))


def test_a_rail_without_heads_has_no_guess(host, grammar):
    subject = RailSubject("rail", RailModel(host, rail_for(host, intents=())), grammar)
    with pytest.raises(UnsupportedModelError, match="intents"):
        subject.intent(GOALS[0])


def test_the_workbench_loads_each_seeds_rail_over_one_base(folder, host, tmp_path):
    for seed in (3, 4):
        save_rail(rail_for(host), tmp_path / f"rail-{seed}")
    bench = load_bench("plan-bench")
    workbench = Workbench(model=str(folder), device="cpu", rail=str(tmp_path / "rail-{seed}"), seeds=(3, 4))
    made = list(workbench.subjects(["rail", "base", "oracle"], bench))
    assert [(subject.name, seed) for subject, seed in made] == [("rail", 3), ("rail", 4), ("base", None), ("oracle", None)]
    assert workbench.token_model("rail").weight_version != workbench.token_model("base").weight_version


def test_what_is_missing_is_named(folder, tmp_path):
    bench = load_bench("plan-bench")
    for workbench, name, error, message in (
        (Workbench(model=str(folder)), "robot", SubjectError, "one of rail, base"),
        (Workbench(model=str(folder)), "rail", SubjectError, "--rail FOLDER"),
        (Workbench(model=str(folder), rail=str(tmp_path / "none")), "rail", CheckpointError, "config.json is missing"),
        (Workbench(model=str(folder), rail="rail-{seed}"), "rail", SubjectError, "--seeds"),
        (Workbench(model=str(folder)), "lora", SubjectError, "--lora FOLDER"),
        (Workbench(model=str(folder), lora=str(tmp_path / "none")), "lora", CheckpointError, "adapter_config.json"),
    ):
        with pytest.raises(error, match=message):
            list(workbench.subjects([name], bench))
    with pytest.raises(SubjectError, match="holds a model"):
        Workbench(model=str(folder)).token_model("oracle")
