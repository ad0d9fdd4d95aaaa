"""Training on a graph of tools: requests that are made up, resuming bit-equal, and rails and LoRAs as subjects of the suite."""

from __future__ import annotations

import json
import random
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch

from builderbrain.config import load_config
from builderbrain.data.tool_chains import ToolChain, is_cut_off, read_chains
from builderbrain.data.tool_graph import load_tool_graph
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import CheckpointError, ConfigError, DataError, SubjectError
from builderbrain.eval.cli import main as evaluate
from builderbrain.eval.toolgraph import run_subject, summarise
from builderbrain.eval.toolgraph_models import TextChains, load_graph_model
from builderbrain.eval.toolgraph_subjects import make_subject
from builderbrain.eval.toolgraph_task import load_task
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.masks import masks_along
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.load import NANO, load_host
from builderbrain.plan.chain_text import parse_chain
from builderbrain.rail.checkpoint import load_rail, rail_version
from builderbrain.rail.letters import spell, token_letters
from builderbrain.rail.linear_tools import LinearTools
from builderbrain.rail.pair import Pair
from builderbrain.rail.trunk import is_of_skills
from builderbrain.train.boot import build_rail
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import GeneratedGoals
from builderbrain.train.tool_graph.chain_batch import requests_of_step
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig
from builderbrain.train.tool_graph.chain_trainer import ChainTrainer
from builderbrain.train.tool_graph.domain import tool_graph_domain
from builderbrain.train.tool_graph.linear_fit import ridge_weights
from builderbrain.train.tool_graph.requests import ChainRequests
from builderbrain.train.tool_graph.section import ToolGraphSection, read_graph_rows
from tests.data.tool_graph_folder import LINKS, TOOLS, graph_row, write_folder

PLANS = {
    ("find_song", "play_song"): ["find the blue song and play it", "look for a song, then play", "search it and let it sound"],
    ("set_volume", "play_song"): ["turn it up and play on", "make it louder, then let it play", "volume to 7 and play"],
    ("play_song", "stop_song"): ["play it and then stop", "let it sound for a while, then silence", "play, then stop"],
    ("find_song",): ["find the red song", "look for a quiet song", "search a song for me"],
    ("set_volume",): ["turn it down", "make it quieter", "volume to 2"],
}
WORDS = {"find_song": "look for the song", "play_song": "let it sound", "stop_song": "end it", "set_volume": "make it loud"}


def rows() -> list[dict]:
    made = []
    for tools, requests in PLANS.items():
        for request in requests:
            row = graph_row(str(len(made)), request, tools)
            row["task_steps"] = [f"Step {at} Call {tool} to {WORDS[tool]}" for at, tool in enumerate(tools, 1)]
            made.append(row)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    write_folder(folder, rows())
    return folder


def config(folder: Path, output: Path, *more: str) -> ChainTrainConfig:
    given = (f"tool_graph.rows={folder / 'train.jsonl.gz'}", f"output={output}", "tensorboard=never", "batch_size=5",
             "width=16", "slots=256", "linear=128", "epochs=8", "checkpoint_every=7", *more)  # fmt: skip
    return load_config(ChainTrainConfig, None, given)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rail whose head has learned the rows by heart."""
    output = tmp_path_factory.mktemp("run") / "learned"
    more = ("epochs=60", "dropout=0", "word_dropout=0", "learning_rate=1e-2", "width=32", "tool_graph.walked=0")
    return ChainTrainer(config(folder, output, *more)).run()


def test_requests_are_the_rows_own_their_steps_joined_or_walks_along_the_links(folder: Path) -> None:
    graph = load_tool_graph(folder)
    chains = read_chains(folder / "train.jsonl.gz", graph, "toolgraph").chains
    requests = ChainRequests(chains, graph, joined=0.3, walked=0.4)
    rng = random.Random(0)
    drawn = [requests.draw(rng, rng.choice(chains)) for _ in range(600)]
    kinds = [one.environment for one in drawn]
    assert 130 < kinds.count("joined") < 230
    assert 190 < kinds.count("walked") < 290
    own = {chain.request: chain.tools for chain in chains}
    for one in drawn:
        assert all(pair in LINKS for pair in pairwise(one.tools))
        if one.environment == "plain":
            assert own[one.text] == one.tools
        else:
            places = [one.text.index(WORDS[tool]) for tool in one.tools]
            assert places == sorted(places)
            assert not any(tool in one.text for tool in TOOLS)
    assert {one.tools for one in drawn if one.environment == "walked"} - set(PLANS)


def test_rows_that_do_not_say_their_steps_are_asked_for_in_their_own_words(folder: Path) -> None:
    silent = [ToolChain(request="play it", tools=("play_song",), steps=())]
    requests = ChainRequests(silent, load_tool_graph(folder), joined=0.5, walked=0.5)
    assert {requests.draw(random.Random(seed), silent[0]).text for seed in range(20)} == {"play it"}


def test_every_row_comes_once_before_any_comes_again(folder: Path) -> None:
    graph = load_tool_graph(folder)
    chains = read_chains(folder / "train.jsonl.gz", graph, "toolgraph").chains
    requests = ChainRequests(chains, graph, joined=0, walked=0)
    pool = [one.text for step in range(16) for one in requests_of_step(requests, seed=1, step=step, count=15)]
    assert all(pool.count(chain.request) == 16 for chain in chains)
    again = [one.text for one in requests_of_step(requests, seed=1, step=3, count=15)]
    assert again == pool[45:60]
    assert again != [one.text for one in requests_of_step(requests, seed=2, step=3, count=15)]


def test_plan_texts_of_the_domain_are_of_its_grammar(folder: Path) -> None:
    host = load_host(NANO)
    section = ToolGraphSection(rows=str(folder / "train.jsonl.gz"))
    domain = tool_graph_domain(section)
    grammar = XGrammarEngine(host.tokenizer, host.vocab_size).compile(
        Constraint(kind="grammar", source=domain.grammar), trusted=True
    )
    rail = build_rail(host, TrainConfig(), domain)
    for goal in islice(domain.goals(0), 40):
        assert parse_chain(goal.plan, TOOLS) == goal.actions
    source = GeneratedGoals(host.tokenizer, rail.config, seed=0, domain=domain)
    for row in source.rows(0, 12):
        masks_along(grammar, row.answer, host.vocab_size)  # raises where an answer is not of the grammar
    assert 1 <= len(source.held_out(4)) <= 4


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (12, 12)])
def test_the_linear_part_has_the_least_squares_with_the_ridge_whichever_form_is_smaller(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(shape, generator=generator), torch.randn(shape[0], 3, generator=generator)
    weights = ridge_weights(x, y, 0.3)
    # Where the loss is least its gradient is 0, and everywhere else the loss is more.
    assert (x.T @ (x @ weights - y) + 0.3 * weights).abs().max() < 1e-4
    # The same as plain least squares over the rows and one more row for each weight, of sqrt(ridge) and target 0.
    tall = torch.cat([x, 0.3**0.5 * torch.eye(shape[1])])
    assert torch.allclose(weights, torch.linalg.lstsq(tall, torch.cat([y, torch.zeros(shape[1], 3)])).solution, atol=1e-4)


def test_a_trained_rail_knows_its_rows_tools_by_their_words_and_not_those_of_the_cut(folder: Path, tmp_path: Path) -> None:
    def linear(name: str, *more: str) -> LinearTools:
        made = load_rail(ChainTrainer(config(folder, tmp_path / name, "epochs=1", "linear=4096", *more)).run()).chain
        return made.linear

    host = load_host(NANO)
    letters = token_letters(host.tokenizer)
    whole, cut = linear("whole"), linear("cut", "tool_graph.cut=0.5")
    chains = read_chains(folder / "train.jsonl.gz", load_tool_graph(folder), "toolgraph").chains
    known = {True: [], False: []}
    for chain in chains:
        prompt = torch.tensor([plan_prompt(host.tokenizer, chain.request)])
        spelled = spell(prompt, torch.tensor([prompt.shape[1]]), letters)
        of = torch.tensor([TOOLS.index(tool) for tool in chain.tools])
        scores = whole(spelled)[0]
        others = [at for at in range(len(TOOLS)) if at not in of]
        assert scores[of].min() > scores[others].max()
        known[is_cut_off(chain.request, share=0.5, seed=0)].append(float(cut(spelled)[0, of].mean()))
    assert min(known[False]) > 0.5 > sum(known[True]) / len(known[True])
    assert linear("again").weights.equal(whole.weights)


def test_a_head_without_a_linear_part_is_trained_as_before(folder: Path, tmp_path: Path) -> None:
    with_it = load_rail(ChainTrainer(config(folder, tmp_path / "with", "epochs=1")).run())
    without = load_rail(ChainTrainer(config(folder, tmp_path / "without", "epochs=1", "linear=0")).run())
    assert without.chain.linear is None
    rest = {name: tensor for name, tensor in with_it.state_dict().items() if not name.startswith("chain.linear.")}
    assert rest.keys() == without.state_dict().keys()
    assert all(tensor.equal(without.state_dict()[name]) for name, tensor in rest.items())


@pytest.mark.parametrize("readers", [1, 2])
def test_a_run_that_was_killed_ends_with_the_same_weights(folder: Path, tmp_path: Path, readers: int) -> None:
    whole = ChainTrainer(config(folder, tmp_path / "whole", f"readers={readers}")).run()
    killed = ChainTrainer(config(folder, tmp_path / "killed", f"readers={readers}"))

    class Killed(Exception):
        pass

    step, count = killed.train_step, 0

    def dies() -> object:
        nonlocal count
        count += 1
        if count > 10:
            raise Killed
        return step()

    killed.train_step = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        killed.run()
    again = ChainTrainer(config(folder, tmp_path / "killed", f"readers={readers}"))
    assert rail_version(load_rail(again.run())) == rail_version(load_rail(whole))
    assert again.state.step == again.steps == 24


def test_readers_of_one_run_are_trained_apart(folder: Path, tmp_path: Path) -> None:
    alone = load_rail(ChainTrainer(config(folder, tmp_path / "alone", "epochs=2", "readers=1")).run())
    rail = load_rail(ChainTrainer(config(folder, tmp_path / "three", "epochs=2", "readers=3")).run())
    first, second, third = rail.chain.readers
    assert all(one.equal(other) for one, other in zip(alone.chain.parameters(), rail.chain.parameters_of(0), strict=True))
    assert not second.option.weight.equal(third.option.weight)
    counts = {sum(parameter.numel() for parameter in rail.chain.parameters_of(number)) for number in range(3)}
    assert counts == {sum(parameter.numel() for parameter in first.parameters()) // 3}
    with pytest.raises(CheckpointError, match="readers"):
        ChainTrainer(config(folder, tmp_path / "three", "epochs=2")).run()


def test_another_configuration_does_not_go_on(folder: Path, tmp_path: Path) -> None:
    ChainTrainer(config(folder, tmp_path / "run")).run()
    with pytest.raises(CheckpointError, match="dropout"):
        ChainTrainer(config(folder, tmp_path / "run", "dropout=0.1")).run()


def test_a_missing_file_of_rows_is_what_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a file of rows, got .*none; mend tool_graph.rows"):
        read_graph_rows(ToolGraphSection(rows=str(tmp_path / "none")))


def test_a_run_goes_on_with_its_own_rows_and_graph_alone(tmp_path: Path) -> None:
    write_folder(tmp_path, rows())
    ChainTrainer(config(tmp_path, tmp_path / "run")).run()
    graph = json.loads((tmp_path / "graph_desc.json").read_text())
    graph["links"].append({"source": "stop_song", "target": "find_song"})
    (tmp_path / "graph_desc.json").write_text(json.dumps(graph))
    with pytest.raises(CheckpointError, match="rows and graph"):
        ChainTrainer(config(tmp_path, tmp_path / "run")).run()


def test_chains_may_be_as_long_as_the_longest_of_the_rows(tmp_path: Path) -> None:
    tools = ["find_song", *["play_song"] * 7]
    write_folder(tmp_path, [*rows(), graph_row("long", "find it and play it seven times", tools)])
    assert ChainTrainer(config(tmp_path, tmp_path / "run")).head.longest == 8


def test_the_trunk_of_the_rail_it_starts_from_stays(folder: Path, tmp_path: Path) -> None:
    from builderbrain.rail.bundled import BUNDLED_RAIL

    rail = load_rail(ChainTrainer(config(folder, tmp_path / "run", f"start={BUNDLED_RAIL}", "epochs=1")).run())
    for name, tensor in load_rail(BUNDLED_RAIL).state_dict().items():
        if not is_of_skills(name):
            assert tensor.equal(rail.state_dict()[name]), name


def test_a_head_may_read_the_base(folder: Path, tmp_path: Path) -> None:
    path = ChainTrainer(config(folder, tmp_path / "run", "reads_base=true", "epochs=1")).run()
    task = load_task(folder / "train.jsonl.gz", folder / "train.jsonl.gz")
    results = run_subject(task, make_subject(f"reads={path}", task))
    assert all(result.accepted for result in results)


def test_a_trained_rail_answers_the_suite(
    folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [
        graph_row("t1", "find the blue song and play it", ["find_song", "play_song"]),
        graph_row("t2", "!?", ["find_song"]),
    ]
    write_folder(tmp_path, tests, "unseen.jsonl")
    report = tmp_path / "report.json"
    files = ["--train", str(folder / "train.jsonl.gz"), "--test", str(tmp_path / "unseen.jsonl"), "--json", str(report)]
    assert evaluate(["toolgraph", *files, "--subject", f"rail={trained}", "--subject", "nearest"]) == 0
    rail, nearest = json.loads(report.read_text())["subjects"]
    assert (rail["subject"], nearest["subject"]) == ("rail", "nearest")
    assert rail["accepted"] == 1
    assert (rail["learned"], nearest["learned"]) == (1, 1)
    assert "rail was trained on 1 of the 2 asked requests, so its scores say what it remembers" in capsys.readouterr().out
    task = load_task(folder / "train.jsonl.gz", folder / "train.jsonl.gz")
    scores = summarise("rail", run_subject(task, make_subject(str(trained), task))).scores
    assert scores.same_plan > 0.9


def test_a_rail_of_another_graph_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_folder(tmp_path, rows())
    graph = json.loads((tmp_path / "graph_desc.json").read_text())
    graph["links"].append({"source": "stop_song", "target": "find_song"})
    (tmp_path / "graph_desc.json").write_text(json.dumps(graph))
    assert evaluate(["toolgraph", "--train", str(path), "--test", str(path), "--subject", str(trained)]) == 2
    assert "the rail lacks stop_song -> find_song" in capsys.readouterr().err


def test_a_folder_without_a_model_and_an_unknown_subject_are_refused(folder: Path, tmp_path: Path) -> None:
    task = load_task(folder / "train.jsonl.gz", folder / "train.jsonl.gz")
    with pytest.raises(SubjectError, match="expected a trained model"):
        make_subject(f"x={tmp_path}", task)
    with pytest.raises(SubjectError, match="one of nearest, oracle, saboteur or the folder"):
        make_subject("neerest", task)


def test_plan_text_of_an_untrained_base_is_legal_nevertheless(folder: Path) -> None:
    task = load_task(folder / "train.jsonl.gz", folder / "train.jsonl.gz")
    assert task.tools is not None
    base = TextChains("base", Pair(load_host(NANO), None), task.tools)
    assert summarise("base", run_subject(task, base)).accepted == 1


def test_what_is_wrong_with_the_files_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tool_graph\.rows=FILE"):
        ChainTrainer(ChainTrainConfig(output=str(tmp_path)))
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(DataError, match=r"tool_graph\.graph"):
        tool_graph_domain(ToolGraphSection(rows=str(tmp_path / "rows.jsonl")))
    with pytest.raises(SubjectError, match="expected a trained model"):
        load_graph_model("x", tmp_path, None, model=NANO)


def test_steps_of_other_goals_do_not_fit_a_graph(folder: Path) -> None:
    given = ("data=toolgraph", f"tool_graph.rows={folder / 'train.jsonl.gz'}")
    with pytest.raises(ConfigError, match="wrong_steps=0"):
        load_config(TrainConfig, None, given)
    assert load_config(TrainConfig, None, (*given, "wrong_steps=0")).data == "toolgraph"
